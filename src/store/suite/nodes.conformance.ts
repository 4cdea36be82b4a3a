import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { World } from '../conformance.ts'
import { NODE_SILENT_MS } from '../store.ts'
import { aChange, anAccount, anAudit, anEvent, aPartial, aUser, aWebhook, tick } from '../testing.ts'

/** Nodes that are lost in both stores: of an earlier life, and silent for long. */
export function nodeCases(world: World): void {
  async function account() {
    const made = anAccount()
    await world.store.createAccount(made, anAudit())
    return made
  }

  async function succeed(old: string, next: string) {
    const at = tick()
    await world.store.beat({ id: old, startedAt: at }, at)
    const now = at + NODE_SILENT_MS + 1
    await world.store.beat({ id: next, startedAt: now }, now)
    return now
  }

  test('claims of a lost node are freed; its late settlement writes nothing', async () => {
    const { id: accountId } = await account()
    const webhook = aWebhook({ accountId })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    await world.store.recordEvents([anEvent(accountId), anEvent(accountId)])
    const wants = [{ webhookId: webhook.id, room: 5 }]
    const now = await succeed('node_1', 'node_2')
    assert.equal((await world.store.claim('node_1', wants, now)).length, 2)
    assert.deepEqual(await world.store.claim('node_2', wants, now), [])
    assert.equal(await world.store.freeClaims('node_2', now, NODE_SILENT_MS), 2)
    assert.equal((await world.store.claim('node_2', wants, now)).length, 2)
    assert.equal(await world.store.freeClaims('node_2', now, NODE_SILENT_MS), 0)
  })

  test('claims but those kept are put back', async () => {
    const { id: accountId } = await account()
    const webhook = aWebhook({ accountId })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    await world.store.recordEvents([anEvent(accountId), anEvent(accountId), anEvent(accountId)])
    const wants = [{ webhookId: webhook.id, room: 5 }]
    const claimed = await world.store.claim('node_keeps', wants, tick())
    assert.equal(await world.store.unclaimAllBut('node_keeps', [claimed[1]!.id]), 2)
    const again = await world.store.claim('node_keeps', wants, tick())
    assert.deepEqual(again, [claimed[0], claimed[2]])
    assert.equal(await world.store.unclaimAllBut('node_keeps', []), 3)
  })

  test('intents of a lost node change their owner, oldest first, and the old owner can do nothing any more', async () => {
    const made = await account()
    const changes = [1, 2, 3].map((number) => aChange(made, { path: `/n/${number}` }, { node: 'node_3' }))
    for (const change of changes) await world.store.recordChange(change)
    await succeed('node_3', 'node_4')
    const first = await world.store.takeIntents('node_4', 2)
    const rest = await world.store.takeIntents('node_4', 10)
    const expected = changes.map((change) => ({ ...change.intent, node: 'node_4' }))
    assert.deepEqual([first, rest], [expected.slice(0, 2), expected.slice(2)])
    await world.store.closeIntent(changes[0]!.intent, { node: 'node_3', deliveryIds: [] })
    const open = () => Promise.all(changes.map(({ intent }) => world.store.findIntent(intent.id)))
    assert.deepEqual(await open(), expected)
    for (const intent of expected) await world.store.closeIntent(intent, { node: 'node_4', deliveryIds: [] })
    assert.deepEqual(await open(), [undefined, undefined, undefined])
  })

  test('an intent is taken by one of those who ask at the same time', async () => {
    const made = await account()
    const change = aChange(made, { path: '/n/once' }, { node: 'node_5' })
    await world.store.recordChange(change)
    await succeed('node_5', 'node_6')
    const takes = await Promise.all([1, 2, 3, 4].map(() => world.store.takeIntents('node_6', 10)))
    assert.equal(takes.flat().length, 1)
    await world.store.closeIntent({ id: change.intent.id, node: 'node_6' }, { node: 'node_6', deliveryIds: [] })
  })

  test('what a forgotten node holds may be taken at once', async () => {
    const made = await account()
    const { id: accountId } = made
    const webhook = aWebhook({ accountId })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    await world.store.recordEvents([anEvent(accountId)])
    const at = tick()
    for (const id of ['node_9', 'node_10']) await world.store.beat({ id, startedAt: at }, at)
    // What the tests before left behind by nodes that nobody knows.
    await world.store.freeClaims('node_10', at, NODE_SILENT_MS)
    await world.store.releasePartials('node_10')
    assert.equal((await world.store.claim('node_9', [{ webhookId: webhook.id, room: 1 }], at)).length, 1)
    const change = aChange(made, { path: '/n/forgotten' }, { node: 'node_9' })
    await world.store.recordChange(change)
    const user = aUser(made)
    await world.store.savePartial(aPartial(user, { node: 'node_9' }))

    await world.store.forgetNode('node_9')
    assert.equal(await world.store.freeClaims('node_10', at, NODE_SILENT_MS), 1)
    assert.deepEqual(await world.store.takeIntents('node_10', 10), [{ ...change.intent, node: 'node_10' }])
    assert.equal(await world.store.releasePartials('node_10'), 1)
    await world.store.closeIntent({ id: change.intent.id, node: 'node_10' }, { node: 'node_10', deliveryIds: [] })
    await world.store.forgetNode('node_9')
  })

  test('partials of a lost node become nobody’s', async () => {
    const user = aUser(await account())
    const partial = aPartial(user, { node: 'node_7' })
    await world.store.savePartial(partial)
    await succeed('node_7', 'node_8')
    assert.equal(await world.store.releasePartials('node_8'), 1)
    assert.deepEqual(await world.store.findPartial(user.id, partial.path), { ...partial, node: null })
  })
}
