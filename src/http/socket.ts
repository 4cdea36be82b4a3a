import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { type SecureContext, connect as tlsConnect } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { CONNECT_TIMEOUT } from './failure.ts'
import type { EgressGuard, ResolvedAddress } from './guard.ts'

/** After this time without a connection the attempt to connect is given up, ms. The deadline of a post is usually sooner. */
export const CONNECT_MS_MAX = 10 * SECOND_MS
/**
 * How long one address of several may take before the next is tried, ms. It gives up the first one, and Node's own
 * default, 500 ms, is two round trips to a far continent.
 */
const NEXT_ADDRESS_AFTER_MS = 2 * SECOND_MS
/** An idle connection is probed after this time, ms, so that one whose other end is gone is noticed. */
const KEEP_ALIVE_AFTER_MS = MINUTE_MS

export interface Target {
  /** A name, or an address without brackets. */
  readonly host: string
  readonly port: number
}

/** The sockets of one connection that is being opened: all are cut when a step fails or the time is over. */
export class Opening {
  readonly #clock: Pick<Clock, 'after'>
  readonly #sockets: Socket[] = []
  #isOver = false

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  async run(open: (opening: Opening) => Promise<Socket>): Promise<Socket> {
    const time = Promise.withResolvers<never>()
    const cancel = this.#clock.after(CONNECT_MS_MAX, () =>
      time.reject(Object.assign(new Error('no connection in time'), { code: CONNECT_TIMEOUT })),
    )
    try {
      return await Promise.race([open(this), time.promise])
    } catch (error) {
      this.#isOver = true
      for (const socket of this.#sockets) socket.destroy()
      throw error
    } finally {
      cancel()
    }
  }

  /** Resolves with a new socket at the event. */
  async reached<Kind extends Socket>(open: () => Kind, event: 'connect' | 'secureConnect'): Promise<Kind> {
    if (this.#isOver) throw new Error('the time to connect is over')
    const socket = open()
    this.#sockets.push(socket)
    return new Promise((resolve, reject) => {
      socket.once(event, () => resolve(socket))
      // It stays: a socket may fail before its next owner listens. The alert of a receiver comes as an error that is followed
      // by the end of the stream, which would be taken for the cause if it came through.
      socket.on('error', (error) => {
        socket.destroy()
        reject(error)
      })
      socket.once('close', () => reject(Object.assign(new Error('cut while connecting'), { code: 'ECONNRESET' })))
    })
  }
}

/**
 * A socket to an address that the guard has allowed: the list that was checked is the list that is dialled, and the address
 * of the open socket is checked once more, so that a change in how Node dials cannot open a way around.
 */
export async function dial(opening: Opening, guard: EgressGuard, { host, port }: Target): Promise<Socket> {
  const addresses = await guard.addressesOf(host)
  const options = {
    ...{ host, port, lookup: answering(addresses) },
    ...{ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS },
    ...{ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS },
  }
  const socket = await opening.reached(() => connect(options), 'connect')
  const verdict = guard.checkAddress(socket.remoteAddress ?? '', host)
  if (!verdict.allowed) throw new AppError('url_refused', verdict.reason)
  return socket
}

export interface Handshake {
  /** The name that the certificate must be for. */
  readonly host: string
  readonly secureContext: SecureContext
  /** An earlier session, to be taken up again. */
  readonly session?: Buffer | undefined
  readonly onSession?: (session: Buffer) => void
}

/** TLS over an open socket, checked whatever the environment says. */
export function secure(opening: Opening, wire: Socket, handshake: Handshake): Promise<Socket> {
  const { host, secureContext, session, onSession } = handshake
  const options = {
    socket: wire,
    host,
    // RFC 6066 section 3: no addresses in SNI.
    servername: isIP(host) === 0 ? host : '',
    secureContext,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
    ...(session === undefined ? {} : { session }),
  }
  const open = () => {
    const socket = tlsConnect(options)
    return onSession === undefined ? socket : socket.on('session', onSession)
  }
  return opening.reached(open, 'secureConnect')
}

function answering(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_host, { all }, done) => {
    if (all) done(null, [...addresses])
    else done(null, addresses[0]!.address, addresses[0]!.family)
  }
}
