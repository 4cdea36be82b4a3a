import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a client and a server on loopback, and breaks the line when told. */
export interface Relay {
  readonly port: number
  /** After this many more bytes, both directions and all connections counted, every connection is reset, once. */
  cutAfter(bytes: number): void
  stop(): Promise<void>
}

/** `also`: more ports of the target, which are listened to under the same numbers, on `host`; bytes of all count together. */
export async function startRelay(
  targetPort: number,
  targetHost = '127.0.0.1',
  { host = '127.0.0.1', also = [] }: { readonly host?: string; readonly also?: readonly number[] } = {},
): Promise<Relay> {
  const sockets = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  const lead = (port: number) => (near: Socket) => {
    const far = connect(port, targetHost)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (chunk) => {
        left -= chunk.length
        if (left <= 0) {
          left = Number.POSITIVE_INFINITY
          cut()
        } else if (!to.write(chunk)) {
          from.pause()
          to.once('drain', () => from.resume())
        }
      })
      from.on('end', () => to.end())
      from.on('error', () => reset(to))
      from.on('close', () => {
        sockets.delete(from)
        to.end()
      })
    }
  }
  function cut(): void {
    for (const socket of sockets) reset(socket)
  }
  async function listen(target: number, port: number): Promise<Server> {
    const server = createServer(lead(target)).listen(port, host)
    await once(server, 'listening')
    return server
  }
  const tried = await Promise.allSettled([listen(targetPort, 0), ...also.map((port) => listen(port, port))])
  const servers = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  for (const one of tried) {
    if (one.status === 'fulfilled') continue
    for (const server of servers) server.close()
    throw one.reason
  }
  return {
    port: (servers[0]!.address() as AddressInfo).port,
    cutAfter(bytes) {
      left = bytes
    },
    async stop() {
      const closed = servers.map((server) => once(server.close(), 'close'))
      cut()
      await Promise.all(closed)
    },
  }
}

/** libuv refuses to reset what is shutting down, and Node then leaves it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
