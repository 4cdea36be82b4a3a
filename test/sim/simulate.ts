import { MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { dialectOf } from '../../src/dialects/index.ts'
import type { Database, DeliveryRow } from './database.ts'
import { RETRY_AFTER_SECONDS } from './network.ts'
import { PostChecks } from './posts.ts'
import type { ReplayRow } from './replays.ts'
import { BUSY_MS, concerns, START_AT, World } from './world.ts'

/** After everything is mended, the world must come to rest within this time, ms. */
const REST_MS_MAX = 90 * MINUTE_MS
/** A delivery to a healthy receiver starts within this time of its event when nothing of ours fails, ms: a sweep and what goes with it. */
const LATENESS_MS_MAX = 1_500
/** The same for the next of an order, where nothing else is to be waited for: no sweep, only the calls of one attempt. */
const TURN_MS_MAX = 200

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
  const posts = new PostChecks(world)
  world.network.onPost = (posted) => violations.push(...posts.start(posted))
  world.network.onResult = (posted, result) => posts.end(posted, result)
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

function isAtRest({ database, replays, processes }: World): boolean {
  // One that was stopping when everything was mended comes back later.
  if (processes.some((process) => process === undefined || process.isStopping)) return false
  if ([...replays.rows.values()].some((row) => isUnderWay(database, row))) return false
  return [...database.deliveries.values()].every((row) => {
    const webhook = database.webhooks.get(row.planned.webhookId)
    return row.claimedBy === null && (row.state !== 'waiting' || (webhook !== undefined && webhook.state !== 'active'))
  })
}

function* checkEnd(world: World): Generator<string> {
  const rows = [...world.database.deliveries.values()]
  yield* checkPlanning(world, rows)
  yield* checkReplays(world, rows)
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
  const first = rows.filter((row) => row.planned.cause === 'event')
  const byEvent = Map.groupBy(first, (row) => row.planned.eventId)
  for (const { event, expected } of database.events) {
    const planned = (byEvent.get(event.id) ?? []).map((row) => row.planned.webhookId)
    if (planned.toSorted().join() !== expected.toSorted().join())
      yield `event ${event.id} was planned for [${planned}], not for [${expected}]`
  }
}

/** No event is sent twice by one replay, and one that asks for all and was not cancelled has sent whatever had been said. */
function* checkReplays({ database, replays }: World, rows: readonly DeliveryRow[]): Generator<string> {
  for (const row of replays.rows.values()) {
    const { replay, state, said } = row
    if (isUnderWay(database, row)) yield `replay ${replay.id} of ${replay.webhookId} (${state}) never came to an end`
    const sent = rows.filter((row) => row.planned.replayId === replay.id).map((row) => row.planned.eventId)
    if (new Set(sent).size !== sent.length) yield `replay ${replay.id} has sent an event twice`
    const webhook = database.webhooks.get(replay.webhookId)
    if (state !== 'done' || replay.request.only !== 'all' || webhook === undefined) continue
    const missing = database.events.slice(0, said).filter(({ event }) => concerns(webhook, event) && !sent.includes(event.id))
    if (missing.length > 0) yield `replay ${replay.id} has left out ${missing.length} events`
  }
}

/** One whose webhook is off waits with it. */
function isUnderWay({ webhooks }: Database, { replay, state, isOpen }: ReplayRow): boolean {
  const webhook = webhooks.get(replay.webhookId)
  return isOpen && (state === 'cancelled' || webhook === undefined || webhook.state === 'active')
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
  if (row.state === 'cancelled' && webhook !== undefined && !isReplaced(world, row)) yield say(`was cancelled: ${row.reason}`)
  if (row.state === 'delivered' && !isSuccess) yield say('no receiver said 2xx')
  const isExpired = row.reason?.startsWith('expired: ') === true
  if (isExpired && row.endedAt! < row.createdAt && row.attempts.length === 0) yield say('expired at once')
  if (row.state !== 'delivered' && isSuccess) yield say('a receiver said 2xx')

  const delays = webhook?.retryDelaysSeconds ?? dialectOf(dialect).retry.delaysMs.map((ms) => ms / SECOND_MS)
  const isFinal = last?.statusCode === 401 && dialect === 'mftplus'
  if (webhook !== undefined && row.state === 'failed' && !isFinal && !isExpired && row.attempts.length !== delays.length + 1)
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

  if (!world.isCalm || !world.healthy.has(webhookId) || row.state === 'cancelled') return
  const latenessMs = (row.attempts[0]?.startedAt ?? Number.POSITIVE_INFINITY) - turnOf(world, row)
  if (latenessMs > LATENESS_MS_MAX) yield say(`started ${latenessMs} ms after its event although its receiver is healthy`)
  const turn = turnOf(world, row)
  if (webhook?.order === 'webhook' && turn > row.createdAt && latenessMs > TURN_MS_MAX)
    yield say(`started ${latenessMs} ms after the one before it had ended`)
}

/** When it could first be sent: once those before it in its order have ended. */
function turnOf({ database }: World, { planned, createdAt }: DeliveryRow): number {
  if (planned.orderKey === null) return createdAt
  const order = database.orderOf(planned.webhookId, planned.orderKey)
  const before = order.slice(
    0,
    order.findIndex((row) => row.planned === planned),
  )
  return Math.max(createdAt, ...before.map((row) => row.endedAt!))
}

/** Cancelled for a reason: a newer one says the same better, or its replay was cancelled. */
function isReplaced({ database, replays }: World, { planned, endedAt }: DeliveryRow): boolean {
  if (planned.replayId !== null && replays.rows.get(planned.replayId)?.state === 'cancelled') return true
  const { webhookId, orderKey, collapseKey } = planned
  if (collapseKey === null || orderKey === null) return false
  const order = database.orderOf(webhookId, orderKey)
  const later = order.slice(order.findIndex((row) => row.planned === planned) + 1)
  return later.some((row) => row.planned.collapseKey === collapseKey && row.createdAt <= endedAt!)
}
