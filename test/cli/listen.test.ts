import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { upload } from '../../cli/demo/upload.ts'
import { verify } from '../../sdk/verify.ts'
import { startTestServer, type TestServer } from '../server.ts'
import { type Arrival, ENTRY, Listener, landfall, Receiver } from './line.ts'

// `landfall listen` against a running server and a receiver of this machine.

interface World {
  readonly server: TestServer
  readonly receiver: Receiver
  /** Of the receiver, without a path. */
  readonly url: string
  readonly env: Record<string, string>
  listen(...args: string[]): Listener
}

async function worldOf(t: TestContext, statusOf?: (arrival: Arrival) => number): Promise<World> {
  const server = await startTestServer()
  const receiver = new Receiver(statusOf)
  const url = await receiver.start()
  const state = mkdtempSync(join(tmpdir(), 'landfall-listen-'))
  const env = { XDG_STATE_HOME: state }
  const running: Listener[] = []
  t.after(async () => {
    for (const one of running) await one.stop('SIGKILL')
    receiver.stop()
    await server.stop()
    rmSync(state, { recursive: true })
  })
  return {
    ...{ server, receiver, url, env },
    listen(...args) {
      const listener = new Listener([...args, '--data', server.folder], env)
      running.push(listener)
      return listener
    },
  }
}

const namesOf = ({ arrivals }: Receiver) => arrivals.all.map(({ json }) => json.data.username as string)

test('listen: samples and what really happens, signed, by routes', { timeout: 180_000 }, async (t) => {
  const { server, receiver, url, env, listen } = await worldOf(t, ({ path }) => (path === '/transfers' ? 500 : 204))
  const routes = [
    '--forward',
    `${url}/hook?a=b`,
    '--route',
    `transfer.*=${url}/transfers`,
    '--route',
    'job.*=http://127.0.0.1:9/',
  ]
  const listener = listen(...routes)
  const { secret } = await listener.hello()
  for (const type of ['transfer.failed', 'job.failed']) {
    const { status, out } = await landfall(['trigger', type, '--data', server.folder], env)
    assert.deepEqual([status, out], [0, 'shown to 1 live listener\n'])
  }
  const user = await server.makeUser('alice')
  await upload(
    { sftp: `${server.sftpHost}:${server.sftpPort}` },
    { username: user.name, password: user.password },
    '/ö.csv',
    Buffer.from('id\n'),
  )

  const arrived = await receiver.arrivals.first('upload', ({ json }) => json.event === 'file.uploaded')
  const event = verify(arrived.headers, Buffer.from(arrived.body), secret!, { dialect: 'mftplus' })
  assert.deepEqual([event.event, (event.data as { path: string }).path], ['file.uploaded', '/ö.csv'])
  const { events } = await server.call<{ events: { id: string }[] }>('GET', '/api/events?event=file.uploaded')
  assert.equal(event.id, events[0]!.id)
  assert.deepEqual(
    receiver.arrivals.all.map(({ path, json }) => [path, json.event]),
    [
      ['/transfers', 'transfer.failed'],
      ['/hook?a=b', 'ftp_user.created'],
      ['/hook?a=b', 'file.uploaded'],
    ],
  )

  const told = await listener.lines.first('upload', (line) => line.event === 'file.uploaded')
  assert.deepEqual([told.status, told.eventId, told.error], [204, event.id, null])
  assert.equal((await listener.lines.first('transfer', (line) => line.event === 'transfer.failed')).status, 500)
  assert.match(
    (await listener.lines.first('job', (line) => line.event === 'job.failed')).error!,
    /is your receiver running on 127\.0\.0\.1:9\?/,
  )
  assert.equal(await listener.stop(), 0)
  const { at, ...totals } = listener.lines.all.at(-1) as unknown as Record<string, unknown>
  assert.deepEqual(totals, { kind: 'totals', events: 4, taken: 2, refused: 1, unreached: 1 })
})

test('listen: comes back after a restart of the server, with nothing lost and nothing twice', { timeout: 180_000 }, async (t) => {
  const { server, receiver, url, listen } = await worldOf(t)
  const listener = listen('--forward', url)
  await listener.hello()
  await server.makeUser('before')
  await receiver.arrivals.first('event before', ({ json }) => json.data.username === 'before')
  await server.app.stop()
  await listener.notes.first('note of the loss', (note) => note.includes('the server is stopping; connecting again'))
  const again = await startTestServer({ '--data': server.folder })
  t.after(() => again.stop())
  await again.makeUser('between')
  await receiver.arrivals.first('event between', ({ json }) => json.data.username === 'between')
  await listener.notes.first('note of the return', (note) => /^connected again after [\d.]+ s; nothing was missed$/.test(note))
  await again.makeUser('after')
  await receiver.arrivals.first('event after', ({ json }) => json.data.username === 'after')
  assert.deepEqual(namesOf(receiver), ['before', 'between', 'after'])
  assert.equal(listener.lines.all.filter(({ kind }) => kind === 'hello').length, 1)
})

test('listen: what happened while nobody listened is skipped or sent, as asked, in its order', {
  timeout: 180_000,
}, async (t) => {
  const { server, receiver, url, env, listen } = await worldOf(t)
  const first = listen('--forward', url)
  const { secret } = await first.hello()
  await server.makeUser('heard')
  await first.lines.first('event', ({ kind }) => kind === 'event')
  assert.equal(await first.stop(), 0)
  assert.deepEqual(first.notes.all, [])

  for (const name of ['skipped-1', 'skipped-2']) await server.makeUser(name)
  const second = listen('--forward', url)
  assert.equal((await second.hello()).secret, secret, 'the secret stays the same')
  // Lines and notes come by two pipes: neither waits for the other.
  assert.match(
    await second.notes.first('note of what is skipped', () => true),
    /^2 events since [\d: -]+ while you were away are skipped; --missed send would send them$/,
  )
  await server.makeUser('live')
  await second.lines.first('event', ({ kind }) => kind === 'event')
  await second.stop()
  assert.equal(second.notes.all.length, 1)

  for (const name of ['missed-1', 'missed-2', 'missed-3']) await server.makeUser(name)
  const other = listen('--events', 'file.*', '--forward', url)
  await other.hello()
  await other.stop()
  const third = listen('--forward', url, '--missed', 'send')
  await receiver.arrivals.first('third missed', ({ json }) => json.data.username === 'missed-3')
  assert.match(await third.notes.first('note of what is sent', () => true), /^3 events since .*: sending them$/)
  await third.lines.first('its line', () => third.lines.all.filter(({ kind }) => kind === 'event').length === 3)
  await third.stop()
  assert.deepEqual(namesOf(receiver), ['heard', 'live', 'missed-1', 'missed-2', 'missed-3'])

  const fourth = listen('--forward', url, '--missed', 'send')
  await fourth.hello()
  await fourth.stop()
  assert.deepEqual(fourth.notes.all, [], 'nothing was missed')

  await server.makeUser('asked')
  const asked = await askedOnATerminal([ENTRY, 'listen', '--forward', url, '--data', server.folder], env)
  if (asked === undefined) return t.diagnostic('There is no script(1) here: what is asked on a terminal was not tried.')
  assert.match(asked, /1 event since [\d: -]+ while you were away; send them\? \[y\/N\]/)
  assert.match(asked, /Listening.* to all events on/)
  assert.match(asked, /→ \/ .*204.* ms/)
  assert.match(asked, /1 event: 1 taken, 0 refused, 0 not reached/)
  assert.deepEqual(namesOf(receiver).at(-1), 'asked')
})

/** Says y, and Ctrl-C once the event was forwarded; what stood on the terminal. Undefined where there is no script(1). */
async function askedOnATerminal(args: readonly string[], env: Record<string, string>): Promise<string | undefined> {
  if (spawnSync('script', ['--version']).status !== 0) return undefined
  const line = [process.execPath, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qfec', line, '/dev/null'], { env: { PATH: process.env.PATH, ...env } })
  let shown = ''
  const answers = [
    { to: '[y/N]', says: 'y\r' },
    { to: ' ms', says: '\x03' },
  ]
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    if (shown.includes(answers[0]?.to ?? '\0')) child.stdin.write(answers.shift()!.says)
  })
  await once(child, 'close')
  return shown
}

test('listen: as a webhook would get it, with a secret of the caller', { timeout: 180_000 }, async (t) => {
  const { server, receiver, url, env } = await worldOf(t)
  const input = {
    url: `${url}/unused`,
    events: ['ftp_user.created', 'file.*'],
    dialect: 'trueftp',
    filter: { 'data.username': 'wanted' },
  }
  const { webhook } = await server.call<{ webhook: { id: string } }>('POST', '/api/webhooks', input)
  await server.call('PATCH', `/api/webhooks/${webhook.id}`, { active: false })
  const listener = new Listener(
    ['--forward', url, '--webhook', webhook.id, '--secret-stdin', '--data', server.folder],
    env,
    'a secret of mine\n',
  )
  t.after(() => listener.stop('SIGKILL'))
  assert.equal((await listener.hello()).secret, null)
  for (const name of ['other', 'wanted']) await server.makeUser(name)
  const { headers, body } = await receiver.arrivals.first('event', () => true)
  const event = verify(headers, Buffer.from(body), 'a secret of mine', { dialect: 'trueftp' })
  assert.equal((event.data as { username: string }).username, 'wanted')
  assert.equal(receiver.arrivals.all.length, 1)
  assert(!JSON.stringify(listener.lines.all).includes('a secret of mine'))
})

const refused: { args: string[]; status?: number; says: RegExp }[] = [
  { args: ['--forward', 'localhost:3000/hook'], says: /--forward: .* did you mean http:\/\/localhost:3000\/hook\?/ },
  { args: ['--route', 'file.uplaoded=http://localhost'], says: /--route: .* did you mean file\.uploaded\?/ },
  { args: ['--events', 'files.*'], says: /--events: .* did you mean file\.\*\?/ },
  { args: ['--events', ','], says: /--events names no event type/ },
  { args: ['--webhook', 'wh_x', '--account', 'default'], says: /name --webhook or --account, not both/ },
  { args: ['--webhook', 'wh_x', '--dialect', 'trueftp'], says: /name --webhook or --dialect, not both/ },
  { args: ['--webhook', 'wh_0000000000000000'], says: /wh_0000000000000000/ },
  { args: ['--account', 'nobody'], says: /there is no account nobody: .landfall account list. shows/ },
  { args: ['--dialect', 'morse'], says: /--dialect is one of mftplus, .*, not morse/ },
  { args: ['--missed', 'maybe'], says: /--missed is one of ask, send, skip, not maybe/ },
]
test('listen refuses in one line what it cannot do', { timeout: 180_000 }, async (t) => {
  const { server, env } = await worldOf(t)
  for (const { args, says } of refused) {
    const { status, error, out } = await landfall(['listen', ...args, '--data', server.folder], env)
    assert.deepEqual([status, out, error.trim().split('\n').length], [2, '', 1], error)
    assert.match(error, says)
  }
  const { status, error } = await landfall(['listen', '--data', '/nonexistent'], env)
  assert.deepEqual([status, error.trim().split('\n').length], [2, 1], error)
  assert.match(error, /no server runs on \/nonexistent/)
})
