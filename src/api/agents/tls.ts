import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { CertificateAuthority } from '../../agents/authority.ts'
import type { Clock } from '../../base/clock.ts'
import type { Running } from '../../base/lifecycle.ts'
import type { Log } from '../../base/log.ts'
import { Rounds } from '../../base/rounds.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/units.ts'

/** From connecting to the end of the handshake, ms. */
const HANDSHAKE_MS = 10 * SECOND_MS
/** The headers of a request must have arrived by then, and the request as a whole. */
const HEADERS_MS = 10 * SECOND_MS
const REQUEST_MS = 5 * MINUTE_MS
/** Heartbeats come more often than this: their connection stays. */
const KEEP_ALIVE_MS = 75 * SECOND_MS
/** A connection on which nothing moves, ms: streams beat more often, and hashing what a space already has of a large file may take minutes. */
const IDLE_MS = 15 * MINUTE_MS
/** A peer without power or network is noticed by the system after this and some probes, ms. */
const PROBE_MS = 30 * SECOND_MS
/** In all; each is either still in its handshake or of an agent, which has a bound of its own. */
const CONNECTIONS_MAX = 5_000
const HEADER_BYTES_MAX = 16_384

/** The server's own certificate is renewed this long before its end, ms. */
export const RENEW_BEFORE_MS = 30 * DAY_MS
/** How often is looked whether it is time, and how soon a renewal that failed is tried again, ms. */
const LOOK_EVERY_MS = 6 * HOUR_MS

/** A server that speaks TLS 1.3 only, and only with those who show a certificate of our own authority. */
export function createTlsServer(
  listener: RequestListener,
  onRefused: (error: Error, address: string | undefined) => void,
): Server {
  const server = createServer(
    {
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: SECOND_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAlive: true,
      keepAliveInitialDelay: PROBE_MS,
      noDelay: true,
    },
    listener,
  )
  server.maxConnections = CONNECTIONS_MAX
  server.setTimeout(IDLE_MS)
  server.on('tlsClientError', (error, socket) => {
    onRefused(error, socket.remoteAddress)
    socket.destroy()
  })
  return server
}

/** Gives the server a certificate of its own, now and whenever the one before comes near its end; connections that are open stay. */
export async function keepCertificate(
  server: Server,
  authority: Pick<CertificateAuthority, 'certificate' | 'issueToServer'>,
  { clock, log }: { clock: Clock; log: Log },
): Promise<Running> {
  let expiresAt = await renew()
  const looks = new Rounds({
    clock,
    async round() {
      if (expiresAt - clock.now() <= RENEW_BEFORE_MS) expiresAt = await renew()
    },
    everyMs: LOOK_EVERY_MS,
    failed: (error) => log.error({ error: String(error) }, 'cannot renew the certificate of the agent port; it is tried again'),
  })
  looks.start(LOOK_EVERY_MS)

  async function renew(): Promise<number> {
    const { key, certificate, expiresAt: end } = await authority.issueToServer()
    server.setSecureContext({ key, cert: certificate, ca: authority.certificate, minVersion: 'TLSv1.3' })
    return end
  }

  return looks
}
