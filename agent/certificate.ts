import { X509Certificate } from 'node:crypto'
import type { Clock } from '../src/base/clock.ts'
import { AppError } from '../src/base/error.ts'
import { HOUR_MS } from '../src/base/units.ts'
import { createRequest } from './csr.ts'
import type { AgentFolder, Enrolment } from './folder.ts'
import type { Tell } from './news.ts'

/** Between two looks at the certificate. A renewal that failed is tried again at the next one. */
const LOOK_MS = HOUR_MS

export interface CertificateParts {
  readonly enrolment: Enrolment
  readonly folder: AgentFolder
  readonly clock: Clock
  readonly tell: Tell
  /** Asks the server for a certificate for this request; answers PEM. */
  readonly ask: (csr: string) => Promise<string>
  /** A newer one is durable: connections show it from now on. */
  readonly renewed: (certificate: X509Certificate) => void
  /** It is past its end. */
  readonly expired: (endsAt: number) => void
}

/**
 * Keeps the certificate of a running agent from reaching its end: good → due (`renewBeforeMs` before its end) → renewed, or expired.
 *
 * A renewal keeps the key. It never left this machine, so a new one would protect against nothing that the old one does not; and a process
 * that dies between the server's answer and the write still has a certificate that fits its key, the old one, which counts until its end.
 */
export class CertificateKeeper {
  readonly #parts: CertificateParts
  #current: X509Certificate
  /** Unknown until the server has said it. */
  #renewBeforeMs: number | undefined
  #looking: Promise<void> | undefined
  #cancel = () => {}

  constructor(parts: CertificateParts) {
    this.#parts = parts
    this.#current = parts.enrolment.certificate
  }

  get endsAt(): number {
    return this.#current.validToDate.getTime()
  }

  /** Looks now and from then on. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** The server has said how long before its end a certificate is renewed. */
  renewBefore(ms: number): Promise<void> {
    this.#renewBeforeMs = ms
    return this.look()
  }

  stop(): void {
    this.#cancel()
  }

  async #look(): Promise<void> {
    const { clock, expired } = this.#parts
    this.#cancel()
    if (clock.now() >= this.endsAt) return expired(this.endsAt)
    if (this.#renewBeforeMs !== undefined && clock.now() >= this.endsAt - this.#renewBeforeMs) await this.#renew()
    const leftMs = this.endsAt - clock.now()
    this.#cancel = clock.after(Math.min(LOOK_MS, leftMs), () => void this.look())
  }

  async #renew(): Promise<void> {
    const { enrolment, folder, tell, ask, renewed } = this.#parts
    const endsAt = (certificate: X509Certificate) => certificate.validToDate.toISOString()
    try {
      const pem = await ask(createRequest(enrolment.key))
      const next = new X509Certificate(pem)
      checkIssued(next, enrolment)
      if (next.validToDate <= this.#current.validToDate) throw new Error('the new one ends no later')
      await folder.keepCertificate(pem)
      this.#current = next
      tell({ type: 'renewed', endsAt: endsAt(next) })
      renewed(next)
    } catch (error) {
      tell({ type: 'renewal_failed', why: (error as Error).message, endsAt: endsAt(this.#current) })
    }
  }
}

/** @throws AppError where a certificate is not one of the pinned authority for the key of this agent. */
export function checkIssued(certificate: X509Certificate, { key, ca }: Pick<Enrolment, 'key' | 'ca'>): void {
  const authority = new X509Certificate(ca)
  if (!certificate.checkPrivateKey(key)) throw new AppError('conflict', 'the certificate is not one for the key of this agent')
  if (!certificate.verify(authority.publicKey))
    throw new AppError('conflict', 'the certificate is not one of the pinned authority')
}
