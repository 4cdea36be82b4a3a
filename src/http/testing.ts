import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import type { PostResult } from './exchange.ts'
import { createEgressGuard, type EgressGuard, type Resolve } from './guard.ts'
import { createPoster, type Poster, type PosterOptions, type PostRequest } from './post.ts'

/** Receivers and hands for the tests of this folder. */
export const pem = (name: string) => readFileSync(new URL(`./testdata/${name}`, import.meta.url), 'utf8')
export const key = pem('localhost.key.pem')
export const cert = pem('localhost.cert.pem')

export const openGuard = createEgressGuard({ allow: [], loopback: true })

export function posterOf(t: TestContext, options: Partial<PosterOptions> = {}): Poster {
  const poster = createPoster({ guard: openGuard, clock: systemClock, ...options })
  t.after(() => poster.close(0))
  return poster
}

export function post(
  t: TestContext,
  request: Partial<PostRequest> & { url: string },
  options: Partial<PosterOptions> = {},
): Promise<PostResult> {
  return posterOf(t, options).post({ headers: {}, body: '{}', deadlineMs: 10_000, ...request })
}

export function summary(result: PostResult) {
  if (result.kind === 'answered') return { kind: result.kind, status: result.status }
  return result.kind === 'unreachable' ? { kind: result.kind, message: result.message } : result
}

interface Received {
  method: string | undefined
  url: string | undefined
  headers: IncomingMessage['headers']
  body: Buffer
}
export interface Receiver {
  url: string
  port: number
  requests: Received[]
  sockets: Set<Socket>
}

export async function receiver(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Receiver> {
  return listening(t, 'http', (listener) => createServer(listener), answer)
}

export async function tlsReceiver(t: TestContext, certificate: string, more: ServerOptions = {}): Promise<Receiver> {
  const make = (listener: RequestListener) => createTlsServer({ key, cert: certificate, ...more }, listener)
  return listening(t, 'https', make, (_request, response) => response.end('ok'))
}

async function listening(
  t: TestContext,
  scheme: string,
  make: (listener: RequestListener) => ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>,
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Receiver> {
  const requests: Received[] = []
  const sockets = new Set<Socket>()
  const server = make(async (request, response) => {
    const body = Buffer.concat(await request.toArray())
    requests.push({ method: request.method, url: request.url, headers: request.headers, body })
    answer(request, response)
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `${scheme}://127.0.0.1:${port}/`, port, requests, sockets }
}

export async function tcpReceiver(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

export function addressList(addresses: readonly string[]) {
  return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

export function resolvingTo(addresses: readonly string[]): EgressGuard {
  const resolve: Resolve = async () => addressList(addresses)
  return createEgressGuard({ allow: [], loopback: true }, resolve)
}

/** A clock that stands until it is moved; only what is due at once happens by itself. */
export function handClock(): Pick<Clock, 'now' | 'monotonic' | 'after'> & { move(ms: number): void } {
  let nowMs = 0
  const waiting = new Set<{ at: number; call: () => void }>()
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(ms, call) {
      const entry = { at: nowMs + ms, call }
      if (ms === 0) queueMicrotask(call)
      else waiting.add(entry)
      return () => waiting.delete(entry)
    },
    move(ms) {
      nowMs += ms
      for (const entry of [...waiting].sort((a, b) => a.at - b.at)) {
        if (entry.at > nowMs || !waiting.delete(entry)) continue
        entry.call()
      }
    },
  }
}
