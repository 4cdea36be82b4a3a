import { isIP } from 'node:net'
import { type PeerCertificate, connect as tlsConnect } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { failureOf } from './failure.ts'
import type { EgressGuard } from './guard.ts'
import { tunnel } from './proxy.ts'
import type { Route } from './route.ts'
import { dial, Opening } from './socket.ts'
import { openIdentity } from './tls.ts'
import { bareHost } from './url.ts'

/** What a receiver shows of its TLS: a handshake and nothing more. */
export interface TlsInspection {
  /** `TLSv1.3`, … */
  readonly protocol: string
  readonly cipher: string
  /** Null: the chain is trusted for this host; else why a delivery would be refused. */
  readonly problem: string | null
  /** From the receiver's own certificate to the authority, as far as it was sent and known. */
  readonly chain: readonly CertificateFacts[]
}

export interface CertificateFacts {
  readonly subject: string
  readonly issuer: string
  /** ms since 1970 UTC. */
  readonly validFrom: number
  readonly validTo: number
}

export type InspectTls = (url: string, route: Route) => Promise<TlsInspection>

/** Certificates of a chain that are looked at; real chains have three or four. */
const CHAIN_MAX = 10

/**
 * Shakes hands with the receiver at an https url, by the road that its deliveries take, and says what it showed, trusted or not. Nothing is
 * sent over the connection. Rejects with `url_refused` where the address may not be dialled, and with `conflict` and a sentence about
 * the receiver where no handshake comes about.
 */
export function createTlsInspector(guard: EgressGuard, clock: Pick<Clock, 'after'>): InspectTls {
  async function inspect(text: string, route: Route): Promise<TlsInspection> {
    const own = guard.under(route.egressAllow)
    const form = own.checkUrl(text)
    if (!form.allowed) throw new AppError('url_refused', form.reason)
    const target = { host: bareHost(form.url), port: Number(form.url.port || 443) }
    const { context: secureContext } = openIdentity(route.tls, undefined)
    // The proxy is no receiver: it is not shown the client certificate.
    const { context: toProxy } = openIdentity(route.tls?.ca === undefined ? null : { ca: route.tls.ca }, undefined)
    let wrong: Error | string | undefined
    const socket = await new Opening(clock).run(async (opening) => {
      const { proxy } = route
      const wire =
        proxy === null
          ? await dial(opening, own, target)
          : await tunnel(opening, own, { ...proxy, secureContext: toProxy }, target)
      const servername = isIP(target.host) === 0 ? target.host : ''
      // Looked at, not trusted: what is wrong with it is the answer.
      const options = { socket: wire, host: target.host, servername, secureContext, rejectUnauthorized: false }
      const secured = await opening.reached(() => tlsConnect(options), 'secureConnect')
      wrong = secured.authorizationError ?? undefined
      return secured
    })
    const secured = socket as ReturnType<typeof tlsConnect>
    const chain = chainOf(secured.getPeerCertificate(true))
    const [protocol, cipher] = [secured.getProtocol() ?? 'unknown', secured.getCipher().name]
    secured.destroy()
    return { protocol, cipher, problem: wrong === undefined ? null : sentenceOf(codeIn(wrong)), chain }
  }

  return (url, route) =>
    inspect(url, route).catch((error: Error) => {
      throw error instanceof AppError ? error : new AppError('conflict', sentenceOf(error), { cause: error })
    })
}

function chainOf(leaf: PeerCertificate & { issuerCertificate?: PeerCertificate }): CertificateFacts[] {
  const chain: CertificateFacts[] = []
  let next: typeof leaf | undefined = leaf
  while (next?.subject !== undefined && chain.length < CHAIN_MAX) {
    const { subject, issuer, valid_from: from, valid_to: to } = next
    chain.push({ subject: nameOf(subject), issuer: nameOf(issuer), validFrom: Date.parse(from), validTo: Date.parse(to) })
    // The root names itself as its issuer.
    next = next.issuerCertificate === next ? undefined : (next.issuerCertificate as typeof leaf | undefined)
  }
  return chain
}

function nameOf(name: PeerCertificate['subject']): string {
  return [name.CN, name.O].flat().find((part) => part !== undefined && part !== '') ?? 'without a name'
}

/** Node gives the code of what is wrong with a chain as the text, or as the code of an error. */
function codeIn(wrong: Error | string): Error {
  if (typeof wrong !== 'string') return wrong
  return Object.assign(new Error(wrong), { code: wrong })
}

function sentenceOf(error: Error): string {
  const failure = failureOf(error)
  return failure.kind === 'unreachable' ? failure.message : failure.reason
}
