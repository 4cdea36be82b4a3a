import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Authority } from '../src/agents/agent.ts'
import { createAuthority } from '../src/agents/authority.ts'
import { createSeal } from '../src/base/seal.ts'
import { DAY_MS } from '../src/base/units.ts'
import type { AgentOrders, Heartbeat, Hello, ServerMessage, TransferWork, WorkReport } from '../src/wire/agent/work.ts'
import { createRequest } from './csr.ts'
import { makeAgentFolder } from './folder.ts'

/** An answer of the peer; undefined: it takes the request and never answers. */
export type Answer = { readonly status: number; readonly body: object } | undefined

export type Answering = (path: string, body: { csr?: string }) => Answer | 'as usual' | Promise<Answer | 'as usual'>

/**
 * A server as agents see one, whose failures are made: real TLS with certificates on both sides, the messages of the wire, and what is said to it kept in
 * the order in which it came.
 */
export interface Peer {
  readonly address: string
  readonly url: string
  readonly ca: string
  readonly fingerprint: string
  readonly hellos: Hello[]
  readonly heartbeats: Heartbeat[]
  readonly reports: { readonly lease: string; readonly report: WorkReport }[]
  readonly registrations: { readonly token: string | undefined; readonly csr: string }[]
  /** Serials of the certificates that streams were opened with. */
  readonly serials: string[]
  orders: AgentOrders
  /** What is answered to each path; `/api/agents/register` too. Absent: as a server that agrees would. */
  answer: Answering | undefined
  /** Down the open stream. */
  send(message: ServerMessage): void
  /** Ends the open stream without a word. */
  cut(): void
  /** A certificate for a request, as issued that many days ago. */
  issue(csr: string, options?: { daysAgo?: number }): Promise<string>
  stop(): Promise<void>
}

export const ORDERS: AgentOrders = { name: 'tester', heartbeatMs: 15_000, concurrency: 2, renewBeforeMs: 45 * DAY_MS }

export async function startPeer(): Promise<Peer> {
  const key = randomBytes(32)
  let kept: Authority | undefined
  const authorityAt = (now: number) =>
    createAuthority({
      store: {
        findAuthority: async () => kept,
        async ensureAuthority(made) {
          kept ??= made
          return kept
        },
        async replaceAuthority() {
          throw new Error('never')
        },
      },
      seal: createSeal(key),
      clock: { now: () => now },
    })
  // It begins before the oldest certificate that it issues.
  const authority = await authorityAt(Date.now() - 1_000 * DAY_MS)
  const own = await (await authorityAt(Date.now())).issueToServer()

  const sockets = new Set<Socket>()
  let stream: ServerResponse | undefined
  const usual: Record<string, (body: never, request: IncomingMessage) => object | Promise<object>> = {
    '/agent/v1/heartbeat': (body: Heartbeat) => {
      peer.heartbeats.push(body)
      return {}
    },
    '/agent/v1/certificate': async ({ csr }: { csr: string }) => ({ certificate: await peer.issue(csr) }),
    '/api/agents/register': async ({ csr }: { csr: string }, { headers }) => {
      peer.registrations.push({ token: headers.authorization?.replace('Bearer ', ''), csr })
      const mtls = { enabled: true, certificate: await peer.issue(csr), ca: peer.ca, agents: peer.address }
      return { success: true, data: { agent: { id: 'agent_1', name: 'tester' }, apiKey: 'mft_ak_test', mtls } }
    },
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!
    const body = JSON.parse(Buffer.concat(await request.toArray()).toString())
    const answer = peer.answer === undefined ? 'as usual' : await peer.answer(path, body)
    if (answer === undefined) return
    if (answer !== 'as usual') return end(response, answer.status, answer.body)
    if (path === '/agent/v1/stream') return openStream(request, response, body)
    const lease = /^\/agent\/v1\/work\/(.+)$/.exec(path)?.[1]
    if (lease !== undefined) {
      peer.reports.push({ lease, report: body })
      return end(response, 200, { go: true })
    }
    end(response, path.startsWith('/api') ? 201 : 200, await usual[path]!(body as never, request))
  }

  function openStream(request: IncomingMessage, response: ServerResponse, hello: Hello): void {
    const { serialNumber } = (request.socket as TLSSocket).getPeerCertificate()
    peer.serials.push(serialNumber)
    peer.hellos.push(hello)
    stream?.end()
    stream = response
    response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' })
    peer.send({ type: 'welcome', agentId: 'agent_1', ...peer.orders })
  }

  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void serve(request, response).catch(() => response.destroy())
  const tls = { key: own.key, cert: own.certificate, ca: authority.certificate, minVersion: 'TLSv1.3' } as const
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, listener)
  const api = createHttpServer(listener)
  for (const one of [server, api]) {
    one.on('connection', (socket) => void sockets.add(socket.once('close', () => sockets.delete(socket))))
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))
  }

  const peer: Peer = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    url: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
    ca: authority.certificate,
    fingerprint: authority.fingerprint,
    hellos: [],
    heartbeats: [],
    reports: [],
    registrations: [],
    serials: [],
    orders: ORDERS,
    answer: undefined,
    send: (message) => void stream?.write(`${JSON.stringify(message)}\n`),
    cut: () => stream?.destroy(),
    async issue(csr, { daysAgo = 0 } = {}) {
      const then = await authorityAt(Date.now() - daysAgo * DAY_MS)
      return (await then.issueToAgent(csr, 'agent_1')).certificate
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      await Promise.all([server, api].map((one) => new Promise((resolve) => one.close(resolve))))
    },
  }
  return peer
}

function end(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A folder that is enrolled at the peer, with a certificate that was issued that many days ago. */
export async function enrolledFolder(peer: Peer, options: { daysAgo?: number } = {}): Promise<string> {
  const path = await temporaryFolder()
  const folder = await makeAgentFolder(path)
  const certificate = await peer.issue(createRequest(await folder.keyToEnrol()), options)
  const facts = { id: 'agent_1', name: 'tester', server: `${peer.url}/`, agents: peer.address, roots: [path], ca: peer.ca }
  await folder.keepEnrolment({ ...facts, admittedBy: '' }, certificate, 'mft_ak_test')
  return path
}

const folders: string[] = []

export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'landfall-agent-'))
  folders.push(path)
  return path
}

export async function removeTemporaryFolders(): Promise<void> {
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true })
}

export function transferWork(lease: string, more: Partial<TransferWork> = {}): TransferWork {
  const place = (path: string) => ({ endpoint: { protocol: 'local' } as const, path })
  return {
    ...{ kind: 'transfer', lease, transferId: `trf_${lease}`, direction: 'pull', source: place('/a'), destination: place('/b') },
    ...{ bytesPerSecond: null, postAction: { kind: 'keep' }, hasArrived: false, expected: null, deadlineMs: null },
    ...more,
  } as TransferWork
}
