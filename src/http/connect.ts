import type { SecureContext } from 'node:tls'
import type { buildConnector } from 'undici'
import type { Clock } from '../base/clock.ts'
import type { EgressGuard } from './guard.ts'
import { withoutInterim } from './interim.ts'
import { type ProxyAccess, tunnel } from './proxy.ts'
import { dial, Opening, secure } from './socket.ts'

export interface ConnectorOptions {
  readonly guard: EgressGuard
  readonly clock: Pick<Clock, 'after'>
  readonly secureContext: SecureContext
  /** Null: straight to the receiver. */
  readonly proxy: ProxyAccess | null
}

/** Opens the sockets of the requests to one origin. A refusal of the guard is an AppError `url_refused`. */
export function createConnector({ guard, clock, secureContext, proxy }: ConnectorOptions): buildConnector.connector {
  let session: Buffer | undefined
  const onSession = (made: Buffer) => {
    session = made
  }

  async function open(opening: Opening, { hostname: host, port, protocol }: buildConnector.Options) {
    const isSecure = protocol === 'https:'
    const target = { host, port: Number(port || (isSecure ? 443 : 80)) }
    const wire = proxy === null ? await dial(opening, guard, target) : await tunnel(opening, guard, proxy, target)
    return isSecure ? secure(opening, wire, { host, secureContext, session, onSession }) : wire
  }

  return (target, done) => {
    new Opening(clock)
      .run((opening) => open(opening, target))
      .then(
        (socket) => done(null, withoutInterim(socket)),
        (error) => done(error, null),
      )
  }
}
