import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2'
import { newKeyPair } from '../../../test/ssh-key.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { KIB, MIB, SECOND_MS } from '../../base/units.ts'
import { OPEN_FLAG, STATUS } from '../../wire/sftp/constants.ts'
import { RawClient, type ReplyOf } from '../sftp/client-testing.ts'
import { type FolderSpace, folderSpace } from '../sftp/testing.ts'
import { PASSWORD, startTestServer, type TestServer } from './testing.ts'

let server: TestServer | undefined
const clients: Client[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server?.stop()
  server = undefined
})

async function start(options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> {
  server = await startTestServer(options)
  return server
}

/** Logged in, or rejects with what the client was told. */
async function login(options: ConnectConfig = {}): Promise<Client> {
  const client = new ssh2.Client()
  clients.push(client)
  const secret = options.privateKey === undefined ? { password: PASSWORD } : {}
  client.connect({ host: '127.0.0.1', port: server!.port, username: 'pipeline', ...secret, ...options })
  await once(client, 'ready')
  client.on('error', () => {})
  return client
}

/** What happens to a channel, gathered from its first moment: several events may come with one packet of the network. */
interface Fate {
  status?: number
  stderr: string
  closed: Promise<unknown>
}

function fateOf(channel: ClientChannel): Fate {
  const closed = Promise.withResolvers<void>()
  const fate: Fate = { stderr: '', closed: closed.promise }
  channel.on('exit', (status: number) => {
    fate.status = status
  })
  channel.stderr.on('data', (chunk: Buffer) => {
    fate.stderr += chunk
  })
  channel.on('close', () => closed.resolve())
  return fate
}

function closedOf(client: Client): Promise<void> {
  return new Promise((resolve) => client.on('close', () => resolve()))
}

function subsystem(client: Client): Promise<ClientChannel> {
  return new Promise((resolve, reject) => client.subsys('sftp', (error, channel) => (error ? reject(error) : resolve(channel))))
}

async function openSftp(client: Client): Promise<RawClient> {
  const raw = new RawClient(await subsystem(client))
  await raw.init()
  return raw
}

const path = Buffer.from('/x')
const NEW = OPEN_FLAG.WRITE | OPEN_FLAG.CREATE | OPEN_FLAG.TRUNCATE

test('a password, a login with its slug, and an RSA key open the door, and it is written down', async () => {
  const { privateKey, audit } = await start()
  await login()
  await login({ username: 'default:pipeline' })
  await login({ privateKey })
  assert.deepEqual(
    audit.map(({ action, actor, result, detail, address, door }) => ({ action, actor, result, detail, address, door })),
    ['password', 'password', 'publickey'].map((detail, index) => ({
      ...{ action: 'login', actor: index === 1 ? 'default:pipeline' : 'pipeline', result: 'ok' },
      ...{ detail, address: '127.0.0.1', door: 'sftp' },
    })),
  )
})

const strangers: { name: string; options: () => ConnectConfig; disable?: boolean }[] = [
  { name: 'a wrong password', options: () => ({ password: 'wrong' }) },
  { name: 'an unknown user', options: () => ({ username: 'nobody' }) },
  { name: 'a strange key', options: () => ({ privateKey: newKeyPair().private }) },
  { name: 'a disabled user with a key', options: () => ({ privateKey: server!.privateKey }), disable: true },
]
for (const { name, options, disable } of strangers) {
  test(`refused: ${name}`, async () => {
    const { user } = await start()
    if (disable) Object.assign(user, { disabled: true })
    await assert.rejects(login(options()), /All configured authentication methods failed/)
  })
}

test('a failed login is written down without the password', async () => {
  const { audit } = await start()
  await assert.rejects(login({ password: 'my other secret' }))
  const entry = audit.find(({ action }) => action === 'login')
  assert.equal(entry?.result, 'unauthenticated')
  assert.ok(!JSON.stringify(audit).includes('my other secret'))
})

test('the tries to log in are bounded', async () => {
  await start({ limits: { loginTries: 3 } })
  let tries = 0
  const authHandler = () => {
    tries++
    return { type: 'password', username: 'pipeline', password: `wrong ${tries}` } as const
  }
  await assert.rejects(login({ authHandler: authHandler as unknown as NonNullable<ConnectConfig['authHandler']> }))
  assert.equal(server!.audit.filter(({ result }) => result === 'unauthenticated').length, 3)
})

const commands = [
  { name: 'exec', ask: (client: Client, done: (error: unknown, channel: ClientChannel) => void) => client.exec('id', done) },
  { name: 'shell', ask: (client: Client, done: (error: unknown, channel: ClientChannel) => void) => client.shell(false, done) },
]
for (const { name, ask } of commands) {
  test(`${name} is refused with a sentence and status 1`, async () => {
    await start()
    const client = await login()
    const fate = await new Promise<Fate>((resolve) =>
      ask(client, (_error, channel) => {
        resolve(fateOf(channel))
        channel.resume()
      }),
    )
    await fate.closed
    assert.equal(fate.status, 1)
    assert.equal(fate.stderr, 'this server offers SFTP only\n')
  })
}

test('forwarding and other subsystems are refused', async () => {
  await start()
  const client = await login()
  const outcome = (ask: (done: (error?: Error) => void) => void) =>
    new Promise<boolean>((resolve) => ask((error) => resolve(error === undefined)))
  assert.equal(await outcome((done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', 80, done)), false)
  assert.equal(await outcome((done) => client.forwardIn('127.0.0.1', 0, done)), false)
  assert.equal(await outcome((done) => client.subsys('netconf', done)), false)
  assert.equal(await outcome((done) => client.openssh_forwardOutStreamLocal('/tmp/x', done)), false)
})

test('the end of input is answered with status 0 and the channel closed', async () => {
  await start()
  const channel = await subsystem(await login())
  const raw = new RawClient(channel)
  await raw.init()
  const fate = fateOf(channel)
  channel.end()
  await fate.closed
  assert.equal(fate.status, 0)
})

test('channels of one connection are bounded', async () => {
  await start()
  const client = await login()
  const opened = await Promise.allSettled(Array.from({ length: 12 }, () => subsystem(client)))
  assert.equal(opened.filter(({ status }) => status === 'fulfilled').length, 10)
})

const limits = [
  { name: 'in all', limits: { connectionsMax: 2 } },
  { name: 'of one address', limits: { connectionsPerAddressMax: 2 } },
]
for (const { name, limits: some } of limits) {
  test(`connections ${name} are bounded`, async () => {
    const { port } = await start({ limits: some })
    await login()
    await login()
    const socket = connect(port, '127.0.0.1')
    const [said] = await once(socket, 'data')
    assert.match(String(said), /Too many connections/)
    await once(socket, 'close')
  })
}

test('connections of one user are bounded', async () => {
  const { audit } = await start({ limits: { connectionsPerUserMax: 1 } })
  const first = await login()
  await assert.rejects(login())
  assert.equal(audit.at(-1)?.result, 'limit_reached')
  const closed = closedOf(first)
  first.end()
  await closed
  await waitUntil(() => server!.server.connections === 0)
  await login()
})

test('disconnectUser ends the live connections of that user', async () => {
  const { server: ssh, user, audit } = await start()
  const client = await login()
  const raw = await openSftp(client)
  assert.equal(ssh.disconnectUser('usr_other'), 0)
  void raw.ask({ kind: 'open', path, flags: NEW, attributes: {} })
  const closed = closedOf(client)
  assert.equal(ssh.disconnectUser(user.id), 1)
  await closed
  await waitUntil(() => ssh.connections === 0)
  assert.equal(audit.at(-1)?.action, 'logout')
})

/** Time that only moves when it is told to. */
function fakeClock() {
  let now = 0
  const pending = new Set<{ at: number; call: () => void }>()
  const clock: Clock = {
    now: () => Date.now(),
    monotonic: () => now,
    after(ms, call) {
      const entry = { at: now + ms, call }
      pending.add(entry)
      return () => pending.delete(entry)
    },
  }
  const pass = (ms: number) => {
    now += ms
    for (const entry of [...pending].sort((a, b) => a.at - b.at)) {
      if (entry.at <= now && pending.delete(entry)) entry.call()
    }
  }
  return { clock, pass }
}

test('a connection that says nothing is cut at the handshake deadline', async () => {
  const { clock, pass } = fakeClock()
  const { port, server: ssh } = await start({ clock })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'data')
  pass(9 * SECOND_MS)
  assert.equal(ssh.connections, 1)
  pass(SECOND_MS)
  socket.resume()
  await once(socket, 'close')
})

test('a connection that does not log in is cut at the login deadline', async () => {
  const { clock, pass } = fakeClock()
  const { server: ssh } = await start({ clock, limits: { handshakeDeadlineMs: 3600 * SECOND_MS } })
  const client = new ssh2.Client()
  clients.push(client)
  const handler = (_methods: unknown, _partial: unknown, _next: unknown) => undefined
  client.connect({ host: '127.0.0.1', port: server!.port, username: 'pipeline', authHandler: handler as never })
  client.on('error', () => {})
  const closed = closedOf(client)
  await once(client, 'handshake')
  pass(29 * SECOND_MS)
  assert.equal(ssh.connections, 1)
  pass(SECOND_MS)
  await closed
})

test('silence is cut at the idle deadline, a transfer is not', async () => {
  const { clock, pass } = fakeClock()
  const disk = Promise.withResolvers<void>()
  const { server: ssh } = await start({
    clock,
    limits: { idleMs: 60 * SECOND_MS },
    space: (folder) => Object.assign(folderSpace(folder), { stall: disk.promise }),
  })
  const client = await login()
  const raw = await openSftp(client)
  const handle = await raw.handle({ kind: 'open', path, flags: NEW, attributes: {} })
  const written = raw.status({ kind: 'write', handle, offset: 0, data: Buffer.alloc(10) })
  await waitUntil(() => ssh.bytes > 0)
  pass(61 * SECOND_MS)
  pass(61 * SECOND_MS)
  assert.equal(ssh.connections, 1)
  disk.resolve()
  assert.equal((await written).code, STATUS.OK)
  const closed = closedOf(client)
  pass(61 * SECOND_MS)
  pass(61 * SECOND_MS)
  await closed
})

test('keys are exchanged anew in the middle of a transfer, in both directions', async () => {
  const { folder } = await start({ rekey: { bytes: 4 * MIB, ms: 3600 * SECOND_MS } })
  const client = await login()
  let rekeys = 0
  client.on('handshake', () => rekeys++)
  const raw = await openSftp(client)
  const data = randomBytes(24 * MIB)
  const handle = await raw.handle({ kind: 'open', path, flags: NEW, attributes: {} })
  const chunk = 128 * KIB
  const offsets = Array.from({ length: data.length / chunk }, (_, index) => index * chunk)
  const statuses = await Promise.all(
    offsets.map((offset) => raw.status({ kind: 'write', handle, offset, data: data.subarray(offset, offset + chunk) })),
  )
  assert.ok(statuses.every(({ code }) => code === STATUS.OK))
  await raw.status({ kind: 'close', handle })
  assert.ok((await readFile(join(folder, 'x'))).equals(data))

  const reader = await raw.handle({ kind: 'open', path, flags: OPEN_FLAG.READ, attributes: {} })
  const parts = await Promise.all(offsets.map((offset) => raw.ask({ kind: 'read', handle: reader, offset, length: chunk })))
  assert.ok(Buffer.concat(parts.map((part) => (part as ReplyOf<'data'>).data)).equals(data))
  assert.ok(rekeys >= 6, `${rekeys} exchanges`)
})

const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
] as const
for (const cipher of ciphers) {
  test(`bytes survive ${cipher}`, async () => {
    const { folder } = await start()
    const data = randomBytes(300_000)
    await writeFile(join(folder, 'x'), data)
    const raw = await openSftp(await login({ algorithms: { cipher: [cipher] } }))
    const handle = await raw.handle({ kind: 'open', path, flags: OPEN_FLAG.READ, attributes: {} })
    const parts = [0, 100_000, 200_000].map((offset) => raw.ask({ kind: 'read', handle, offset, length: 100_000 }))
    assert.ok(Buffer.concat((await Promise.all(parts)).map((part) => (part as ReplyOf<'data'>).data)).equals(data))
  })
}

const weak: { name: string; algorithms: NonNullable<ConnectConfig['algorithms']> }[] = [
  { name: 'CBC', algorithms: { cipher: ['aes128-cbc'] } },
  { name: 'SHA-1 MACs', algorithms: { cipher: ['aes128-ctr'], hmac: ['hmac-sha1'] } },
  { name: 'group 14 with SHA-1', algorithms: { kex: ['diffie-hellman-group14-sha1'] } },
  { name: 'NIST curves', algorithms: { kex: ['ecdh-sha2-nistp256'] } },
  { name: 'RSA host signatures with SHA-1', algorithms: { serverHostKey: ['ssh-rsa'] } },
  { name: 'compression', algorithms: { compress: ['zlib'] } },
]
for (const { name, algorithms } of weak) {
  test(`not offered: ${name}`, async () => {
    await start()
    await assert.rejects(login({ algorithms }), /no matching/i)
  })
}

test('garbage ends its connection and nothing else', async () => {
  const { port, server: ssh } = await start()
  const client = await login()
  const openings = [
    Buffer.alloc(2000, 0xe9),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(4000, 0xe9)]),
  ]
  for (const bytes of openings) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(bytes)
    socket.resume()
    await once(socket, 'close')
  }
  await waitUntil(() => ssh.connections === 1)
  assert.equal((await (await openSftp(client)).ask({ kind: 'realpath', path })).kind, 'name')
})

test('a client that sends beyond its window is cut', async () => {
  const disk = Promise.withResolvers<void>()
  let space: FolderSpace | undefined
  const { server: ssh } = await start({
    space: (folder) => {
      space = Object.assign(folderSpace(folder), { stall: disk.promise })
      return space
    },
  })
  const client = await login()
  const channel = await subsystem(client)
  const raw = new RawClient(channel)
  await raw.init()
  const handle = await raw.handle({ kind: 'open', path, flags: NEW, attributes: {} })
  void raw.ask({ kind: 'write', handle, offset: 0, data: Buffer.alloc(10) })
  // The window is the client's own promise: this one makes it endless.
  ;(channel as unknown as { outgoing: { window: number } }).outgoing.window = 1024 * MIB
  let highest = 0
  const closed = closedOf(client)
  for (let index = 0; index < 1000 && ssh.connections === 1; index++) {
    void raw.ask({ kind: 'write', handle, offset: 10 + index * 100_000, data: Buffer.alloc(100_000) })
    await new Promise((resolve) => setImmediate(resolve))
    highest = Math.max(highest, ssh.bytes)
  }
  await closed
  assert.ok(highest < 12 * MIB, `${highest} bytes were held`)
  disk.resolve()
})

test('a stop lets what is under way end, and starts nothing new', async () => {
  const disk = Promise.withResolvers<void>()
  const { server: ssh, folder } = await start({ space: (root) => Object.assign(folderSpace(root), { stall: disk.promise }) })
  const client = await login()
  const raw = await openSftp(client)
  const handle = await raw.handle({ kind: 'open', path, flags: NEW, attributes: {} })
  const written = raw.status({ kind: 'write', handle, offset: 0, data: Buffer.from('last words') })
  const closed = raw.status({ kind: 'close', handle })
  await waitUntil(() => ssh.bytes > 2 * KIB)
  const stopped = ssh.stop(30 * SECOND_MS)
  disk.resolve()
  assert.equal((await written).code, STATUS.OK)
  assert.equal((await closed).code, STATUS.OK)
  await stopped
  assert.equal(await readFile(join(folder, 'x'), 'utf8'), 'last words')
})

test('a stop cuts what does not end in time', async () => {
  const { server: ssh } = await start({
    space: (root) => Object.assign(folderSpace(root), { stall: new Promise<void>(() => {}) }),
  })
  const raw = await openSftp(await login())
  const handle = await raw.handle({ kind: 'open', path, flags: NEW, attributes: {} })
  void raw.ask({ kind: 'write', handle, offset: 0, data: Buffer.alloc(1) })
  await waitUntil(() => ssh.bytes > 0)
  await ssh.stop(20)
  assert.equal(ssh.connections, 0)
})

test('a space that cannot be opened ends the channel, not the server', async () => {
  await start({
    space: () => {
      throw new AppError('storage_failed', 'no disk')
    },
  })
  const client = await login()
  const fate = await new Promise<Fate>((resolve) =>
    client.subsys('sftp', (_error, channel) => {
      resolve(fateOf(channel))
      channel.resume()
    }),
  )
  await fate.closed
  assert.equal(fate.status, 1)
  assert.equal(fate.stderr, 'internal error\n')
})

async function waitUntil(isSo: () => boolean): Promise<void> {
  const deadline = systemClock.monotonic() + 20 * SECOND_MS
  while (!isSo()) {
    if (systemClock.monotonic() > deadline) throw new Error(`not within 20 s: ${isSo}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
