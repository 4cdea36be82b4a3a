import { MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { dialectOf } from '../../src/dialects/index.ts'
import { BEAT_VALID_MS } from '../../src/webhooks/beat.ts'
import type { DeliveryRow } from './database.ts'
import { type Posted, RETRY_AFTER_SECONDS } from './network.ts'
import { BUSY_MS, START_AT, World } from './world.ts'

/** After everything is mended, the world must come to rest within this time, ms. */
const REST_MS_MAX = 30 * MINUTE_MS
/** A delivery to a healthy receiver starts within this time of its event when nothing of ours fails, ms: a sweep and what goes with it. */
const LATENESS_MS_MAX = 1_500

export interface Report {
  /** Empty when every invariant held. */
  readonly violations: readonly string[]
  readonly posts: number
  readonly events: number
  readonly lives: number
}

/** Lives through the world of one seed and checks the invariants of deliveries, during and after. */
export async function simulate(seed: number): Promise<Report> {
  const world = new World(seed)
  const violations: string[] = []
  world.network.onPost = (posted) => violations.push(...checkPost(world, posted))
  const isBroken = () => violations.length > 0

  await world.time.run(START_AT + BUSY_MS, isBroken)
  world.mend()
  const restBy = world.time.now + REST_MS_MAX
  while (!isBroken() && !isAtRest(world) && world.time.now < restBy) await world.time.run(world.time.now + SECOND_MS, isBroken)
  // Claims and lanes need a moment more than the last outcome.
  await world.time.run(world.time.now + 20 * SECOND_MS, isBroken)
  if (!isBroken()) violations.push(...checkEnd(world))

  const lives = world.dead.length + world.processes.length
  return { violations, posts: world.network.posted.length, events: world.database.events.length, lives }
}

function* checkPost(world: World, posted: Posted): Generator<string> {
  const { at, node, url, body, deliveryId } = posted
  const say = (what: string) => `at ${at - START_AT} ms ${node} posted ${deliveryId}: ${what}`
  const planned = world.planned.get(deliveryId)
  if (planned === undefined) return yield say('never planned')
  if (body !== planned.body) yield say('the bytes are not those that were planned')
  const beatAgeMs = at - (world.database.beats.get(node) ?? Number.NEGATIVE_INFINITY)
  if (beatAgeMs > BEAT_VALID_MS) yield say(`the last beat is ${beatAgeMs} ms old`)
  const seen = world.seen.get(`${node} ${planned.webhookId}`)
  if (seen?.at !== at) yield say('the webhook was not read for this attempt')
  if (seen?.webhook?.state !== 'active') yield say(`the webhook was read as ${seen?.webhook?.state ?? 'removed'}`)
  if (seen?.webhook?.url !== url) yield say('the url is not the one that was read')
  const process = world.processes.find((one) => one?.node === node)
  if (process === undefined || process.isStopping) yield say('the process is dead or stopping')
}

function isAtRest({ database }: World): boolean {
  return [...database.deliveries.values()].every((row) => {
    const webhook = database.webhooks.get(row.planned.webhookId)
    return row.claimedBy === null && (row.state !== 'waiting' || (webhook !== undefined && webhook.state !== 'active'))
  })
}

function* checkEnd(world: World): Generator<string> {
  const rows = [...world.database.deliveries.values()]
  yield* checkPlanning(world, rows)
  const posted = new Set(world.network.posted.map(({ deliveryId, at }) => `${deliveryId} ${at}`))
  for (const row of rows) yield* checkDelivery(world, row, posted)
  for (const process of world.processes) {
    const { lanes, buffered, posting, settling } = process!.engine.stats()
    if (lanes + buffered + posting + settling > 0) yield `${process!.node} still holds something at rest: ${lanes} lanes`
  }
  if (!world.isCalm) return
  // A post may be for an event whose transaction was refused in the end; it belongs to no delivery.
  const posts = world.network.posted.filter(({ deliveryId }) => world.database.deliveries.has(deliveryId)).length
  const attempts = rows.reduce((sum, row) => sum + row.attempts.length, 0)
  if (posts !== attempts) yield `${posts} posts for ${attempts} attempts although nothing failed`
}

/** Every (event, webhook matching at that moment) has exactly one planned delivery. */
function* checkPlanning({ database }: World, rows: readonly DeliveryRow[]): Generator<string> {
  const byEvent = Map.groupBy(rows, (row) => row.planned.eventId)
  for (const { event, expected } of database.events) {
    const planned = (byEvent.get(event.id) ?? []).map((row) => row.planned.webhookId)
    if (planned.toSorted().join() !== expected.toSorted().join())
      yield `event ${event.id} was planned for [${planned}], not for [${expected}]`
  }
}

/** `posted` holds every delivery with each time at which it was posted. */
function* checkDelivery(world: World, row: DeliveryRow, posted: ReadonlySet<string>): Generator<string> {
  const { id, webhookId, dialect } = row.planned
  const say = (what: string) => `delivery ${id} of ${webhookId} (${row.state}, ${row.attempts.length} attempts): ${what}`
  const webhook = world.database.webhooks.get(webhookId)
  const last = row.attempts.at(-1)
  const isSuccess = last?.statusCode != null && last.statusCode >= 200 && last.statusCode <= 299

  if (row.claimedBy !== null) yield say(`is still claimed by ${row.claimedBy}`)
  if (row.endings > 1) yield say('has ended twice')
  if (row.attempts.some((attempt, index) => attempt.number !== index + 1)) yield say('attempts are not numbered 1, 2, 3')
  if (row.state === 'waiting' && (webhook === undefined || webhook.state === 'active')) yield say('never came to an end')
  if (row.state === 'cancelled' && webhook !== undefined) yield say('was cancelled although its webhook exists')
  if (row.state === 'delivered' && !isSuccess) yield say('no receiver said 2xx')
  if (row.state !== 'delivered' && isSuccess) yield say('a receiver said 2xx')

  const delays = webhook?.retryDelaysSeconds ?? dialectOf(dialect).retry.delaysMs.map((ms) => ms / SECOND_MS)
  const isFinal = last?.statusCode === 401 && dialect === 'mftplus'
  if (webhook !== undefined && row.state === 'failed' && !isFinal && row.attempts.length !== delays.length + 1)
    yield say(`failed without its ${delays.length + 1} attempts`)
  for (const [index, attempt] of row.attempts.entries()) {
    if (!posted.has(`${id} ${attempt.startedAt}`)) yield say(`attempt ${attempt.number} was never posted`)
    const before = row.attempts[index - 1]
    if (before === undefined || webhook === undefined) continue
    const askedSeconds = before.statusCode === 429 ? RETRY_AFTER_SECONDS : 0
    const waitedMs = attempt.startedAt - before.startedAt - before.durationMs
    if (waitedMs < Math.max(delays[index - 1] ?? 0, askedSeconds) * SECOND_MS)
      yield say(`attempt ${attempt.number} came after only ${waitedMs} ms`)
  }

  if (!world.isCalm || !world.healthy.has(webhookId)) return
  const latenessMs = (row.attempts[0]?.startedAt ?? Number.POSITIVE_INFINITY) - row.createdAt
  if (latenessMs > LATENESS_MS_MAX) yield say(`started ${latenessMs} ms after its event although its receiver is healthy`)
}
