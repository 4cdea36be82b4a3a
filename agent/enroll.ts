import { createHash, X509Certificate } from 'node:crypto'
import { mkdir, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { request } from 'undici'
import { AppError } from '../src/base/error.ts'
import { MIB, SECOND_MS } from '../src/base/units.ts'
import { checkIssued } from './certificate.ts'
import { createRequest } from './csr.ts'
import { type AgentFacts, type AgentFolder, defaultRoot, lockAgentFolder, makeAgentFolder } from './folder.ts'
import { agentOs } from './machine.ts'

export interface EnrolOptions {
  /** Url of the server's HTTP API. */
  readonly server: string
  /** An enrolment token, or one of an administrator. */
  readonly token: string
  readonly folder: string
  /** Absent: the name of the host. */
  readonly name?: string | undefined
  /** Folders that transfers may read and write; none: `files` in the agent's folder. */
  readonly roots: readonly string[]
  readonly version: string
  /** A new key and a new agent, though the folder is enrolled. */
  readonly isForced?: boolean
  /** The token may travel in clear, where it pins the authority. */
  readonly isInsecure?: boolean
}

export interface Enrolled {
  readonly facts: AgentFacts
  readonly certificateEndsAt: number
  /** What vouches for the authority that is pinned from now on. */
  readonly vouchedBy: 'token' | 'tls' | 'loopback'
  /** The same command was carried out before. */
  readonly wasEnrolled: boolean
}

const ANSWER_MS = 30 * SECOND_MS
const ANSWER_BYTES_MAX = MIB
/** `mft_enr_<secret>.<first 32 hex digits of SHA-256 of the authority's certificate>` */
const ENROLMENT_TOKEN = /^mft_enr_[^.]+\.([0-9a-f]{32})$/

/**
 * Makes this folder an agent of a server: a key pair that never leaves it, a certificate of the server's own authority, and that authority pinned.
 * The key is durable before the server hears of it, and the server knows an agent by its key: whoever dies on the way runs the same
 * command again and ends as the same agent, with one use of the token.
 *
 * @throws AppError in one line, for the person at the terminal
 */
export async function enrol(options: EnrolOptions): Promise<Enrolled> {
  const { token, isForced = false } = options
  const server = serverUrl(options.server)
  const pinned = ENROLMENT_TOKEN.exec(token)?.[1]
  const vouchedBy = voucher(server, pinned, options.isInsecure ?? false)
  const folder = await makeAgentFolder(resolve(options.folder))
  const lock = lockAgentFolder(folder.path)
  try {
    const admittedBy = sha256(token)
    const before = isForced ? undefined : await folder.read()
    if (before !== undefined) {
      const { key, certificate, ...facts } = before
      const isSame = facts.admittedBy === admittedBy && facts.server === server.href
      if (!isSame)
        throw new AppError(
          'already_exists',
          `${folder.path} is enrolled as ${facts.name} at ${facts.server}: name another --folder, or --force`,
        )
      return { facts, certificateEndsAt: certificate.validToDate.getTime(), vouchedBy, wasEnrolled: true }
    }
    const roots = await rootsOf(options.roots, folder.path)
    const key = await folder.keyToEnrol()
    const name = options.name ?? hostname()
    const { version } = options
    const body = { hostname: hostname(), os: agentOs(), name, version, csr: createRequest(key) }
    const { agent, apiKey, mtls } = await register(server, token, body, folder)

    checkAuthority(mtls.ca, pinned)
    const certificate = new X509Certificate(mtls.certificate)
    checkIssued(certificate, { key, ca: mtls.ca })
    const { agents, ca } = mtls
    const facts = { id: agent.id, name: agent.name, server: server.href, agents, roots, ca, admittedBy }
    await folder.keepEnrolment(facts, mtls.certificate, apiKey)
    return { facts, certificateEndsAt: certificate.validToDate.getTime(), vouchedBy, wasEnrolled: false }
  } finally {
    await lock.stop()
  }
}

interface Registered {
  readonly agent: { readonly id: string; readonly name: string }
  readonly apiKey: string
  readonly mtls: { readonly certificate: string; readonly ca: string; readonly agents: string }
}

async function register(server: URL, token: string, body: object, folder: AgentFolder): Promise<Registered> {
  const { status, text } = await post(new URL('api/agents/register', server), token, body)
  const envelope = parsed(text)
  if (status === 201 && envelope?.data?.mtls?.certificate && envelope.data.mtls.agents) return envelope.data as Registered
  if (status < 400) throw wrongAnswer(`status ${status} without a certificate: is this a Landfall server with an agent port?`)
  // This key is not to be let in; with another one it may be.
  if (status === 403) await folder.forgetKeyToEnrol()
  const code = status === 401 ? 'unauthenticated' : status === 403 ? 'forbidden' : 'invalid'
  throw new AppError(code, `${server.host} refused the enrolment (${status}): ${envelope?.error ?? 'no reason given'}`)
}

async function post(url: URL, token: string, body: object): Promise<{ status: number; text: string }> {
  try {
    const { statusCode, body: answer } = await request(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of answer) {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) throw wrongAnswer(`more than ${ANSWER_BYTES_MAX} bytes`)
      chunks.push(chunk)
    }
    return { status: statusCode, text: Buffer.concat(chunks).toString() }
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    throw new AppError(
      'internal',
      `${url.origin} does not answer (${code ?? message}): is the server running, and its url right?`,
      { cause },
    )
  }
}

function serverUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new AppError('invalid', '--server is a url such as https://files.example.com, without user, query or fragment')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** Why the authority of the answer is the right one; throws where nothing says so, or where the token would be seen on its way. */
function voucher(server: URL, pinned: string | undefined, isInsecure: boolean): Enrolled['vouchedBy'] {
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(server.hostname)
  if (server.protocol === 'http:' && !isLoopback) {
    const why = `the token would travel to ${server.host} in clear, where whoever sees it can use it`
    if (pinned === undefined) throw new AppError('invalid', `${why}: use https, or an enrolment token with --insecure`)
    if (!isInsecure) throw new AppError('invalid', `${why}: use https, or accept that with --insecure`)
  }
  if (pinned !== undefined) return 'token'
  return server.protocol === 'https:' ? 'tls' : 'loopback'
}

function checkAuthority(pem: string, pinned: string | undefined): void {
  const authority = new X509Certificate(pem)
  if (pinned !== undefined && !sha256(authority.raw).startsWith(pinned))
    throw new AppError(
      'forbidden',
      'the authority that the server shows is not the one of the token: somebody may stand between, or the token is of another server',
    )
  if (!authority.ca) throw wrongAnswer('the certificate that it calls its authority is none of an authority')
}

/** As absolute paths; the default one is made. */
export async function rootsOf(given: readonly string[], folder: string): Promise<string[]> {
  if (given.length === 0) {
    const root = defaultRoot(folder)
    await mkdir(root, { recursive: true, mode: 0o700 })
    return [root]
  }
  const roots = given.map((root) => resolve(root))
  for (const root of roots) {
    const facts = await stat(root).catch(() => undefined)
    if (facts?.isDirectory() !== true) throw new AppError('invalid', `--root ${root} is not a folder of this machine`)
  }
  return roots
}

function wrongAnswer(what: string): AppError {
  return new AppError('internal', `the server answered what it should not: ${what}`)
}

interface Envelope {
  readonly data?: { readonly mtls?: Partial<Registered['mtls']> }
  readonly error?: string
}

function parsed(text: string): Envelope | undefined {
  try {
    return JSON.parse(text) as Envelope
  } catch {
    return undefined
  }
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
