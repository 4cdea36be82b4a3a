import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { FTPError } from 'basic-ftp'
import { movingClock } from '../../src/base/testing.ts'
import { MINUTE_MS } from '../../src/base/units.ts'
import type { TransferFailureCode } from '../../src/wire/agent/failure.ts'
import type { FtpEndpoint } from '../../src/wire/agent/work.ts'
import { makeCertificate } from '../../test/peers/certificate.ts'
import { openFtp } from './ftp.ts'
import { readFacts, readTime, specialInFacts, specialInListing, writeTime } from './ftp-listing.ts'
import { ftpFailure } from './ftp-reply.ts'
import { idleConnections } from './idle.ts'
import { contextFor, failsWith, readAll } from './testing.ts'

const replies: readonly { code: number; says: string; means: TransferFailureCode }[] = [
  { code: 421, says: 'Service not available', means: 'CONNECTION_LOST' },
  { code: 421, says: 'Timeout.', means: 'TIMEOUT' },
  { code: 425, says: "Can't open data connection", means: 'CONNECTION_LOST' },
  { code: 426, says: 'Failure writing network stream.', means: 'CONNECTION_LOST' },
  { code: 450, says: 'File busy', means: 'PROTOCOL_ERROR' },
  { code: 451, says: 'Local error in processing', means: 'PROTOCOL_ERROR' },
  { code: 451, says: 'Failure writing to local file.', means: 'DISK_FULL' },
  { code: 452, says: 'Insufficient storage space', means: 'DISK_FULL' },
  { code: 530, says: 'Login incorrect.', means: 'AUTH_FAILED' },
  { code: 530, says: 'Sorry, too many users', means: 'CONNECTION_REFUSED' },
  { code: 550, says: 'Failed to open file.', means: 'NOT_FOUND' },
  { code: 550, says: 'Permission denied.', means: 'PERMISSION_DENIED' },
  { code: 550, says: 'not a plain file.', means: 'NOT_A_FILE' },
  { code: 552, says: 'Exceeded storage allocation', means: 'QUOTA_EXCEEDED' },
  { code: 552, says: 'Disk full', means: 'DISK_FULL' },
  { code: 553, says: 'File name not allowed', means: 'PERMISSION_DENIED' },
  { code: 502, says: 'Command not implemented', means: 'UNSUPPORTED' },
]
for (const { code, says, means } of replies) {
  test(`${code} ${says} is ${means}`, () => {
    assert.equal(ftpFailure(new FTPError({ code, message: `${code} ${says}` }), 'Testing').code, means)
  })
}

test('times and facts of RFC 3659', () => {
  assert.equal(readTime('20260102030405'), Date.UTC(2026, 0, 2, 3, 4, 5))
  assert.equal(readTime('20260102030405.25'), Date.UTC(2026, 0, 2, 3, 4, 5, 250))
  assert.equal(readTime('Jan 2 2026'), null)
  assert.equal(writeTime(Date.UTC(2026, 0, 2, 3, 4, 5, 999)), '20260102030405')
  const reply = '250-Listing\n Type=file;Size=17;Modify=20260102030405; /a b\n250 End'
  assert.deepEqual(readFacts(reply), { kind: 'file', size: 17, modifiedAt: Date.UTC(2026, 0, 2, 3, 4, 5) })
  assert.deepEqual(readFacts('250-x\n type=cdir;modify=20260102030405; /\n250 End')?.kind, 'folder')
  assert.equal(readFacts('250 nothing here'), undefined)
})

const factLines = [
  ['type=file;size=1;', undefined],
  ['size=1;', undefined],
  ['type=dir;', 'a folder'],
  ['Type=OS.unix=pipe;', 'a device or the like'],
  ['type=OS.unix=slink:/a;', undefined],
  ['type=OS.unix=symlink;', undefined],
] as const
for (const [facts, special] of factLines) {
  test(`replaced or not: ${facts}`, () => assert.equal(specialInFacts(`250-x\n ${facts} /a b\n250 End`), special))
}

const listingLines = [
  ['prw-r--r--    1 0        0               0 Nov 22 12:00 a b', 'a named pipe'],
  ['srw-r--r--    1 0        0               0 Nov 22 12:00 /in/a b', 'a socket'],
  ['crw-rw-rw-    1 0        0         1,    3 Nov 22 12:00 a b', 'a device'],
  ['brw-rw----    1 0        6         8,    0 Nov 22 12:00 a b', 'a device'],
  ['-rw-r--r--    1 0        0               5 Nov 22 12:00 a b', undefined],
  ['lrwxrwxrwx    1 0        0               4 Nov 22 12:00 a b -> pipe', undefined],
  ['prw-r--r--    1 0        0               0 Nov 22 12:00 not a bb', undefined],
  ['', undefined],
] as const
for (const [line, special] of listingLines) {
  test(`replaced or not: ${line}`, () => assert.equal(specialInListing(`total 1\r\n${line}\r\n`, 'a b'), special))
}

describe('servers that play tricks', () => {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  const heard: string[] = []
  after(() => {
    idleConnections.closeAll()
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
  })

  async function listen(take: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      take(socket)
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  type Answer = string | undefined | ((control: Socket) => void)
  /** A server that lets everybody in; `answers` are by the first word of a command. Replies come in two pieces, as networks cut them. */
  async function pretend(answers: Record<string, Answer>): Promise<FtpEndpoint> {
    const port = await listen((socket) => {
      socket.setNoDelay(true)
      socket.write('220 hello\r\n')
      socket.on('data', async (bytes) => {
        for (const line of String(bytes).split('\r\n').filter(Boolean)) {
          heard.push(line)
          const word = line.split(' ')[0]!
          const answer = word in answers ? answers[word] : ({ USER: '331 who', PASS: '230 in' }[word] ?? '200 fine')
          if (answer === undefined) continue
          if (typeof answer !== 'string') {
            answer(socket)
            continue
          }
          socket.write(answer.slice(0, 2))
          await new Promise(setImmediate)
          socket.write(`${answer.slice(2)}\r\n`)
        }
      })
    })
    return { protocol: 'ftp', host: '127.0.0.1', port, username: 'partner', password: 'SECRET', tls: 'none' }
  }
  const data = (bytes: string) => listen((socket) => socket.end(bytes))
  const pasv = (port: number, host = '127,0,0,1') => `227 Entering Passive Mode (${host},${port >> 8},${port & 255})`

  test('the address in the answer to PASV is not where the data come from', async () => {
    const port = await data('content')
    const endpoint = await pretend({
      EPSV: '500 what',
      PASV: pasv(port, '192,0,2,1'),
      RETR: (to) => to.write('150 here\r\n226 done\r\n'),
    })
    const client = await openFtp(endpoint, contextFor({}))
    assert.equal(String(await readAll(await client.read('/a', 0))), 'content')
    await client.close()
  })

  test('a file whose end the server does not confirm is not whole', async () => {
    const port = await data('half')
    const endpoint = await pretend({ EPSV: `229 (|||${port}|)`, RETR: (to) => to.write('150 here\r\n426 broke\r\n') })
    const client = await openFtp(endpoint, contextFor({}))
    await failsWith('CONNECTION_LOST', client.read('/a', 0).then(readAll))
    await client.close()
  })

  test('a size is read whole, and a hash where the server can tell it', async () => {
    const hash = 'ab'.repeat(32)
    const endpoint = await pretend({
      FEAT: '211-Features:\r\n HASH SHA-1;SHA-256*;MD5\r\n MDTM\r\n211 End',
      SIZE: '213 1234567890',
      MDTM: '213 20260102030405',
      HASH: `213 SHA-256 0-9 ${hash.toUpperCase()} a`,
    })
    const client = await openFtp(endpoint, contextFor({}))
    assert.deepEqual(await client.stat('/a'), { kind: 'file', size: 1_234_567_890, modifiedAt: Date.UTC(2026, 0, 2, 3, 4, 5) })
    assert.equal(await client.hash('/a'), hash)
    await client.close()
  })

  test('what is no file at the destination stops a transfer before it begins, where the server tells it', async () => {
    const facts = { FEAT: '211-Features:\r\n MLST type*;size*;\r\n211 End', MLST: '250-x\r\n type=OS.unix=chr; /null\r\n250 End' }
    const options = { id: 'trf_1', resumes: false, size: 3, modifiedAt: null }
    heard.length = 0
    const client = await openFtp(await pretend(facts), contextFor({}))
    const { message } = await failsWith('NOT_A_FILE', client.write('/null', options))
    assert.equal(message, 'The destination “/null” is a device or the like, which no file replaces.')
    assert.deepEqual(
      heard.filter((line) => line.startsWith('STOR')),
      [],
    )
    await client.close()
  })

  test('a line break in a name is not sent', async () => {
    const client = await openFtp(await pretend({}), contextFor({}))
    heard.length = 0
    for (const name of ['/a\r\nDELE /b', '/a\nb', '/a\0']) await failsWith('UNSUPPORTED', client.stat(name))
    assert.deepEqual(heard, [])
    await client.close()
  })

  test('a file takes no other name that is taken, on servers whose RNTO would replace it', async () => {
    const files = new Set(['/from', '/to'])
    let from = ''
    const endpoint = await pretend({
      SIZE: (to) => to.write(files.has(pathOf()) ? '213 1\r\n' : '550 no\r\n'),
      RNFR: (to) => {
        from = pathOf()
        to.write('350 go on\r\n')
      },
      RNTO: (to) => {
        files.add(pathOf())
        files.delete(from)
        to.write('250 done\r\n')
      },
    })
    const client = await openFtp(endpoint, contextFor({}))
    assert.equal(await client.move('/from', '/to'), false)
    assert.deepEqual([...files], ['/from', '/to'])
    await client.close()
  })
  const pathOf = () => heard.at(-1)!.split(' ').slice(1).join(' ')

  test('a refused login does not repeat what it was sent', async () => {
    const failure = await failsWith('AUTH_FAILED', openFtp(await pretend({ PASS: '530 SECRET is wrong' }), contextFor({})))
    assert.doesNotMatch(failure.message, /SECRET/)
  })

  test('one that never answers', async () => {
    const { clock, passUntil } = movingClock()
    const failed = failsWith('TIMEOUT', openFtp(await pretend({ USER: undefined }), contextFor({ clock })))
    await passUntil(failed, MINUTE_MS)
    await failed
  })

  test('nobody listens, and one that hangs up', async () => {
    const endpoint = await pretend({ USER: (to) => to.end() })
    await failsWith('CONNECTION_LOST', openFtp(endpoint, contextFor({})))
    await failsWith('CONNECTION_REFUSED', openFtp({ ...endpoint, port: 1 }, contextFor({})))
  })

  test('a line without an end', async () => {
    const endpoint = await pretend({ USER: (to) => to.write('3'.repeat(200_000)) })
    await failsWith('PROTOCOL_ERROR', openFtp(endpoint, contextFor({})))
  })

  test('certificates: self-made, expired, of another name, pinned', async () => {
    const [own, expired, elsewhere] = await Promise.all([
      makeCertificate(),
      makeCertificate({ endsAt: Date.now() - 1000 }),
      makeCertificate({ address: '192.0.2.1' }),
    ])
    const offering = async ({ certificate, privateKey }: typeof own): Promise<FtpEndpoint> => {
      const server = createTlsServer({ cert: certificate, key: privateKey }, (socket) => {
        socket.on('error', () => {})
        socket.write('220 hello\r\n')
        socket.on('data', (bytes) => socket.write(String(bytes).startsWith('USER') ? '230 in\r\n' : '200 fine\r\n'))
      })
      server.on('connection', (socket: Socket) => sockets.add(socket))
      servers.push(server)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      return { protocol: 'ftps', host: '127.0.0.1', port, username: 'partner', password: 'SECRET', tls: 'implicit' }
    }
    const endpoint = await offering(own)
    const open = (one: FtpEndpoint) => openFtp(one, contextFor({}))
    await failsWith('CERTIFICATE_INVALID', open(endpoint))
    await failsWith('CERTIFICATE_INVALID', open({ ...(await offering(expired)), ca: expired.certificate }))
    await failsWith('CERTIFICATE_INVALID', open({ ...(await offering(elsewhere)), ca: elsewhere.certificate }))
    const failure = await failsWith('HOST_KEY_MISMATCH', open({ ...endpoint, certificates: [expired.fingerprint] }))
    assert.match(failure.message, new RegExp(own.fingerprint))
    await (await open({ ...endpoint, ca: own.certificate })).close()
    await (await open({ ...endpoint, certificates: [own.fingerprint] })).close()
  })
})
