import { Client, type Dispatcher, Pool } from 'undici'
import type { Clock } from '../base/clock.ts'
import { KIB, SECOND_MS } from '../base/units.ts'
import { createConnector } from './connect.ts'
import { Exchange } from './exchange.ts'
import type { EgressGuard } from './guard.ts'
import type { ProxyAccess } from './proxy.ts'
import type { Route } from './route.ts'
import { type Identity, openIdentity } from './tls.ts'

/** Bound of an answer's headers, and of its trailers, all together in bytes; more is a failure. */
const RESPONSE_HEADER_BYTES_MAX = 16 * KIB
/** An unused connection is closed after this time, ms, or sooner where the receiver announces less. */
const IDLE_MS_MAX = 4 * SECOND_MS

export interface PoolsOptions {
  readonly guard: EgressGuard
  readonly clock: Pick<Clock, 'after'>
  /** A certificate authority (PEM) trusted beside the usual ones. */
  readonly ca: string | undefined
  readonly connectionsMax: number
  readonly poolsMax: number
}

/** The open connections, kept by origin and route and never shared between two of either. */
export class Pools {
  readonly #options: PoolsOptions
  /** By route and origin; the one used longest ago comes first. */
  readonly #pools = new Map<string, Pool>()
  /** Taken out of use, each with the end of what it still has to finish. */
  readonly #retiring = new Map<Pool, Promise<unknown>>()
  /** By route: reading all roots of the system for each connection would cost more than the connection. */
  readonly #identities = new Map<string, Identity>()

  constructor(options: PoolsOptions) {
    this.#options = options
  }

  /** Throws what OpenSSL says of certificates that it cannot use. */
  identityOf(route: Route): Identity {
    const known = this.#identities.get(route.key)
    const identity = known ?? openIdentity(route.tls, this.#options.ca)
    this.#identities.delete(route.key)
    this.#identities.set(route.key, identity)
    if (this.#identities.size > this.#options.poolsMax) this.#identities.delete(this.#identities.keys().next().value!)
    return identity
  }

  of(origin: string, route: Route): Pool {
    const key = `${origin} ${route.key}`
    const pool = this.#pools.get(key) ?? this.#open(key, origin, route)
    this.#pools.delete(key)
    this.#pools.set(key, pool)
    if (this.#pools.size > this.#options.poolsMax) this.#retire(this.#pools.keys().next().value!)
    return pool
  }

  /** Resolves when all that is under way has ended. */
  async retireAll(): Promise<void> {
    for (const key of [...this.#pools.keys()]) this.#retire(key)
    await Promise.all(this.#retiring.values())
  }

  async cut(): Promise<void> {
    await Promise.all([...this.#retiring.keys()].map((pool) => pool.destroy()))
  }

  #open(key: string, origin: string, route: Route): Pool {
    const { guard, clock, connectionsMax } = this.#options
    const pool = new Pool(origin, {
      connect: createConnector({
        guard: guard.under(route.egressAllow),
        clock,
        secureContext: this.identityOf(route).context,
        proxy: this.#accessOf(route),
      }),
      connections: connectionsMax,
      factory: (url, settings) => new Line(url, settings),
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
      keepAliveMaxTimeout: IDLE_MS_MAX,
      // The deadline of each exchange covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const retireUnused = () => {
      if (this.#pools.get(key) === pool && pool.stats.connected === 0 && pool.stats.size === 0) this.#retire(key)
    }
    return pool.on('disconnect', retireUnused).on('connectionError', retireUnused)
  }

  /** The proxy is believed like the receiver, and never shown the client certificate. */
  #accessOf({ proxy, tls }: Route): ProxyAccess | null {
    if (proxy === null) return null
    const { context } = openIdentity(tls?.ca === undefined ? null : { ca: tls.ca }, this.#options.ca)
    return { ...proxy, secureContext: context }
  }

  #retire(key: string): void {
    const pool = this.#pools.get(key)!
    this.#pools.delete(key)
    this.#retiring.set(
      pool,
      pool.close().then(() => this.#retiring.delete(pool)),
    )
  }
}

/** One connection of a pool. It lets each exchange know whether its socket has carried another one before. */
class Line extends Client {
  /** Exchanges begun on the present socket. */
  exchanges = 0

  constructor(origin: URL, options: Client.Options) {
    super(origin, options)
    this.on('connect', () => {
      this.exchanges = 0
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Exchange) handler.line = this
    return super.dispatch(options, handler)
  }
}
