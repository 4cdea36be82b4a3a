import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '../../files/port.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, aPartial, aUser, aWebhook, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const NOBODY = { node: 'node_a', deliveryIds: [] }
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected

export function fileCases(world: World): void {
  async function account() {
    const made = anAccount()
    await world.store.createAccount(made, anAudit())
    return made
  }

  async function withWebhooks(count: number) {
    const made = await account()
    const webhooks = Array.from({ length: count }, () => aWebhook({ accountId: made.id }))
    for (const webhook of webhooks) await world.store.createWebhook(webhook, { webhooksMax: 10 }, anAudit())
    return { account: made, webhooks }
  }

  const planned = (held: { deliveries: readonly object[] }) => held.deliveries as PlannedDelivery[]
  const busy = (change: Change) => assert.rejects(world.store.recordChange(change), code('path_busy'))

  test('a recorded change is held: nothing of it shows until it is let go, born claimed or due for all', async () => {
    const { account: made, webhooks } = await withWebhooks(2)
    const change = aChange(made, { path: '/a/held.csv' })
    const held = await world.store.recordChange(change)
    assert.equal(held.eventId, change.event.id)
    assert.deepEqual(planned(held).map((delivery) => delivery.webhookId).sort(), webhooks.map((webhook) => webhook.id).sort()) // biome-ignore format: one line
    assert.deepEqual(await world.store.findIntent(change.intent.id), change.intent)
    assert.equal(await world.store.findEvent(change.event.id), undefined)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 3, files: 1 })
    const wants = webhooks.map((webhook) => ({ webhookId: webhook.id, room: 5 }))
    assert.deepEqual(await world.store.claim('node_a', wants, tick()), [])
    assert.equal((await world.store.listDeliveries({ webhookId: webhooks[0]!.id }, PAGE)).total, 0)
    assert.equal(await world.store.findDelivery(webhooks[0]!.id, planned(held)[0]!.id), undefined)

    const [mine, free] = planned(held)
    world.nudged.length = 0
    await world.store.closeIntent(change.intent, { node: 'node_a', deliveryIds: [mine!.id] })
    assert.deepEqual(world.nudged, [free!.webhookId])
    assert.deepEqual(await world.store.findEvent(change.event.id), change.event)
    assert.equal(await world.store.findIntent(change.intent.id), undefined)
    const claimed = await world.store.claim('node_b', wants, tick())
    assert.deepEqual(claimed, [{ ...free, attempts: 0, createdAt: change.event.occurredAt }])
    await world.store.unclaim('node_a', [mine!.id, free!.id])
    assert.deepEqual(await world.store.claim('node_b', wants, tick()), [
      { ...mine, attempts: 0, createdAt: change.event.occurredAt },
    ])
    assert.equal((await world.store.listAudit({ accountId: made.id, action: 'upload' }, PAGE)).total, 1)
  })

  test('an undone change gives back what it took, and its deliveries end cancelled', async () => {
    const { account: made, webhooks } = await withWebhooks(1)
    const change = aChange(made, { path: '/a/undone.csv' })
    await world.store.recordChange(change)
    await world.store.undoIntent({ ...change.intent, node: 'node_b' }, anAudit())
    assert.deepEqual(await world.store.findIntent(change.intent.id), change.intent)
    await world.store.undoIntent(change.intent, anAudit('upload', { accountId: made.id, result: 'storage_failed' }))
    await world.store.closeIntent(change.intent, NOBODY)
    assert.equal(await world.store.findIntent(change.intent.id), undefined)
    assert.equal(await world.store.findEvent(change.event.id), undefined)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 0, files: 0 })
    const { rows } = await world.store.listDeliveries({ webhookId: webhooks[0]!.id }, PAGE)
    assert.deepEqual(rows.map((row) => [row.state, row.attempts]), [['cancelled', 0]]) // biome-ignore format: one line
    assert.equal((await world.store.dueWebhooks(tick() + 1e6, 100)).webhookIds.includes(webhooks[0]!.id), false)
  })

  test('closing names its owner, and closing again does nothing', async () => {
    const { account: made } = await withWebhooks(1)
    const change = aChange(made, { path: '/a/owner.csv' })
    await world.store.recordChange(change)
    await world.store.closeIntent({ ...change.intent, node: 'node_b' }, NOBODY)
    assert.deepEqual(await world.store.findIntent(change.intent.id), change.intent)
    await world.store.closeIntent(change.intent, NOBODY)
    await world.store.closeIntent(change.intent, NOBODY)
    await world.store.undoIntent(change.intent, anAudit())
    assert.deepEqual(await world.store.findEvent(change.event.id), change.event)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 3, files: 1 })
  })

  test('a path is held by one open intent; a refused change leaves nothing', async () => {
    const made = await account()
    const first = aChange(made, { path: '/b/same.csv' })
    const second = aChange(made, { path: '/b/same.csv' })
    await world.store.recordChange(first)
    await busy(second)
    assert.equal(await world.store.findIntent(second.intent.id), undefined)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 3, files: 1 })
    await world.store.closeIntent(first.intent, NOBODY)
    await world.store.recordChange(second)
    await world.store.closeIntent(second.intent, NOBODY)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 6, files: 2 })
  })

  test('of many changes of one path at the same time one is recorded', async () => {
    const made = await account()
    const changes = Array.from({ length: 20 }, () => aChange(made, { path: '/b/race.csv' }))
    const apart = Array.from({ length: 20 }, (_, index) => aChange(made, { path: `/b/apart${index}.csv` }))
    const results = await Promise.allSettled([...changes, ...apart].map((change) => world.store.recordChange(change)))
    assert.equal(results.slice(0, 20).filter((result) => result.status === 'fulfilled').length, 1)
    assert.equal(results.slice(20).filter((result) => result.status === 'fulfilled').length, 20)
    for (const change of [...changes, ...apart]) await world.store.closeIntent(change.intent, NOBODY)
    for (const { intent } of [...changes, ...apart]) assert.equal(await world.store.findIntent(intent.id), undefined)
  })

  const LATIN_1_CHILD = `hex:${Buffer.from('/tree/\xff.csv', 'latin1').toString('hex')}`
  const subtree = [
    {
      name: 'a folder that moves waits for a change below it',
      open: { path: '/tree/deep/x' },
      next: { kind: 'rename', path: '/tree', to: '/wood' },
    },
    { name: 'a folder that goes waits for a change below it', open: { path: '/tree/x' }, next: { kind: 'rmdir', path: '/tree' } },
    {
      name: 'a change waits for the folder above that moves',
      open: { kind: 'rename', path: '/tree', to: '/wood' },
      next: { path: '/tree/deep/x' },
    },
    {
      name: 'a change waits for the folder that comes there',
      open: { kind: 'rename', path: '/tree', to: '/wood' },
      next: { path: '/wood/x' },
    },
    {
      name: 'a name that is not UTF-8 lies below its folder',
      open: { path: LATIN_1_CHILD },
      next: { kind: 'rename', path: '/tree', to: '/wood' },
    },
    { name: 'and the other way round', open: { kind: 'rename', path: '/tree', to: '/wood' }, next: { path: LATIN_1_CHILD } },
    { name: 'both ends of a rename are held', open: { kind: 'rename', path: '/one', to: '/two' }, next: { path: '/two' } },
  ] as const
  for (const { name, open, next } of subtree) {
    test(`subtrees: ${name}`, async () => {
      const made = await account()
      const first = aChange(made, open)
      await world.store.recordChange(first)
      await busy(aChange(made, next))
      const beside = aChange(made, { path: '/treetop' })
      await world.store.recordChange(beside)
      await world.store.closeIntent(beside.intent, NOBODY)
      await world.store.closeIntent(first.intent, NOBODY)
      const again = aChange(made, next)
      await world.store.recordChange(again)
      await world.store.closeIntent(again.intent, NOBODY)
    })
  }

  test('repeating a recorded change answers as the first time', async () => {
    const { account: made } = await withWebhooks(2)
    const change = aChange(made, { path: '/b/repeated.csv' })
    const first = await world.store.recordChange(change)
    const again = await world.store.recordChange(change)
    const byId = (held: typeof first) => planned(held).sort((a, b) => (a.id < b.id ? -1 : 1))
    assert.deepEqual(byId(again), byId(first))
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 3, files: 1 })
    await world.store.closeIntent(change.intent, NOBODY)
  })

  test('the longest path there may be can be held', async () => {
    const made = await account()
    let folder = ''
    for (let depth = 0; depth < 15; depth += 1) folder += `/${String.fromCharCode(97 + depth).repeat(255)}`
    const change = aChange(made, { path: `${folder}/x` })
    await world.store.recordChange(change)
    await busy(aChange(made, { kind: 'rename', path: folder, to: '/short' }))
    await world.store.closeIntent(change.intent, NOBODY)
  })

  test('a partial is saved, found where it shows, taken by one and ended by its upload', async () => {
    const made = await account()
    const user = aUser(made)
    const partial = aPartial(user)
    await world.store.savePartial(partial)
    assert.equal(await world.store.findPartial(user.id, partial.path), undefined)
    const free = { ...partial, node: null, prefixBytes: 2048, updatedAt: tick() }
    await world.store.savePartial(free)
    assert.deepEqual(await world.store.findPartial(user.id, partial.path), free)
    assert.deepEqual(await world.store.listPartials(user.id, '/in', 10), [free])
    assert.deepEqual(await world.store.listPartials(user.id, '/', 10), [])
    assert.equal(await world.store.findPartial('usr_other', partial.path), undefined)
    assert.ok((await world.store.keptTemporaries(0)).includes(partial.temporary))

    const takes = await Promise.all([1, 2, 3].map(() => world.store.takePartial(partial.id, 'node_a')))
    assert.deepEqual(takes.filter((taken) => taken !== undefined), [{ ...free, node: 'node_a' }]) // biome-ignore format: one line
    const change = { ...aChange(made, { path: partial.path, temporary: partial.temporary }), endsUpload: partial.id }
    await world.store.recordChange(change)
    assert.equal(await world.store.takePartial(partial.id, 'node_a'), undefined)
    assert.ok((await world.store.keptTemporaries(0)).includes(partial.temporary), 'an open intent keeps its temporary')
    await world.store.closeIntent(change.intent, NOBODY)
    assert.ok(!(await world.store.keptTemporaries(0)).includes(partial.temporary))
  })

  test('nobody’s partials age out; one in the root is listed there; one can be removed', async () => {
    const user = aUser(await account())
    const old = aPartial(user, { node: null, path: '/old', updatedAt: 10 })
    const written = aPartial(user, { path: '/written', updatedAt: 10 })
    const young = aPartial(user, { node: null, path: '/young' })
    for (const partial of [old, written, young]) await world.store.savePartial(partial)
    assert.deepEqual(await world.store.listPartials(user.id, '/', 10), [old, young])
    const kept = await world.store.keptTemporaries(11)
    assert.deepEqual([old, written, young].map((partial) => kept.includes(partial.temporary)), [false, true, true]) // biome-ignore format: one line
    assert.deepEqual(await world.store.listPartials(user.id, '/', 10), [young])
    await world.store.removePartial(young.id)
    assert.deepEqual(await world.store.listPartials(user.id, '/', 10), [])
  })
}
