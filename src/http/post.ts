import type { Dispatcher } from 'undici'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import { Exchange, type PostResult } from './exchange.ts'
import type { EgressGuard } from './guard.ts'
import type { Pools } from './pools.ts'
import { DIRECT, type Route } from './route.ts'
import { sentenceOf } from './tls.ts'

/**
 * Sends one POST and says what became of it. Whatever the world does (refuses, hangs, drips, floods, lies about its
 * certificate) is a value of `PostResult`, never an exception, and known within the deadline. Redirects are answers
 * like any other. The body is sent byte for byte. Nothing compressed is asked for, but receivers compress anyway: of
 * such an answer the beginning is inflated.
 *
 * `post` rejects only where nothing can be said about the receiver: AppError `stopping` after `close`, `internal` when
 * this machine is out of sockets or the request cannot be built. Such a call must not count as an attempt.
 */
export interface Poster {
  post(request: PostRequest): Promise<PostResult>
  /** Takes no new requests; those under way have `withinMs` to end, then they are cut and their promises reject. */
  close(withinMs?: number): Promise<void>
}

export interface PostRequest {
  url: string
  headers: Record<string, string>
  body: Buffer | string
  /** From the call to the end of the answer, ms: waiting for a connection, connecting, headers and body. */
  deadlineMs: number
  /** Absent: DIRECT. */
  route?: Route
}

export interface PosterOptions {
  guard: EgressGuard
  clock: Pick<Clock, 'now' | 'monotonic' | 'after'>
  /** A certificate authority (PEM) trusted beside the usual ones. */
  ca?: string
  /** How many connections one origin may have at a time on one route; further requests wait, inside their deadline. */
  connectionsPerOriginMax?: number
  /** How many origins keep open connections (one of two routes counts twice); beyond it the one used longest ago lets go of its own. */
  originsMax?: number
}

const CONNECTIONS_PER_ORIGIN_MAX = 256
const ORIGINS_MAX = 1024
const CLOSE_WITHIN_MS = 5 * SECOND_MS

export function createPoster(options: PosterOptions): Poster {
  const { guard, clock, connectionsPerOriginMax = CONNECTIONS_PER_ORIGIN_MAX, originsMax = ORIGINS_MAX } = options
  let opening: Promise<Pools> | undefined
  let opened: Pools | undefined
  let isClosed = false

  async function post(request: PostRequest): Promise<PostResult> {
    if (isClosed) throw new AppError('stopping', 'the sender is stopping')
    const { headers, body, deadlineMs, route = DIRECT } = request
    const verdict = guard.under(route.egressAllow).checkUrl(request.url)
    if (!verdict.allowed) return { kind: 'refused', reason: verdict.reason }
    const pools = opened ?? (await open())
    if (isClosed) throw new AppError('stopping', 'the sender is stopping')
    const wrong = faultOf(pools, route)
    if (wrong !== undefined) return { kind: 'unreachable', code: 'CLIENT_CERTIFICATE', message: wrong, durationMs: 0 }
    const { origin, pathname, search } = verdict.url
    const message: Dispatcher.DispatchOptions = { method: 'POST', path: pathname + search, headers, body }
    return new Promise((resolve, reject) => {
      const send = (exchange: Exchange) => pools.of(origin, route).dispatch(message, exchange)
      new Exchange({ clock, deadlineMs, send, resolve, reject }).start()
    })
  }

  /** With the first request: undici is a tenth of what the server would load before it is ready. */
  async function open(): Promise<Pools> {
    opening ??= import('./pools.ts').then(
      ({ Pools }) => new Pools({ guard, clock, ca: options.ca, connectionsMax: connectionsPerOriginMax, poolsMax: originsMax }),
    )
    opened = await opening
    return opened
  }

  /** What keeps our side from showing who it is; nobody need be asked to know it. */
  function faultOf(pools: Pools, route: Route): string | undefined {
    try {
      const { certificateUntil } = pools.identityOf(route)
      if (certificateUntil === null || clock.now() < certificateUntil) return undefined
      return `the client certificate has expired on ${new Date(certificateUntil).toISOString()}`
    } catch (error) {
      return `the client certificate cannot be used: ${sentenceOf(error)}`
    }
  }

  async function close(withinMs = CLOSE_WITHIN_MS): Promise<void> {
    isClosed = true
    const pools = opened
    if (pools === undefined) return
    const ended = pools.retireAll()
    const cut = Promise.withResolvers<unknown>()
    const cancel = clock.after(withinMs, () => cut.resolve(pools.cut()))
    await Promise.race([ended, cut.promise])
    cancel()
  }

  return { post, close }
}
