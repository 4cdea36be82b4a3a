import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startTestServer, type TestServer } from '../server.ts'

// What a receiver missed, sent again from the command line: against a running server and a receiver.

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
let server: TestServer
let receiver: Server
const received: { id: string; delivery: string }[] = []
before(async () => {
  server = await startTestServer()
  receiver = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      received.push({ id: JSON.parse(text).id, delivery: String(request.headers['x-webhook-id']) })
      response.end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
})
after(async () => {
  receiver.closeAllConnections()
  receiver.close()
  await server.stop()
})

function landfall(args: readonly string[], input = ''): Promise<{ status: number; out: string; error: string }> {
  return new Promise((resolve) => {
    const all = [ENTRY, ...args, '--data', server.folder]
    const child = execFile(process.execPath, all, { env: { PATH: process.env.PATH } }, (error, out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr })
    })
    child.stdin?.end(input)
  })
}

async function json<Answer>(args: readonly string[], input?: string, status = 0): Promise<Answer> {
  const ended = await landfall([...args, '--json'], input)
  assert.equal(ended.status, status, ended.error + ended.out)
  return JSON.parse(ended.out) as Answer
}

/** An event: a user was made. */
const happens = (name: string) => json(['user', 'add', name, '--password-stdin'], 'a long password\n')

test('resume, replay, reconcile and explain bring a receiver up to date', async () => {
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const { id } = await json<{ id: string }>(['webhook', 'create', '--url', url, '--events', 'ftp_user.created'])
  await landfall(['webhook', 'deactivate', id])
  await happens('one')
  await happens('two')
  assert.equal(received.length, 0)

  type Resumed = { state: string; missed: { events: number }; replay: { id: string } }
  const resumed = await json<Resumed>(['webhook', 'resume', id, '--replay'])
  assert.deepEqual([resumed.state, resumed.missed.events], ['active', 2])
  type Row = { id: string; state: string; delivered: number }
  async function delivered(count: number): Promise<Row> {
    for (;;) {
      const [row] = await json<Row[]>(['webhook', 'replays', id])
      // Found out to be done by the next look at what is left to plan.
      if (row!.delivered === count && row!.state !== 'running') return row!
    }
  }
  assert.equal((await delivered(2)).state, 'done')
  assert.equal(received.length, 2)

  const dry = await json<{ planned: number }>(['webhook', 'replay', id, '--since', '1h', '--only', 'missing', '--dry-run'])
  assert.equal(dry.planned, 0)
  const all = await landfall(['webhook', 'replay', id, '--since', '1h', '--dry-run'])
  assert.match(all.out, /^2 events would be sent\nWHEN/)
  assert.match(
    (await landfall(['webhook', 'replay', id, '--since', 'soon'])).error,
    /--since is a time such as .* or a duration before now/,
  )

  // The receiver lost the second; the first it knows by the id of its delivery.
  const [first, second] = received as [(typeof received)[0], (typeof received)[0]]
  const lost = [first.delivery, 'whevt_0000000000000000'].join('\n')
  type Reconciled = { events: number; missing: { eventId: string }[]; unknown: string[]; planned: number }
  const shown = await json<Reconciled>(['reconcile', id, '--since', '1h', '--ids', '-', '--dry-run'], lost, 1)
  assert.deepEqual(
    [shown.events, shown.missing.map(({ eventId }) => eventId), shown.unknown],
    [2, [second.id], ['whevt_0000000000000000']],
  )
  const sent = await json<Reconciled>(['reconcile', id, '--since', '1h', '--ids', '-'], JSON.stringify([first.id]))
  assert.deepEqual([sent.planned, sent.unknown], [1, []])
  await delivered(1)
  assert.deepEqual(received.slice(2).map((one) => one.id), [second.id]) // biome-ignore format: one line
  const empty = await landfall(['reconcile', id, '--since', '1h', '--ids', '-'])
  assert.deepEqual([empty.status, /no ids: .* --allow-empty/.test(empty.error)], [2, true])
  const everything = await json<Reconciled>(['reconcile', id, '--since', '1h', '--ids', '-', '--allow-empty', '--dry-run'], '', 1)
  assert.equal(everything.missing.length, 2)
  const nothing = await landfall(['reconcile', id, '--since', '1h', '--ids', '-'], `${first.id}\n${second.id}\n`)
  assert.deepEqual([nothing.status, nothing.out], [0, '2 events, 2 of them at the receiver, 0 missing\n'])

  const explained = await landfall(['webhook', 'explain', id, second.delivery])
  assert.match(explained.out, /^delivered: The receiver took it with the first attempt with status 200\.\n {2}- redeliver/)
  const again = await json<{ id: string }[]>(['webhook', 'redeliver', id, first.delivery, second.delivery])
  assert.equal(again.length, 2)
  const cancelled = await landfall(['webhook', 'cancel-replay', id, resumed.replay.id])
  assert.match(cancelled.error, /the replay is done already/)
})

test('what was missed is sent after a replay that was kept back, and a reconciliation of a webhook that is off begins nothing', async () => {
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const { id } = await json<{ id: string }>(['webhook', 'create', '--url', url, '--events', 'ftp_user.created'])
  await landfall(['webhook', 'deactivate', id])
  await happens('three')
  const range = ['--since', '1h']

  const off = await landfall(['reconcile', id, ...range, '--ids', '-'], 'whevt_0000000000000000\n')
  assert.equal(off.status, 2)
  assert.match(
    off.error,
    /events are missing, and none was sent: webhook wh_\w+ is inactive; turn it on with `landfall webhook resume /,
  )
  assert.deepEqual(await json(['webhook', 'replays', id]), [])

  const kept = await json<{ id: string }>(['webhook', 'replay', id, ...range])
  await happens('four')
  // Whether the one that was kept back has ended by then is a matter of chance; cli/replay.test.ts has both.
  const resumed = await landfall(['webhook', 'resume', id, '--replay'])
  assert.equal(resumed.status, 0, resumed.error)
  assert.match(resumed.out, /is active.*\nreplay \w+ sends the 1 events that it missed\n$/)
  const [made] = await json<{ id: string }[]>(['webhook', 'replays', id])
  assert.notEqual(made!.id, kept.id)
})
