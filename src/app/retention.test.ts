import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { PURGED_KINDS, type PurgeStep, type RetentionStore } from '../store/retention.ts'
import { PURGE_ROWS, Retention } from './retention.ts'

const NOW = Date.UTC(2026, 10, 22)
const LATER = 20 * MINUTE_MS

/** A store with this many old rows of each kind. */
function aStore(rows: Partial<Record<PurgeStep['kind'], number>>) {
  const left = new Map<PurgeStep['kind'], number>(PURGED_KINDS.map((kind) => [kind, rows[kind] ?? 0]))
  const steps: PurgeStep[] = []
  const store: RetentionStore = {
    async purge(step) {
      steps.push(step)
      const deleted = Math.min(left.get(step.kind)!, step.limit)
      left.set(step.kind, left.get(step.kind)! - deleted)
      return { deleted, attempts: 0, next: deleted < step.limit ? null : 'on' }
    },
    databaseBytes: async () => 0,
  }
  return { store, steps, left }
}

function aRetention(
  store: RetentionStore,
  settings = { retentionMs: 30 * DAY_MS, auditRetentionMs: 400 * DAY_MS, retentionBytesMax: 0 },
) {
  const lines: object[] = []
  const log = {
    ...silentLog,
    info: (fields: object) => void lines.push(fields),
    warn: (fields: object) => void lines.push(fields),
  }
  const { clock, moveTo, timers } = movingClock(NOW)
  const retention = new Retention({ store, clock, log: log as unknown as typeof silentLog, settings })
  retention.start()
  return { retention, lines, moveTo, timers }
}

test('a round deletes all that is old, step by step with pauses, says so once, and rests', async () => {
  const { store, steps, left } = aStore({ deliveries: PURGE_ROWS * 2 + 1, events: 5, minutes: 3 })
  const { retention, lines, moveTo } = aRetention(store)
  await moveTo(NOW + 2 * MINUTE_MS)
  assert.deepEqual([...new Set(left.values())], [0])
  assert.deepEqual(steps.slice(0, 4).map(({ kind, after }) => [kind, after]), [['deliveries', null], ['deliveries', 'on'], ['deliveries', 'on'], ['events', null]]) // biome-ignore format: one line
  assert.ok(steps.every((step) => step.limit === PURGE_ROWS))
  const ages = new Map(steps.map(({ kind, before }) => [kind, Math.round((NOW - before) / DAY_MS)]))
  assert.deepEqual([...ages], [['deliveries', 30], ['events', 30], ['minutes', 2], ['hours', 400], ['replays', 30], ['alerts', 30], ['webhooks', 30], ['transfers', 30], ['runs', 30], ['jobs', 30], ['audit', 400]]) // biome-ignore format: one line
  assert.equal(lines.length, 1)
  const { tookMs, ...counts } = lines[0] as { tookMs: number }
  assert.deepEqual(counts, { deliveries: PURGE_ROWS * 2 + 1, events: 5, minutes: 3 })
  assert.ok(tookMs > 0)

  const before = steps.length
  await moveTo(NOW + 3 * MINUTE_MS)
  assert.equal(steps.length, before)
  await moveTo(NOW + LATER)
  assert.equal(steps.length, before + PURGED_KINDS.length)
  assert.equal(lines.length, 1)
  await retention.stop()
})

test('what is too large goes back in time until it fits, and the last hour is never touched', async () => {
  const settings = { retentionMs: 30 * DAY_MS, auditRetentionMs: 400 * DAY_MS, retentionBytesMax: 500 }
  // One delivery of one byte every half hour, for 1,000 of them.
  let stored = Array.from({ length: 1_000 }, (_, index) => NOW - index * 30 * MINUTE_MS)
  const steps: PurgeStep[] = []
  const spread: RetentionStore = {
    async purge(step) {
      steps.push(step)
      const old = step.kind === 'deliveries' ? stored.filter((at) => at < step.before).slice(-step.limit) : []
      stored = stored.filter((at) => !old.includes(at))
      return { deleted: old.length, attempts: 0, next: old.length < step.limit ? null : 'on' }
    },
    databaseBytes: async () => stored.length,
  }
  const { retention, moveTo } = aRetention(spread, settings)
  await moveTo(NOW + 2 * MINUTE_MS)
  assert.ok(stored.length <= 500 && stored.length > 440, `${stored.length} left`)
  assert.equal(stored[0], NOW)
  await retention.stop()

  // Nothing may be deleted, so it never fits.
  const stubborn: RetentionStore = {
    async purge(step) {
      steps.push(step)
      return { deleted: 0, attempts: 0, next: null }
    },
    databaseBytes: async () => 2_000,
  }
  const other = aRetention(stubborn, settings)
  steps.length = 0
  await other.moveTo(NOW + LATER / 2)
  const cuts = steps.filter(({ kind }) => kind === 'deliveries').map(({ before }) => before)
  assert.ok(cuts.length > 10 && cuts.every((cut, index) => index === 0 || cut >= cuts[index - 1]!))
  assert.ok(cuts.at(-1)! >= NOW - 2 * HOUR_MS && cuts.every((cut) => cut <= NOW + MINUTE_MS - HOUR_MS))
  await other.retention.stop()
})

test('an error of the store is told and ends nothing: the next kind and the next round go on', async () => {
  const { store, left } = aStore({ deliveries: 10, events: 10 })
  let isBroken = true
  const broken: RetentionStore = {
    ...store,
    async purge(step) {
      if (isBroken && step.kind === 'deliveries') throw new Error('no database')
      return store.purge(step)
    },
  }
  const { retention, lines, moveTo } = aRetention(broken)
  await moveTo(NOW + 2 * MINUTE_MS)
  assert.deepEqual([left.get('deliveries'), left.get('events')], [10, 0])
  assert.deepEqual(lines.map((line) => Object.keys(line)), [['err', 'kind'], ['events', 'tookMs']]) // biome-ignore format: one line
  isBroken = false
  await moveTo(NOW + LATER)
  assert.equal(left.get('deliveries'), 0)
  await retention.stop()
})

test('stopping waits for no pause and leaves no timer', async () => {
  const { store, steps } = aStore({ deliveries: PURGE_ROWS * 10 })
  const { retention, moveTo, timers } = aRetention(store)
  await moveTo(NOW + MINUTE_MS)
  assert.equal(steps.length, 1)
  await retention.stop()
  assert.equal(steps.length, 1)
  assert.equal(timers.size, 0)
  await moveTo(NOW + LATER)
  assert.equal(steps.length, 1)
})
