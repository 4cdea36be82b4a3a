import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { plan } from '../../webhooks/plan.ts'
import { NODE_SILENT_MS, type Store } from '../store.ts'
import { aChange, anAccount, anAudit, anEvent, aPartial, aUser, aWebhook, settling, tick } from '../testing.ts'
import { openPostgresStore } from './store.ts'
import { openFresh } from './testing.ts'

const PAGE = { limit: 1_000, offset: 0 }

describe('postgres: several nodes and lost connections', () => {
  let fresh: Awaited<ReturnType<typeof openFresh>>
  let store: Store
  let admin: pg.Client

  before(async () => {
    fresh = await openFresh()
    store = fresh.store
    admin = new pg.Client({ connectionString: fresh.url })
    await admin.connect()
  })
  after(async () => {
    await admin.end()
    await fresh.close()
  })

  async function withWebhook() {
    const account = anAccount()
    await store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id })
    await store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    return { account, webhook, wants: [{ webhookId: webhook.id, room: 9 }] }
  }

  test('a node that beats keeps its claims, intents and partials; one silent for too long loses them', async () => {
    const { account, wants } = await withWebhook()
    const change = aChange(account, { path: '/nodes/x' })
    const partial = aPartial(aUser(account))
    await store.recordEvents([anEvent(account.id)])
    const at = tick()
    await store.beat({ id: 'node_a', startedAt: at }, at)
    await store.recordChange(change)
    await store.savePartial(partial)
    const [claimed] = await store.claim('node_a', wants, at + 1)

    const asks = async (now: number) => {
      await store.beat({ id: 'node_b', startedAt: at }, now)
      const freed = await store.freeClaims('node_b', now, NODE_SILENT_MS)
      return [freed, (await store.takeIntents('node_b', 9)).length, await store.releasePartials('node_b')]
    }
    assert.deepEqual(await asks(at + NODE_SILENT_MS), [0, 0, 0])
    assert.deepEqual(await asks(at + NODE_SILENT_MS + 1), [1, 1, 1])
    assert.deepEqual(await store.settle([settling(claimed!, { state: 'delivered' })]), [
      { written: false, webhookState: 'active' },
    ])
    await store.closeIntent({ id: change.intent.id, node: 'node_b' }, { node: 'node_b', deliveryIds: [] })
  })

  test('another node hears which webhooks have something due, and sees webhooks changed elsewhere at once', async () => {
    let hear: (ids: string[]) => void = () => {}
    const other = await openPostgresStore({ url: fresh.url, plan, node: 'node_b', onPlanned: (ids) => hear(ids) })
    const { account, webhook } = await withWebhook()
    const heard = new Promise<string[]>((resolve) => {
      hear = resolve
    })
    await store.recordEvents([anEvent(account.id)])
    assert.deepEqual(await heard, [webhook.id])
    await other.targets([webhook.id])
    await store.updateWebhook({ ...webhook, state: 'inactive' }, webhook, anAudit())
    assert.equal((await other.targets([webhook.id]))[0]?.state, 'inactive')
    await other.recordEvents([anEvent(account.id)])
    assert.equal((await store.listDeliveries({ webhookId: webhook.id }, PAGE)).total, 1)
    await other.stop()
  })

  test('two nodes that record while webhooks come and go plan exactly one delivery for each event after a webhook was made', async () => {
    const other = await openPostgresStore({ url: fresh.url, plan, node: 'node_b' })
    const { account, webhook } = await withWebhook()
    const noise = (async () => {
      for (let round = 0; round < 10; round += 1)
        await store.createWebhook(aWebhook({ accountId: account.id }), { webhooksMax: 50 }, anAudit())
    })()
    const events = Array.from({ length: 400 }, () => anEvent(account.id))
    await Promise.all(events.map((event, index) => (index % 2 === 0 ? store : other).recordEvents([event])))
    await noise
    const late = anEvent(account.id)
    await other.recordEvents([late])
    const { rows, total } = await store.listDeliveries({ webhookId: webhook.id }, PAGE)
    assert.deepEqual([total, new Set(rows.map((row) => row.eventId)).size], [401, 401])
    const { rows: webhooks } = await store.listWebhooks({ accountId: account.id }, PAGE)
    for (const { id } of webhooks) {
      const newest = await store.listDeliveries({ webhookId: id }, { limit: 1, offset: 0 })
      assert.equal(newest.rows[0]?.eventId, late.id)
    }
    await other.stop()
  })

  test('changes of one path, a folder and what is below it on two nodes: never two of them open', async () => {
    const other = await openPostgresStore({ url: fresh.url, plan, node: 'node_b' })
    const { account } = await withWebhook()
    for (let round = 0; round < 20; round += 1) {
      const move = aChange(account, { kind: 'rename', path: `/race${round}`, to: `/moved${round}` } as never)
      const below = aChange(account, { path: `/race${round}/deep/x` })
      const same = aChange(account, { path: `/race${round}/deep/x` })
      const results = await Promise.allSettled([store.recordChange(below), other.recordChange(move), other.recordChange(same)])
      const done = [below, move, same].filter((_, index) => results[index]!.status === 'fulfilled')
      assert.equal(done.length, 1)
      for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'path_busy')
      await store.closeIntent(done[0]!.intent, { node: 'node_a', deliveryIds: [] })
    }
    await other.stop()
  })

  test('connections that are cut again and again: every change and event is recorded once', async () => {
    const { account, webhook } = await withWebhook()
    const changes = Array.from({ length: 150 }, (_, index) => aChange(account, { path: `/cut/${index}` }))
    const events = Array.from({ length: 150 }, () => anEvent(account.id))
    const cutting = (async () => {
      for (let cut = 0; cut < 10; cut += 1) {
        await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'landfall' and pid <> pg_backend_pid()`)
        await admin.query('select pg_sleep(0.05)')
      }
    })()
    for (let start = 0; start < 150; start += 10) {
      const end = start + 10
      await Promise.all([
        ...changes.slice(start, end).map((change) => store.recordChange(change)),
        ...events.slice(start, end).map((event) => store.recordFact(event, anAudit('download', { accountId: account.id }))),
      ])
    }
    await cutting
    for (const change of changes) await store.closeIntent(change.intent, { node: 'node_a', deliveryIds: [] })
    const { rows, total } = await store.listDeliveries({ webhookId: webhook.id }, PAGE)
    assert.deepEqual([total, new Set(rows.map((row) => row.eventId)).size], [300, 300])
    assert.deepEqual(await store.accountUsage(account.id), { bytes: 450, files: 150 })
    assert.equal((await store.listAudit({ accountId: account.id, action: 'download' }, PAGE)).total, 150)
  })
})
