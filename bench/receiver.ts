import { createServer, type Server, type Socket } from 'node:net'
import { MIB } from '../src/base/units.ts'

/**
 * The receivers of the benchmark, in a process of their own: any number of listeners on loopback that read a POST to
 * its last byte and answer 200. It works on bare sockets, so that on a small machine its share of the processor is
 * small; `node:http` would cost as much as what is measured.
 *
 * A body says which file it is about by a name that ends in `-<number>.bin"`. The first arrival of each number at each
 * listener is kept with its time on the system's monotonic clock, which all processes of a machine share.
 */
export type Command =
  | { do: 'listen'; listeners: number }
  /** These keep every connection open and never answer. */
  | { do: 'hang'; listeners: number[] }
  /** Answers when this many distinct arrivals came since the last `clear`, not counting those at hanging listeners. */
  | { do: 'await'; arrivals: number }
  | { do: 'collect' }
  | { do: 'clear' }

export type Answer =
  | { ports: number[] }
  | { hanging: number }
  | { arrivals: number; lastAt: number; cpuMicroseconds: number }
  /** Of each listener: number of a file, time of its arrival, in turn. */
  | { collected: Float64Array[] }
  | { cleared: true }

const HEAD_END = Buffer.from('\r\n\r\n')
const NAME_END = Buffer.from('.bin"')
const REQUEST_BYTES_MAX = MIB
/** As an ordinary receiver answers: a few headers and a short body, all of which end in the attempt log. */
const OK = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nServer: bench\r\n\r\nok')

/** ms on the system's monotonic clock. */
export function systemMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const listeners: { server: Server; arrivedAt: Map<number, number>; isHanging: boolean }[] = []
let distinct = 0
let lastAt = 0
let awaited: { arrivals: number; answer: () => void } | undefined

function serve(socket: Socket, index: number): void {
  const listener = listeners[index]!
  let pending: Buffer = Buffer.alloc(0)
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    for (;;) {
      const headEnd = pending.indexOf(HEAD_END)
      if (headEnd < 0) break
      const length = /\r\ncontent-length: *(\d+)/i.exec(pending.toString('latin1', 0, headEnd))?.[1]
      const end = headEnd + HEAD_END.length + Number(length ?? 0)
      if (pending.length < end) break
      arrived(listener, numberIn(pending.subarray(headEnd, end)))
      pending = pending.subarray(end)
      if (!listener.isHanging) socket.write(OK)
    }
    if (pending.length > REQUEST_BYTES_MAX) socket.destroy()
  })
}

function numberIn(body: Buffer): number {
  const end = body.indexOf(NAME_END)
  return end < 0 ? -1 : Number(body.toString('latin1', body.lastIndexOf('-', end) + 1, end))
}

function arrived({ arrivedAt, isHanging }: (typeof listeners)[number], number: number): void {
  if (arrivedAt.has(number)) return
  const now = systemMs()
  arrivedAt.set(number, now)
  if (isHanging) return
  distinct++
  lastAt = now
  if (awaited !== undefined && distinct >= awaited.arrivals) {
    awaited.answer()
    awaited = undefined
  }
}

async function listen(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let index = listeners.length, last = index + count; index < last; index++) {
    const server = createServer((socket) => serve(socket, index))
    listeners.push({ server, arrivedAt: new Map(), isHanging: false })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not a port')
    ports.push(address.port)
  }
  return ports
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function handle(command: Command): Promise<Answer> {
  switch (command.do) {
    case 'listen':
      return { ports: await listen(command.listeners) }
    case 'hang':
      for (const [index, listener] of listeners.entries()) listener.isHanging = command.listeners.includes(index)
      return { hanging: command.listeners.length }
    case 'await': {
      if (distinct < command.arrivals) {
        await new Promise<void>((answer) => {
          awaited = { arrivals: command.arrivals, answer }
        })
      }
      return { arrivals: distinct, lastAt, cpuMicroseconds: cpuMicroseconds() }
    }
    case 'collect':
      return { collected: listeners.map(({ arrivedAt }) => Float64Array.from([...arrivedAt].flat())) }
    case 'clear':
      for (const { arrivedAt } of listeners) arrivedAt.clear()
      distinct = 0
      return { cleared: true }
  }
}

if (import.meta.main) {
  process.on('message', ({ id, command }: { id: number; command: Command }) => {
    void handle(command).then((answer) => process.send!({ id, answer }))
  })
  process.on('disconnect', () => process.exit())
}
