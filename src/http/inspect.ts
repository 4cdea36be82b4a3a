import { isIP, type LookupFunction } from 'node:net'
import { connect, type PeerCertificate } from 'node:tls'
import { AppError } from '../base/error.ts'
import { failureOf } from './failure.ts'

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

export interface InspectTask {
  readonly host: string
  readonly port: number
  /** Resolves the host to addresses that may be dialled, and to no others. */
  readonly lookup: LookupFunction
  /** Authorities (PEM) that are trusted. */
  readonly ca: readonly string[]
  /** Client certificate and key, PEM. */
  readonly client?: { readonly certificate: string; readonly key: string }
  readonly deadlineMs: number
}

/** Certificates of a chain that are looked at; real chains have three or four. */
const CHAIN_MAX = 10

/**
 * Shakes hands with a receiver and says what it showed, trusted or not. Nothing is sent over the connection. Rejects with
 * `url_refused` when the address may not be dialled, and with a sentence about the receiver when no handshake comes about.
 */
export function inspectTls({ host, port, lookup, ca, client, deadlineMs }: InspectTask): Promise<TlsInspection> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port, lookup, ca: [...ca] },
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
      // Looked at, not trusted: what is wrong with it is the answer.
      rejectUnauthorized: false,
      timeout: deadlineMs,
    })
    const fail = (error: unknown) => {
      socket.destroy()
      reject(error)
    }
    socket.once('timeout', () => fail(new AppError('conflict', `no TLS handshake within ${deadlineMs / 1000} s`)))
    socket.once('error', (error) => fail(asAppError(error)))
    socket.once('secureConnect', () => {
      const wrong = socket.authorizationError
      const inspection = {
        protocol: socket.getProtocol() ?? 'unknown',
        cipher: socket.getCipher().name,
        problem: wrong ? sentenceOf(wrong) : null,
        chain: chainOf(socket.getPeerCertificate(true)),
      }
      socket.destroy()
      resolve(inspection)
    })
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

function sentenceOf(wrong: Error | string): string {
  const code = typeof wrong === 'string' ? wrong : ((wrong as NodeJS.ErrnoException).code ?? wrong.message)
  const failure = failureOf(Object.assign(new Error(code), { code }))
  return failure.kind === 'unreachable' ? failure.message : failure.reason
}

function asAppError(error: Error): AppError {
  if (error instanceof AppError) return error
  return new AppError('conflict', sentenceOf(error), { cause: error })
}
