import { createHash } from 'node:crypto'

/**
 * How requests get to a receiver: as whom, through what, and where to they may go. Connections are shared only among
 * requests of one route, so none is ever used under another identity or policy than the one it was opened under.
 */
export interface Route {
  /** Equal for equal routes, and says nothing about what is in them. */
  readonly key: string
  /** Networks that may be reached in place of those of the server; null: those of the server. */
  readonly egressAllow: readonly string[] | null
  readonly tls: ClientTls | null
  readonly proxy: HttpProxy | null
}

export interface ClientTls {
  /** The client's certificate, with those that lead to its authority behind it, and its key; PEM. */
  readonly certificate?: string
  readonly key?: string
  /** Authorities trusted beside those of the system, PEM. */
  readonly ca?: string
}

export interface HttpProxy {
  readonly url: string
  readonly username?: string
  readonly password?: string
}

/** Straight to the receiver, as nobody, under the policy of the server. */
export const DIRECT: Route = { key: '', egressAllow: null, tls: null, proxy: null }

export function routeOf(parts: Partial<Omit<Route, 'key'>>): Route {
  const { egressAllow = null, tls = null, proxy = null } = parts
  if (egressAllow === null && tls === null && proxy === null) return DIRECT
  const members = [egressAllow, tls?.certificate, tls?.key, tls?.ca, proxy?.url, proxy?.username, proxy?.password]
  const key = createHash('sha256').update(JSON.stringify(members)).digest('base64')
  return { key, egressAllow, tls, proxy }
}
