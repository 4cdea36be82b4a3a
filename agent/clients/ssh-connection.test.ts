import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import ssh2, { type Connection, type Server as SshServer } from 'ssh2'
import { movingClock } from '../../src/base/testing.ts'
import { MINUTE_MS } from '../../src/base/units.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { packet, string, uint32 } from '../../src/wire/sftp/client.ts'
import { PACKET } from '../../src/wire/sftp/constants.ts'
import { encodeHandle, encodeVersion } from '../../src/wire/sftp/reply.ts'
import { newKeyPair } from '../../test/ssh-key.ts'
import { openSftp } from './sftp.ts'
import { ANSWER_MS } from './sftp-line.ts'
import { fingerprintOf } from './ssh-connection.ts'
import { contextFor, failsWith, readAll } from './testing.ts'

const PASSWORD = 'correct horse battery staple'
const hostKey = newKeyPair()
const pinned = fingerprintOf(Buffer.from(hostKey.public.split(' ')[1]!, 'base64'))

function endpointAt(port: number, more: Partial<SftpEndpoint> = {}): SftpEndpoint {
  const login = { username: 'partner', password: PASSWORD, hostKeys: [pinned], trustsFirstKey: false }
  return { protocol: 'sftp', host: '127.0.0.1', port, ...login, ...more }
}

describe('servers that are none', () => {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  async function listen(answer: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      answer(socket)
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  after(() => {
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
  })

  test('nobody listens', async () => {
    await failsWith('CONNECTION_REFUSED', openSftp(endpointAt(1), contextFor({})))
  })

  test('a name that does not resolve', async () => {
    await failsWith('ADDRESS_NOT_FOUND', openSftp(endpointAt(22, { host: 'nothing.invalid' }), contextFor({})))
  })

  test('one that never says a word', async () => {
    const { clock, passUntil } = movingClock()
    const port = await listen(() => {})
    const failed = failsWith('TIMEOUT', openSftp(endpointAt(port), contextFor({ clock })))
    await passUntil(failed, MINUTE_MS)
    await failed
  })

  test('one that hangs up at once', async () => {
    const port = await listen((socket) => socket.end())
    await failsWith('CONNECTION_LOST', openSftp(endpointAt(port), contextFor({})))
  })

  test('one that speaks another protocol', async () => {
    const port = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(2000)))
    const { code } = await openSftp(endpointAt(port), contextFor({})).then(
      () => assert.fail('it is none'),
      (error) => error,
    )
    assert.ok(['PROTOCOL_ERROR', 'CONNECTION_LOST'].includes(code), code)
  })

  test('a private key that is none is refused without showing it', async () => {
    const failure = await failsWith('AUTH_FAILED', openSftp(endpointAt(22, { privateKey: 'SECRET-KEY' }), contextFor({})))
    assert.doesNotMatch(failure.message, /SECRET/)
  })
})

describe('servers that play tricks', () => {
  let server: SshServer
  let port: number
  /** What the next SFTP session answers to each request. */
  let answer: (type: number, id: number, members: Buffer, send: (packets: Buffer) => void) => Buffer | undefined
  let offersSftp = true
  let login: (context: ssh2.AuthContext) => void
  const open: Connection[] = []

  before(async () => {
    server = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection) => {
      open.push(connection)
      connection.on('error', () => {})
      connection.on('authentication', (context) => login(context))
      connection.on('session', (accept) => {
        accept().on('subsystem', (acceptSubsystem, reject) => {
          if (!offersSftp) return reject()
          const channel = acceptSubsystem()
          channel.on('data', (bytes: Buffer) => {
            for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
              const reply = answer(bytes[at + 4]!, bytes.readUInt32BE(at + 5), bytes.subarray(at + 9), (packets) =>
                channel.write(packets),
              )
              if (reply === undefined) channel.close()
              else channel.write(reply)
            }
          })
        })
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.close()
    for (const connection of open) connection.end()
  })

  const byPassword = (context: ssh2.AuthContext) => {
    if (context.method === 'password' && context.password === PASSWORD) context.accept()
    else context.reject(['password'])
  }
  const version = encodeVersion([])
  const answering =
    (reply: (type: number, id: number, members: Buffer) => Buffer | undefined) => (type: number, id: number, members: Buffer) =>
      type === PACKET.INIT ? version : reply(type, id, members)
  const status = (id: number, code: number, message: string) =>
    packet(PACKET.STATUS, id, uint32(code), string(Buffer.from(message)), string(Buffer.from('')))
  const nothing = Buffer.alloc(0)

  test('a password is also given where it is asked for', async () => {
    offersSftp = true
    answer = () => version
    login = (context) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
        answers[0] === PASSWORD ? context.accept() : context.reject(),
      )
    }
    await (await openSftp(endpointAt(port, { username: 'asked' }), contextFor({}))).close()
    const wrong = { username: 'asked', password: 'SECRET-wrong' }
    const failure = await failsWith('AUTH_FAILED', openSftp(endpointAt(port, wrong), contextFor({})))
    assert.doesNotMatch(failure.message, /SECRET/)
  })

  test('a server without SFTP', async () => {
    login = byPassword
    offersSftp = false
    await failsWith('UNSUPPORTED', openSftp(endpointAt(port), contextFor({})))
    offersSftp = true
  })

  const cases = [
    {
      name: 'a banner of a shell in place of SFTP',
      code: 'PROTOCOL_ERROR',
      reply: () => Buffer.from('Welcome to the machine!\n'),
    },
    { name: 'a packet of a gigabyte', code: 'PROTOCOL_ERROR', reply: () => Buffer.concat([uint32(2 ** 30), Buffer.alloc(100)]) },
    { name: 'a reply to what nobody asked', code: 'PROTOCOL_ERROR', reply: (_type: number, id: number) => status(id + 1, 0, '') },
    { name: 'a channel that is closed', code: 'CONNECTION_LOST', reply: () => undefined },
    { name: 'a quota', code: 'QUOTA_EXCEEDED', reply: (_type: number, id: number) => status(id, 4, 'Disk quota exceeded') },
    {
      name: 'a full disk in words',
      code: 'DISK_FULL',
      reply: (_type: number, id: number) => status(id, 4, 'No space left on device'),
    },
    { name: 'no permission', code: 'PERMISSION_DENIED', reply: (_type: number, id: number) => status(id, 3, 'no') },
    { name: 'an unknown status', code: 'PROTOCOL_ERROR', reply: (_type: number, id: number) => status(id, 99, 'odd') },
  ] as const
  for (const { name, code, reply } of cases) {
    test(`${name} is ${code}`, async () => {
      login = byPassword
      answer = answering(reply)
      const client = await openSftp(endpointAt(port, { username: name }), contextFor({}))
      await failsWith(code, client.stat('/a'))
      await client.close()
    })
  }

  test('one that never answers', async () => {
    const { clock, passUntil } = movingClock()
    login = byPassword
    answer = answering(() => nothing)
    const client = await openSftp(endpointAt(port), contextFor({ clock }))
    const failed = failsWith('TIMEOUT', client.stat('/a'))
    await passUntil(failed, ANSWER_MS)
    await failed
    await failsWith('TIMEOUT', client.stat('/a'))
    await client.close()
  })

  test('a listing with a path in place of a name', async () => {
    login = byPassword
    const entry = [string(Buffer.from('../../etc/passwd')), string(Buffer.from('')), uint32(0)]
    answer = answering((type, id) =>
      type === PACKET.OPENDIR ? encodeHandle(id, Buffer.from('h')) : packet(PACKET.NAME, id, uint32(1), ...entry),
    )
    const client = await openSftp(endpointAt(port), contextFor({}))
    await failsWith('PROTOCOL_ERROR', Array.fromAsync(client.list('/')))
    await client.close()
  })

  test('a file comes whole from a server that answers with less than was asked, and out of order', async () => {
    login = byPassword
    const content = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251))
    const late: Buffer[] = []
    answer = (type, id, members, send) => {
      if (type === PACKET.INIT) return version
      if (type === PACKET.OPEN) return encodeHandle(id, Buffer.from('h'))
      if (type !== PACKET.READ) return status(id, 0, '')
      const [from, asked] = [members.readUInt32BE(9), members.readUInt32BE(13)]
      const data = content.subarray(from, from + Math.min(asked, 7_000))
      late.unshift(data.length === 0 ? status(id, 1, '') : packet(PACKET.DATA, id, string(data)))
      setImmediate(() => send(Buffer.concat(late.splice(0))))
      return nothing
    }
    const client = await openSftp(endpointAt(port), contextFor({}))
    assert.ok((await readAll(await client.read('/a', 0))).equals(content))
    assert.ok((await readAll(await client.read('/a', 150_001))).equals(content.subarray(150_001)))
    await client.close()
  })

  test('a file takes no other name that is taken, on servers whose RENAME would replace it, and the other way round', async () => {
    login = byPassword
    const files = new Map([
      ['/from', 'new'],
      ['/to', 'old'],
    ])
    let refusals = 1
    answer = answering((type, id, members) => {
      const [one, other] = pathsIn(members)
      if (type === PACKET.STAT || type === PACKET.LSTAT) {
        return files.has(one!) ? packet(PACKET.ATTRS, id, uint32(4), uint32(0o100644)) : status(id, 2, '')
      }
      if (type !== PACKET.RENAME) return status(id, 0, '')
      // Somebody else takes the name meanwhile.
      if (other === '/raced') files.set('/raced', 'of others')
      if (other === '/raced' || refusals-- > 0) return status(id, 4, 'Failure')
      files.set(other!, files.get(one!)!)
      files.delete(one!)
      return status(id, 0, '')
    })
    const client = await openSftp(endpointAt(port), contextFor({}))
    assert.equal(await client.move('/from', '/to'), false)
    assert.equal(await client.move('/from', '/raced'), false)
    assert.equal(await client.move('/from', '/free'), true)
    assert.deepEqual([...files].sort(), [
      ['/free', 'new'],
      ['/raced', 'of others'],
      ['/to', 'old'],
    ])
    await client.close()
  })

  /** Two counted strings, or one. */
  function pathsIn(members: Buffer): string[] {
    const first = members.toString('utf8', 4, 4 + members.readUInt32BE(0))
    const rest = members.subarray(4 + Buffer.byteLength(first))
    return rest.length < 4 ? [first] : [first, rest.toString('utf8', 4, 4 + rest.readUInt32BE(0))]
  }
})
