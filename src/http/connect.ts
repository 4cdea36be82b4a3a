import { isIP, type Socket } from 'node:net'
import { createSecureContext, getCACertificates } from 'node:tls'
import { buildConnector } from 'undici'
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EgressGuard } from './guard.ts'

/** After this time without a connection the attempt to connect is given up, ms. The deadline of a post is usually sooner. */
export const CONNECT_MS_MAX = 10 * SECOND_MS
/**
 * How long one address of several may take before the next is tried, ms. It gives up the first one, and Node's own
 * default, 500 ms, is two round trips to a far continent.
 */
const NEXT_ADDRESS_AFTER_MS = 2 * SECOND_MS

/**
 * Opens the sockets of outgoing requests, each to an address that the guard has allowed. `net.connect` asks `lookup`
 * only for names, so literals are checked here; the address of the open socket is checked once more, so that a
 * change in how Node dials cannot open a way around. A refusal is an AppError `url_refused`.
 */
export function createConnector(guard: EgressGuard, extraCa: string | undefined): buildConnector.connector {
  const dial = buildConnector({
    lookup: guard.lookup,
    // One context for all connections: building one reads every root certificate.
    secureContext: createSecureContext(extraCa === undefined ? {} : { ca: [...getCACertificates('default'), extraCa] }),
    allowH2: false,
    timeout: CONNECT_MS_MAX,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
  })

  return (options, done) => {
    const host = options.hostname
    const refusal = isIP(host) === 0 ? undefined : refusalOf(guard, host, host)
    if (refusal !== undefined) {
      done(refusal, null)
      return
    }
    dial(options, (...[error, socket]) => {
      const wrong = error ?? refusalOfSocket(guard, socket, host)
      if (wrong === undefined) {
        done(null, socket!)
        return
      }
      socket?.destroy()
      done(wrong, null)
    })
  }
}

function refusalOf(guard: EgressGuard, address: string, host: string): AppError | undefined {
  const verdict = guard.checkAddress(address, host)
  return verdict.allowed ? undefined : new AppError('url_refused', verdict.reason)
}

function refusalOfSocket(guard: EgressGuard, socket: Socket | null, host: string): Error | undefined {
  const address = socket?.remoteAddress
  // A socket that was cut again in the meantime has no address.
  if (address === undefined) return Object.assign(new Error('cut while connecting'), { code: 'ECONNRESET' })
  return refusalOf(guard, address, host)
}
