/**
 * One hostile client adds at most 32 MiB to the process. The counters of the server are exact; the resident memory
 * is coarse, so it is taken after a warm-up and a collection.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import ssh2, { type Client, type ClientChannel } from 'ssh2'
import { KIB, MIB } from '../../base/units.ts'
import { OPEN_FLAG } from '../../wire/sftp/constants.ts'
import { RawClient } from '../sftp/client-testing.ts'
import { PASSWORD } from './testing.ts'

const ADDED_BYTES_MAX = 32 * MIB

let child: ChildProcess
let port: number
const clients: Client[] = []

beforeEach(async () => {
  child = fork(new URL('./hostile-testing.ts', import.meta.url), { execArgv: ['--expose-gc'] })
  const [message] = (await once(child, 'message')) as [{ port: number }]
  port = message.port
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  const exited = once(child, 'exit')
  child.send('stop')
  await exited
})

async function tell(message: 'stall' | 'measure'): Promise<{ rss: number; bytes: number }> {
  const answered = once(child, 'message')
  child.send(message)
  return (await answered)[0] as { rss: number; bytes: number }
}

async function open(): Promise<{ client: Client; channel: ClientChannel; raw: RawClient }> {
  const client = new ssh2.Client()
  clients.push(client)
  client.connect({ host: '127.0.0.1', port, username: 'pipeline', password: PASSWORD })
  await once(client, 'ready')
  client.on('error', () => {})
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.subsys('sftp', (error, opened) => (error ? reject(error) : resolve(opened))),
  )
  const raw = new RawClient(channel)
  await raw.init()
  return { client, channel, raw }
}

const READ = { kind: 'open', path: Buffer.from('/x'), flags: OPEN_FLAG.READ, attributes: {} } as const
const WRITE = { kind: 'open', path: Buffer.from('/y'), flags: OPEN_FLAG.WRITE | OPEN_FLAG.CREATE, attributes: {} } as const

/** An honest transfer of each kind, so that code and buffers are in place before memory is compared. */
async function warmUp(): Promise<number> {
  const { client, raw } = await open()
  const reader = await raw.handle(READ)
  const writer = await raw.handle(WRITE)
  for (let round = 0; round < 16; round++) {
    const data = Buffer.alloc(200 * KIB)
    await Promise.all(
      Array.from({ length: 16 }, (_, index) => [
        raw.ask({ kind: 'read', handle: reader, offset: index * MIB, length: 255 * KIB }),
        raw.ask({ kind: 'write', handle: writer, offset: index * data.length, data }),
      ]).flat(),
    )
  }
  client.end()
  return (await tell('measure')).rss
}

test('a client with an endless window that asks and never reads', async () => {
  const before = await warmUp()
  const { client, channel, raw } = await open()
  const handle = await raw.handle(READ)
  const ssh = client as unknown as { _sock: Socket; _protocol: { channelWindowAdjust(id: number, bytes: number): void } }
  ssh._protocol.channelWindowAdjust((channel as unknown as { outgoing: { id: number } }).outgoing.id, 2 ** 31 - 1)
  ssh._sock.pause()
  for (let index = 0; index < 8000; index++) void raw.ask({ kind: 'read', handle, offset: 0, length: 255 * KIB })
  await measureAgainst(before)
})

test('a client that writes without end to a disk that stands still', async () => {
  const before = await warmUp()
  const { raw } = await open()
  const handle = await raw.handle(WRITE)
  await tell('stall')
  const data = Buffer.alloc(32 * KIB)
  for (let index = 0; index < 3000; index++) void raw.ask({ kind: 'write', handle, offset: index * data.length, data })
  await measureAgainst(before)
})

test('a client that fills its window with tiny packets', async () => {
  const before = await warmUp()
  const { channel, raw } = await open()
  const handle = await raw.handle(WRITE)
  await tell('stall')
  // The first fill what may be under way; of the others each byte comes in a packet of its own.
  for (let index = 0; index < 256; index++) {
    void raw.ask({ kind: 'write', handle, offset: index * 16 * KIB, data: Buffer.alloc(16 * KIB) })
  }
  for (let index = 0; index < 60_000; index++) channel.write(Buffer.alloc(1))
  await measureAgainst(before)
})

/** Looks until what the server holds no longer grows, and at the highest it held. */
async function measureAgainst(before: number): Promise<void> {
  let highest = { rss: 0, bytes: 0 }
  for (let calm = 0, last = -1; calm < 5; ) {
    const { rss, bytes } = await tell('measure')
    highest = { rss: Math.max(highest.rss, rss), bytes: Math.max(highest.bytes, bytes) }
    calm = bytes === last ? calm + 1 : 0
    last = bytes
  }
  const added = highest.rss - before
  assert.ok(highest.bytes < 12 * MIB, `${highest.bytes} bytes were held`)
  assert.ok(added <= ADDED_BYTES_MAX, `${(added / MIB).toFixed(1)} MiB were added`)
}
