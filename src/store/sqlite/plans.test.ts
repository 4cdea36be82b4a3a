import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StatementSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { plan } from '../../webhooks/plan.ts'
import type { ClaimedDelivery } from '../../webhooks/webhook.ts'
import { PURGED_KINDS } from '../retention.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'
import { Connection, openWriter } from './database.ts'
import { Writer } from './writer.ts'

/*
 * What every list and figure asks of the tables that grow without end. A plan does not depend on the rows here (nothing is ever
 * analysed), so it is the same with ten million of them.
 */

const folder = mkdtempSync(join(tmpdir(), 'landfall-plans-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Tables whose rows nobody may look through one by one. */
const LONG = /^(SCAN|SEARCH) (event|delivery|attempt|audit|tally|d)\b/

/** Keeps the plan of every statement that it prepares. */
class Explaining extends Connection {
  readonly plans = new Map<string, string[]>()

  override prepare(sql: string): StatementSync {
    const statement = super.prepare(sql)
    if (!this.plans.has(sql) && /^\s*(with|select|update|delete|insert)/i.test(sql)) {
      const rows = this.db.prepare(`explain query plan ${sql}`).all()
      this.plans.set(sql, rows.map((row) => String(row.detail))) // biome-ignore format: one line
    }
    return statement
  }
}

/** A step that reads a long table from one end to the other: without any index, or with one and without an end to it. */
function isEndless(step: string, sql: string): boolean {
  if (!LONG.test(step) || step.startsWith('SEARCH')) return false
  return !(/USING (COVERING )?INDEX/.test(step) && /\blimit\b/i.test(sql))
}

test('no list, figure or write of the hot path looks through a long table', async () => {
  const connection = new Explaining(openWriter(join(folder, 'plans.sqlite')).db)
  const writer = new Writer(connection, plan)
  let id = 0
  async function run(name: string, ...args: unknown[]) {
    const { answers } = await writer.runGroup([[++id, name, args]])
    const [answer] = answers
    assert.ok(answer !== undefined && answer[1] !== 'failed', `${name}: ${JSON.stringify(answer)}`)
    return answer[1] === 'ok' ? (answer[2] as never) : undefined
  }

  const account = anAccount()
  const webhook = aWebhook({ accountId: account.id, order: 'key' })
  await run('createAccount', account, anAudit())
  await run('createWebhook', webhook, { webhooksMax: 5 }, anAudit())
  const change = aChange(account, { path: '/p' })
  await run('recordChange', change)
  await run('closeIntent', change.intent, { node: 'node_a', deliveryIds: [] })
  await run('recordEvents', [anEvent(account.id), anEvent(account.id, { type: 'transfer.progress', data: { transferId: 't' } })])
  const claimed = await run('claim', 'node_a', [{ webhookId: webhook.id, room: 10 }], tick())
  await run('settle', (claimed as unknown as ClaimedDelivery[]).map((one) => settling(one, { state: 'failed', reason: 'no', webhookFails: true }))) // biome-ignore format: one line
  await run('dueWebhooks', tick(), 100)

  const pages = [
    { limit: 20, offset: 40 },
    { limit: 20, offset: 0, after: 'dlv_x.1' },
  ]
  for (const page of pages) {
    for (const state of [undefined, 'waiting', 'delivered', 'failed', 'cancelled']) {
      for (const eventType of [undefined, 'file.uploaded']) {
        const filter = { webhookId: webhook.id, ...(state && { state }), ...(eventType && { eventType }) }
        await run('listDeliveries', filter, page)
      }
    }
    await run('listAttempts', webhook.id, page)
    for (const accountId of [undefined, account.id]) {
      for (const types of [undefined, ['file.uploaded']]) {
        for (const span of [{}, { since: 1, until: tick() }]) {
          await run('listEvents', { ...(accountId && { accountId }), ...(types && { types }), ...span }, page)
        }
      }
    }
    await run('listAudit', {}, page)
    await run('listAudit', { accountId: account.id }, page)
    await run('listAudit', { actor: 'somebody', action: 'upload' }, page)
    await run('listReplays', webhook.id, page)
    await run('listAlerts', {}, page)
  }
  await run('findDelivery', webhook.id, 'dlv_x')
  await run('eventsAfter', null, 100)
  await run('eventsEnd')
  await run('eventsInRange', { accountId: account.id, from: 'whevt_', after: null, before: 'whevt_z' }, 100)
  await run('eventsByIds', ['whevt_x'])
  await run('sendingsOf', webhook.id, ['whevt_x'])
  await run('countWaiting', 'rpl_x', 100)
  await run('tallyOf', webhook.id, { grain: 'hour', from: 0, until: tick() })
  await run('tallyOfAll', { grain: 'minute', from: 0, until: tick() }, 10)
  await run('recentFailures', webhook.id, 10)
  await run('vitals', [webhook.id], 0, 0)
  await run('freeClaims', 'node_a', tick(), 1_000)
  await run('unclaimAllBut', 'node_a', [])
  await run('unclaim', 'node_a', ['dlv_x'])
  for (const kind of PURGED_KINDS) await run('purge', { kind, before: tick(), after: null, limit: 100 })
  await run('makeDue', webhook.id, tick(), 100)
  await run('leaveOrder', webhook.id, 'progress:', 100)
  await run('removeWebhook', webhook.id, anAudit())
  await run('cancelOrphans', 10)
  writer.close()

  const endless = [...connection.plans].flatMap(([sql, steps]) =>
    steps.filter((step) => isEndless(step, sql)).map((step) => `${step}: ${sql}`),
  )
  assert.deepEqual(endless, [])
  // The check itself sees steps of long tables, and refuses what it should.
  assert.ok([...connection.plans.values()].flat().filter((step) => LONG.test(step)).length > 50)
  assert.ok(isEndless('SCAN delivery', 'select * from delivery limit 9'))
  assert.ok(isEndless('SCAN attempt USING COVERING INDEX x', 'select count(*) from attempt'))
})
