import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { plan } from '../../webhooks/plan.ts'
import type { Webhook } from '../../webhooks/webhook.ts'
import { aChange, anAccount, anAttempt, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'
import { startSqliteThreads } from './client.ts'
import { Connection, openWriter } from './database.ts'
import type { Answers, Call } from './protocol.ts'
import { openFresh, startThread } from './testing.ts'
import { Writer } from './writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'landfall-faults-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected
const PAGE = { limit: 1_000, offset: 0 }

/** A writer in this thread, so that its connection can be made to fail. */
function aWriter(name: string, connect = (connection: Connection) => connection) {
  const writer = new Writer(connect(openWriter(join(folder, name))), plan)
  let id = 0
  const run = (...units: [name: string, ...args: unknown[]][]): Promise<Answers> =>
    writer.runGroup(units.map(([unit, ...args]): Call => [++id, unit, args]))
  const kinds = async (...units: Parameters<typeof run>) => (await run(...units)).answers.map((answer) => (answer[1] === 'failed' ? answer[2].code : 'ok')) // biome-ignore format: one line
  return { writer, run, kinds }
}

test('a thread that dies rejects what waits and what comes, tells its owner once, and loses nothing that was answered', async () => {
  const file = join(folder, 'dies.sqlite')
  const threads: Worker[] = []
  const failures: Error[] = []
  const { open } = startSqliteThreads((role) => {
    const thread = startThread(role)
    threads.push(thread)
    return thread
  })
  const store = await open({ file, onFailure: (error) => failures.push(error) })
  const events = Array.from({ length: 2_000 }, () => anEvent())
  const results = events.map((event) => store.recordEvents([event]).then(() => event.id))
  // Some are answered, the rest wait or have not been sent.
  await results[300]
  await threads[0]!.terminate()
  const settled = await Promise.allSettled(results)
  const refused = settled.filter((result) => result.status === 'rejected')
  assert.ok(refused.every((result) => code('store_failed')(result.reason)))
  await assert.rejects(store.ping(), code('store_failed'))
  assert.equal(failures.length, 1)
  await store.stop()

  const again = await startSqliteThreads(startThread).open({ file })
  for (const result of settled) if (result.status === 'fulfilled') assert.ok(await again.findEvent(result.value))
  await again.stop()
})

test('a store that stops answers what was asked before and refuses what comes after', async () => {
  const { store, close } = await openFresh()
  const events = Array.from({ length: 500 }, () => store.recordEvents([anEvent()]))
  const listed = store.listEvents({}, PAGE)
  const stopped = close()
  await assert.rejects(store.ping(), code('stopping'))
  await Promise.all([...events, listed, stopped])
})

test('a database of a newer program is refused when it is opened', async () => {
  const file = join(folder, 'newer.sqlite')
  const connection = openWriter(file)
  connection.db.exec('insert into schema_version (version, applied_at) values (99, 0)')
  connection.db.close()
  await assert.rejects(startSqliteThreads(startThread).open({ file }), code('store_newer'))
})

test('threads that open nothing end, and so do those whose other one died while it loaded', async () => {
  await startSqliteThreads(startThread).stop()

  const failures: Error[] = []
  const threads: Worker[] = []
  const { open, stop } = startSqliteThreads((role) => {
    const thread = startThread(role)
    threads.push(thread)
    return thread
  })
  await threads[1]!.terminate()
  await assert.rejects(
    open({ file: join(folder, 'never.sqlite'), onFailure: (error) => failures.push(error) }),
    code('store_failed'),
  )
  await stop()
  // Who opens hears of it by the refusal; nobody's store was lost.
  assert.deepEqual(failures, [])
})

test('a unit that is refused takes back only itself, its webhooks and its nudges included', async () => {
  const { writer, run, kinds } = aWriter('unit.sqlite')
  const account = anAccount()
  const webhook = aWebhook({ accountId: account.id })
  await run(['createAccount', account, anAudit()], ['createWebhook', webhook, { webhooksMax: 1 }, anAudit()])
  const [first, second] = [anEvent(account.id), anEvent(account.id)]
  const outcome = await kinds(
    ['recordEvents', [first]],
    ['createWebhook', aWebhook({ accountId: account.id }), { webhooksMax: 1 }, anAudit()],
    ['createAccount', account, anAudit()],
    ['noSuchUnit'],
    ['recordEvents', [second]],
  )
  assert.deepEqual(outcome, ['ok', 'limit_reached', 'already_exists', 'internal', 'ok'])
  const claimed = await run(['claim', 'node_a', [{ webhookId: webhook.id, room: 9 }], tick()])
  assert.equal((claimed.answers[0]![2] as unknown[]).length, 2)
  const impossible = settling((claimed.answers[0]![2] as never[])[0]!, { state: 'delivered' }, { attempt: anAttempt(1, 500) })
  assert.deepEqual(await kinds(['settle', [impossible]], ['recordEvents', [anEvent(account.id)]]), ['store_failed', 'ok'])
  writer.close()
})

test('a commit that fails fails all its units, and the next group starts clean', async () => {
  let isFailing = false
  class FailingCommit extends Connection {
    override prepare(sql: string) {
      if (sql === 'commit' && isFailing) throw new Error('disk I/O error')
      return super.prepare(sql)
    }
  }
  const { writer, run, kinds } = aWriter('commit.sqlite', (connection) => new FailingCommit(connection.db))
  const webhook: Webhook = aWebhook()
  isFailing = true
  assert.deepEqual(await kinds(['createWebhook', webhook, { webhooksMax: 9 }, anAudit()], ['recordEvents', [anEvent()]]), [
    'store_failed',
    'store_failed',
  ])
  isFailing = false
  const { nudged } = await run(['recordEvents', [anEvent()]])
  assert.deepEqual(nudged, [], 'the webhook of the failed group is not known any more')
  assert.deepEqual(await kinds(['createWebhook', webhook, { webhooksMax: 9 }, anAudit()]), ['ok'])
  writer.close()
})

test('a full disk fails what does not fit, keeps what was committed, and goes on when there is room', async () => {
  const connection = openWriter(join(folder, 'full.sqlite'))
  const writer = new Writer(connection, plan)
  const account = anAccount()
  await writer.runGroup([[1, 'createAccount', [account, anAudit()]]])
  const { page_count: pages } = connection.db.prepare('pragma page_count').get() as { page_count: number }
  connection.db.exec(`pragma max_page_count = ${pages + 3}`)
  const recorded: string[] = []
  let refused = 0
  for (let number = 0; refused < 3; number += 1) {
    assert.ok(number < 1_000, 'the disk never fills')
    const change = aChange(account, { path: `/full/${number}` })
    const { answers } = await writer.runGroup([[number, 'recordChange', [change]]])
    if (answers[0]![1] === 'ok') recorded.push(change.event.id)
    else if (answers[0]![1] === 'failed') {
      assert.equal(answers[0]![2].code, 'store_failed')
      refused += 1
    }
  }
  connection.db.exec('pragma max_page_count = 1000000')
  const { n } = connection.db.prepare('select count(*) as n from intent').get() as { n: number }
  assert.equal(n, recorded.length)
  const change = aChange(account, { path: '/full/after' })
  const { answers } = await writer.runGroup([[1, 'recordChange', [change]]])
  assert.equal(answers[0]![1], 'ok')
  writer.close()
})

test('the file is readable by its owner only, and the journal is emptied at the end', async () => {
  const { store, file, close } = await openFresh()
  await store.recordEvents([anEvent()])
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(`${file}-wal`).mode & 0o777, 0o600)
  await close()
})
