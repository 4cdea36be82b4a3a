import { isIP } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import { MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { HttpEndpoint } from '../../src/wire/agent/work.ts'
import { httpFailure, statusFailure } from './http-status.ts'

/** From dialling to the end of the TLS handshake, ms. */
const CONNECT_MS = 30 * SECOND_MS
/** From the end of a request to the headers of its answer, ms: a server may store or scan a large file before it answers. */
const HEADERS_MS = 5 * MINUTE_MS
/** Redirects of one request, at most. */
export const REDIRECTS_MAX = 5
/** Bytes of a body that nobody wants, read so that its connection serves on; a longer one costs the connection. */
const UNWANTED_BYTES_MAX = 64 * 1024

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** Path and query, escaped. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Dispatcher.DispatchOptions['body']
  /** `Reading “/a”`. */
  readonly doing: string
  readonly signal: AbortSignal
}

/**
 * Connections to one server, and to where it redirects reading. Credentials and the remote's own CA are for that server alone: elsewhere nobody gets them, and
 * certificates are checked by what the system trusts.
 */
export class HttpConnections {
  /** Nothing of a request outlives its client, so it can always serve the next one. */
  readonly isQuiet = true
  readonly #origin: string
  readonly #authorization: string | undefined
  readonly #own: Agent
  #elsewhere: Agent | undefined

  constructor(endpoint: HttpEndpoint) {
    const { protocol, host, port, ca } = endpoint
    this.#origin = new URL(`${protocol}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`).origin
    this.#authorization = authorizationOf(endpoint)
    this.#own = agentWith(ca)
  }

  /** The answer, whatever its status; GET and HEAD with redirects followed. */
  async send(request: HttpRequest): Promise<Dispatcher.ResponseData> {
    let url = this.#urlOf(request)
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#dispatch(request, url)
      if (!REDIRECTS.has(answer.statusCode)) return answer
      await dismiss(answer)
      if (redirects === REDIRECTS_MAX) {
        throw new TransferFailure('PROTOCOL_ERROR', `${request.doing} failed: more than ${REDIRECTS_MAX} redirects.`)
      }
      url = redirected(url, request, answer)
    }
  }

  close(): void {
    for (const agent of [this.#own, this.#elsewhere]) agent?.destroy().catch(() => {})
  }

  #urlOf({ path, doing }: HttpRequest): URL {
    // It would be left out, and another file asked for.
    if (path.includes('#'))
      throw new TransferFailure('UNSUPPORTED', `${doing} failed: a # in a path of HTTP is to be written as %23.`)
    const target = path.toWellFormed().replace(/[^\x21-\x7e]+/g, encodeURIComponent)
    const url = URL.parse(this.#origin + target)
    if (url?.origin === this.#origin) return url
    throw new TransferFailure('UNSUPPORTED', `${doing} failed: that is no path of a url.`)
  }

  async #dispatch({ method, headers = {}, body, doing, signal }: HttpRequest, url: URL): Promise<Dispatcher.ResponseData> {
    const isOwn = url.origin === this.#origin
    if (!isOwn) this.#elsewhere ??= agentWith(undefined)
    try {
      return await (isOwn ? this.#own : this.#elsewhere!).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        body: body ?? null,
        headers: {
          'user-agent': 'landfall-agent',
          // What is stored is what the server has, byte for byte.
          'accept-encoding': 'identity',
          ...headers,
          ...(isOwn && this.#authorization !== undefined && { authorization: this.#authorization }),
        },
        signal,
        headersTimeout: HEADERS_MS,
        // Watched by those who read it.
        bodyTimeout: 0,
      })
    } catch (error) {
      throw httpFailure(error, doing, signal)
    }
  }
}

/** Reads what nobody wants of an answer. */
export async function dismiss({ body }: Dispatcher.ResponseData): Promise<void> {
  await body.dump({ limit: UNWANTED_BYTES_MAX }).catch(() => {})
}

/** Fails unless the status is a good one. */
export async function expectStatus(answer: Dispatcher.ResponseData, isGood: (status: number) => boolean, doing: string) {
  if (isGood(answer.statusCode)) return
  await dismiss(answer)
  throw statusFailure(answer.statusCode, doing)
}

function redirected(from: URL, { method, doing }: HttpRequest, { headers, statusCode }: Dispatcher.ResponseData): URL {
  if (method !== 'GET' && method !== 'HEAD') {
    throw new TransferFailure(
      'UNSUPPORTED',
      `${doing} failed: the server redirects it (status ${statusCode}); name the other place.`,
    )
  }
  const to = URL.parse(String(headers.location), from)
  if (to === null || !['http:', 'https:'].includes(to.protocol)) {
    throw new TransferFailure('PROTOCOL_ERROR', `${doing} failed: the server redirects it to what is no url of HTTP.`)
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw new TransferFailure('UNSUPPORTED', `${doing} failed: the server redirects it from https to http (${to.host}).`)
  }
  return to
}

function agentWith(ca: string | undefined): Agent {
  return new Agent({
    connect: { timeout: CONNECT_MS, ...(ca !== undefined && { ca }) },
    // A file per request: with HTTP/2 they would share one line, and its end.
    allowH2: false,
    pipelining: 1,
  })
}

function authorizationOf({ username, password, bearer }: HttpEndpoint): string | undefined {
  if (bearer !== undefined) return `Bearer ${bearer}`
  if (username === undefined) return undefined
  return `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
}
