import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ClaimedDelivery } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }
const RUNS = 15

const step = fc.oneof(
  fc.record({ kind: fc.constant('record' as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    kind: fc.constant('claim' as const),
    node: fc.constantFrom('node_a', 'node_b'),
    room: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    kind: fc.constant('settle' as const),
    node: fc.constantFrom('node_a', 'node_b'),
    pick: fc.nat(),
    outcome: fc.constantFrom('delivered', 'waiting', 'failed', 'ours'),
  }),
  fc.record({ kind: fc.constant('unclaim' as const), node: fc.constantFrom('node_a', 'node_b') }),
)

/** Whatever nodes do, also with claims that they have lost: the invariants of a delivery's life hold. */
export function lifecycleCases(world: World): void {
  test('attempts are numbered without gaps, a delivery ends once, a lost claim writes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const account = anAccount()
        await world.store.createAccount(account, anAudit())
        const webhook = aWebhook({ accountId: account.id })
        await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
        const want = (room: number) => [{ webhookId: webhook.id, room }]
        const owners = new Map<string, { node: string; claimed: ClaimedDelivery }>()
        /** Everything that a node ever got, so that it also tries what it has lost. */
        const seen = new Map<string, ClaimedDelivery[]>()
        let recorded = 0
        let ended = 0

        for (const action of steps) {
          if (action.kind === 'record') {
            await world.store.recordEvents(Array.from({ length: action.count }, () => anEvent(account.id)))
            recorded += action.count
          } else if (action.kind === 'claim') {
            for (const claimed of await world.store.claim(action.node, want(action.room), tick())) {
              assert.ok(!owners.has(claimed.id), 'claimed twice')
              owners.set(claimed.id, { node: action.node, claimed })
              seen.set(action.node, [...(seen.get(action.node) ?? []), claimed])
            }
          } else if (action.kind === 'settle') {
            const known = seen.get(action.node) ?? []
            const claimed = known[action.pick % Math.max(known.length, 1)]
            if (claimed === undefined) continue
            const owner = owners.get(claimed.id)
            const isOurs = owner?.node === action.node && owner.claimed.attempts === claimed.attempts
            const outcome =
              action.outcome === 'delivered'
                ? ({ state: 'delivered' } as const)
                : action.outcome === 'failed'
                  ? ({ state: 'failed', reason: 'no', webhookFails: false } as const)
                  : ({ state: 'waiting', dueAt: tick() } as const)
            const more = { node: action.node, ...(action.outcome === 'ours' && { attempt: null }) }
            const [result] = await world.store.settle([settling(claimed, outcome, more)])
            // Without an attempt only the owner is named, not the number.
            const expected = action.outcome === 'ours' ? owner?.node === action.node : isOurs
            assert.equal(result!.written, expected)
            if (expected) owners.delete(claimed.id)
            if (expected && outcome.state !== 'waiting') ended += 1
          } else {
            const held = [...owners].filter(([, owner]) => owner.node === action.node).map(([id]) => id)
            await world.store.unclaim(action.node, [...(seen.get(action.node) ?? []).map((claimed) => claimed.id), ...held])
            for (const id of held) owners.delete(id)
          }
        }

        const { rows, total } = await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)
        assert.equal(total, recorded)
        assert.equal(rows.filter((row) => row.state !== 'waiting').length, ended)
        for (const row of rows) {
          assert.equal(row.settledAt !== null, row.state !== 'waiting')
          const detail = await world.store.findDelivery(webhook.id, row.id)
          const numbers = detail!.attempts.map((attempt) => attempt.number)
          assert.deepEqual(numbers, Array.from({ length: row.attempts }, (_, index) => index + 1)) // biome-ignore format: one line
        }
        await world.store.unclaimAllBut('node_a', [])
        await world.store.unclaimAllBut('node_b', [])
      }),
      { numRuns: RUNS },
    )
  })
}
