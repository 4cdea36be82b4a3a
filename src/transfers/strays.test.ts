import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent } from '../agents/agent.ts'
import { silentLog } from '../base/log.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { createStrays, FOREIGN_LOST_AFTER_MS } from './strays.ts'
import { anAgent, aTransfer } from './testing.ts'
import type { Verdict } from './transfer-work.ts'

const START = 1_800_000_000_000

/** Two agents that are not heard of any more, one of them revoked, each with a transfer that nobody ends but this. */
function world(before = () => {}) {
  let [wall, monotonic] = [START, 0]
  const clock = { now: () => wall, monotonic: () => monotonic, after: () => () => {} }
  const [foreign, revoked] = [anAgent(START), anAgent(START, { revokedAt: START })]
  const agents = [foreign, revoked]
  let open = agents.map(({ id }) => aTransfer(START, { agentId: id, isForeign: true }))
  const agentOf = (id: string) => agents.find((agent) => agent.id === id) as Agent
  const strays = createStrays({
    store: {
      async strandedTransfers(foreignSeenBefore) {
        const isStranded = ({ revokedAt, lastSeenAt }: Agent) => revokedAt !== null || lastSeenAt < foreignSeenBefore
        return open.filter(({ agentId }) => isStranded(agentOf(agentId)))
      },
    },
    agents: { findAgent: async (id) => agentOf(id) },
    works: {
      async carryOut(verdicts: readonly Verdict[]) {
        before()
        open = open.filter(({ id }) => !verdicts.some(({ before }) => before.id === id))
        ended.push(...verdicts.map(({ after }) => after.errorCode!))
      },
    },
    clock,
    log: silentLog,
  })
  const ended: string[] = []
  /** Time goes by, and the clock is set by `step`. */
  async function pass(ms: number, step = 0): Promise<string[]> {
    wall += ms + step
    monotonic += ms
    await strays.endNow()
    return ended.splice(0)
  }
  return pass
}

test('what a revoked agent had ends at once, what a foreign one has when it was silent for an hour', async () => {
  const pass = world()
  assert.deepEqual(await pass(0), ['AGENT_REVOKED'])
  assert.deepEqual(await pass(FOREIGN_LOST_AFTER_MS), [])
  assert.deepEqual(await pass(1), ['AGENT_LOST'])
})

test('where ending what a revoked agent had fails, it is revoked all the same, and the next sweep does it', async () => {
  let isDown = true
  const pass = world(() => {
    if (isDown) throw new Error('the database does not answer')
  })
  assert.deepEqual(await pass(0), [])
  isDown = false
  assert.deepEqual(await pass(0), ['AGENT_REVOKED'])
})

test('a clock that is set forward makes nobody silent before all had the time to be heard of', async () => {
  const pass = world()
  await pass(30 * MINUTE_MS)
  assert.deepEqual(await pass(MINUTE_MS, 2 * HOUR_MS), [])
  assert.deepEqual(await pass(9 * MINUTE_MS), [])
  assert.deepEqual(await pass(MINUTE_MS), ['AGENT_LOST'])
})

test('a server that was away for hours lets them be heard of first', async () => {
  const pass = world()
  // The wall clock went on while nobody listened; that is as long ago as a step at the start.
  assert.deepEqual(await pass(0, 5 * HOUR_MS), ['AGENT_REVOKED'])
  assert.deepEqual(await pass(9 * MINUTE_MS), [])
  assert.deepEqual(await pass(2 * MINUTE_MS), ['AGENT_LOST'])
})
