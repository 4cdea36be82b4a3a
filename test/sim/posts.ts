import { createHmac } from 'node:crypto'
import { SECOND_MS } from '../../src/base/units.ts'
import type { DialectName } from '../../src/dialects/dialect.ts'
import { dialectOf } from '../../src/dialects/index.ts'
import type { PostResult } from '../../src/http/exchange.ts'
import { BEAT_VALID_MS } from '../../src/webhooks/beat.ts'
import { PAUSE_MS, PAUSE_MS_MAX } from '../../src/webhooks/pace.ts'
import type { PlannedDelivery, Webhook } from '../../src/webhooks/webhook.ts'
import type { DeliveryRow } from './database.ts'
import { type Posted, RETRY_AFTER_SECONDS } from './network.ts'
import { START_AT, type World } from './world.ts'

/** What was seen of one node's posts to one webhook. */
interface Line {
  /** The rate that was read last, and the starts since. */
  rate: string
  starts: number[]
  /** Its receiver wants nothing before, and then one at a time until it has answered otherwise. */
  pausedUntil: number
  isNarrow: boolean
  inFlight: Set<Posted>
}

/** The invariants that show at the start of a POST. */
export class PostChecks {
  readonly #world: World
  readonly #lines = new Map<string, Line>()
  /** By webhook and collapse key: the place of the newest that was ever posted. */
  readonly #newest = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  *start(posted: Posted): Generator<string> {
    const { at, node, deliveryId } = posted
    const planned = this.#world.planned.get(deliveryId) ?? this.#world.database.deliveries.get(deliveryId)?.planned
    const say = (what: string) => `at ${at - START_AT} ms ${node} posted ${deliveryId}: ${what}`
    if (planned === undefined) return yield say('never planned')
    for (const what of this.#wrongs(posted, planned)) yield say(what)
  }

  end(posted: Posted, result: PostResult): void {
    const delivery = this.#world.database.deliveries.get(posted.deliveryId)
    const webhookId = delivery?.planned.webhookId ?? this.#world.planned.get(posted.deliveryId)!.webhookId
    const line = this.#lineOf(posted.node, webhookId)
    line.inFlight.delete(posted)
    const dialect = delivery?.planned.dialect ?? this.#world.planned.get(posted.deliveryId)!.dialect
    const isThrottled = result.kind === 'answered' && dialectOf(dialect).retry.throttles(result.status)
    if (isThrottled) {
      const askedMs = result.retryAfter === undefined ? PAUSE_MS : RETRY_AFTER_SECONDS * SECOND_MS
      line.pausedUntil = Math.max(line.pausedUntil, this.#world.time.now + askedMs)
      line.isNarrow = true
    } else if (posted.at >= line.pausedUntil) line.isNarrow = false
  }

  *#wrongs(posted: Posted, planned: PlannedDelivery): Generator<string> {
    const { at, node, url, body } = posted
    const { database, seen, processes } = this.#world
    if (body !== planned.body) yield 'the bytes are not those that were planned'
    const beatAgeMs = at - (database.beats.get(node) ?? Number.NEGATIVE_INFINITY)
    if (beatAgeMs > BEAT_VALID_MS) yield `the last beat is ${beatAgeMs} ms old`
    const process = processes.find((one) => one?.node === node)
    if (process === undefined || process.isStopping) yield 'the process is dead or stopping'

    const read = seen.get(`${node} ${planned.webhookId}`)
    if (read?.at !== at) yield 'the webhook was not read for this attempt'
    if (read?.webhook?.state !== 'active') return yield `the webhook was read as ${read?.webhook?.state ?? 'removed'}`
    if (read.webhook.url !== url) yield 'the url is not the one that was read'
    yield* checkSignature(posted, planned, read.webhook)
    const deadlineMs = dialectOf(planned.dialect).retry.deadlineMs
    if (posted.deadlineMs !== Math.min(deadlineMs, (read.webhook.options.timeoutSeconds ?? 3600) * SECOND_MS))
      yield `the deadline is ${posted.deadlineMs} ms`
    yield* this.#checkOrder(planned)
    yield* this.#checkExpiry(posted, read.webhook)
    yield* this.#checkPace(posted, read.webhook)
  }

  /** Strict order of a key; and of those that replace each other none after a newer one. */
  *#checkOrder({ id, webhookId, orderKey, collapseKey }: PlannedDelivery): Generator<string> {
    if (orderKey === null) return
    const order = this.#world.database.orderOf(webhookId, orderKey)
    const place = order.findIndex((row) => row.planned.id === id)
    if (place === -1) return yield 'it is in an order and not stored yet'
    const before = order.slice(0, place).find((row) => row.state === 'waiting')
    if (before !== undefined) yield `${before.planned.id} of the same order (${orderKey}) has not ended`
    if (collapseKey === null) return
    const name = `${webhookId} ${orderKey} ${collapseKey}`
    const newest = this.#newest.get(name) ?? -1
    if (place < newest) yield `a newer one of ${collapseKey} was posted before`
    this.#newest.set(name, Math.max(place, newest))
    const last = order[place]!.attempts.at(-1)
    const isNewer = (row: DeliveryRow) => row.state === 'waiting' && row.planned.collapseKey === collapseKey
    const replacedBy = order.slice(place + 1).find(isNewer)
    if (last !== undefined && replacedBy !== undefined && replacedBy.createdAt <= last.startedAt + last.durationMs)
      yield `again, although ${replacedBy.planned.id} had come before its last attempt ended`
  }

  *#checkExpiry({ at, deliveryId }: Posted, { options }: Webhook): Generator<string> {
    const row = this.#world.database.deliveries.get(deliveryId)
    if (row === undefined || options.expireAfterSeconds === undefined) return
    const lateMs = at - (row.createdAt + options.expireAfterSeconds * SECOND_MS)
    if (lateMs >= 0) yield `${lateMs} ms after its expiry`
  }

  *#checkPace(posted: Posted, { id, options: { rate, concurrency = 16 } }: Webhook): Generator<string> {
    const { at, node } = posted
    const line = this.#lineOf(node, id)
    const name = rate === undefined ? '' : `${rate.count} in ${rate.perSeconds} s`
    if (name !== line.rate) Object.assign(line, { rate: name, starts: [] })
    line.starts.push(at)
    if (rate !== undefined) {
      line.starts = line.starts.filter((start) => start > at - rate.perSeconds * SECOND_MS)
      if (line.starts.length > rate.count) yield `the ${line.starts.length}. although its rate is ${name}`
    }
    if (at < line.pausedUntil) yield `${line.pausedUntil - at} ms before the end of a pause`
    const sinceThen = [...line.inFlight].filter((other) => other.at >= line.pausedUntil)
    if (line.isNarrow && at < line.pausedUntil + PAUSE_MS_MAX && sinceThen.length > 0)
      yield 'a second at once right after a pause'
    line.inFlight.add(posted)
    if (line.inFlight.size > concurrency) yield `${line.inFlight.size} at once`
  }

  #lineOf(node: string, webhookId: string): Line {
    const name = `${node} ${webhookId}`
    const line = this.#lines.get(name) ?? { rate: '', starts: [], pausedUntil: 0, isNarrow: false, inFlight: new Set() }
    this.#lines.set(name, line)
    return line
  }
}

/** What the dialects promise about rotations, said once more and differently than they do. */
function* checkSignature(
  { at, headers, body }: Posted,
  { eventId, dialect }: PlannedDelivery,
  webhook: Webhook,
): Generator<string> {
  const secret = webhook.sealedSecret!.slice('sealed '.length)
  const isRotating = webhook.secretBeforeUntil !== null && at < webhook.secretBeforeUntil
  const before = isRotating ? webhook.sealedSecretBefore!.slice('sealed '.length) : undefined
  const seconds = Math.floor(at / SECOND_MS)
  const macOf = (key: string, text: string, form: 'hex' | 'base64') => createHmac('sha256', key).update(text).digest(form)
  const several = (before === undefined ? [secret] : [secret, before])
    .map((key) => `v1,${macOf(key, `${eventId}.${seconds}.${body}`, 'base64')}`)
    .join(' ')
  const expected: Record<DialectName, [header: string, value: string]> = {
    mftplus: ['X-Webhook-Signature', `sha256=${macOf(before ?? secret, body, 'hex')}`],
    trueftp: ['X-TrueFTP-Signature', `sha256=${macOf(before ?? secret, `${seconds}.${body}`, 'hex')}`],
    standard: ['webhook-signature', several],
    cloudevents: ['webhook-signature', several],
  }
  const [header, value] = expected[dialect]
  if (headers[header] !== value) yield `${header} is ${headers[header]}, not ${value}`
}
