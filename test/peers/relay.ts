import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between a client and a server on loopback, and breaks the line when told. */
export interface Relay {
  readonly port: number
  /** After this many more bytes, both directions and all connections counted, every connection is reset, once. */
  cutAfter(bytes: number): void
  stop(): Promise<void>
}

export async function startRelay(targetPort: number, targetHost = '127.0.0.1'): Promise<Relay> {
  const sockets = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  const server = createServer((near) => {
    const far = connect(targetPort, targetHost)
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
      from.on('error', () => to.resetAndDestroy())
      from.on('close', () => {
        sockets.delete(from)
        to.end()
      })
    }
  })
  function cut(): void {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter(bytes) {
      left = bytes
    },
    async stop() {
      server.close()
      cut()
      if (server.listening) await once(server, 'close')
    },
  }
}
