import { type Caller, changeEntry } from '../audit/caller.ts'
import { hashToken } from '../accounts/token.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { newId, type RandomBytes, randomText } from '../base/id.ts'
import type { Recorder } from '../events/record.ts'
import { AGENT_KEY_PREFIX, type Agent, CONCURRENCY_DEFAULT, type EnrolmentToken } from './agent.ts'
import type { CertificateAuthority, IssuedCertificate } from './authority.ts'
import { checkName, checkRegistration, type Registration } from './check.ts'
import type { AgentStore } from './port.ts'
import { publicKeyHashOf, readRequest } from './request.ts'

/** Lets agents in, and gives those that are in their keys and certificates. */
export interface Enrolment {
  /**
   * A new agent, with its event, or the same one again: an enrolment that is repeated with the same public key answers the agent that it made, with another key
   * and certificate, and uses nothing more of its token. An agent that was revoked counts again, for a use of a token. `forbidden` where the token does not let in.
   */
  register(admission: Admission, input: Registration, address: string | null): Promise<Registered>
  /** One more certificate for an agent that is in: its first, or a renewal. Those before it count until their end. */
  certificate(agent: Agent, csr: string, address: string | null): Promise<IssuedCertificate>
  /** The token of this text, also where it lets nobody in any more: `register` says why. */
  findToken(token: string): Promise<EnrolmentToken | undefined>
}

/** What lets an agent in. `admin` is somebody who may do everything, also the server itself. */
export type Admission = { readonly token: EnrolmentToken } | { readonly admin: Caller }

export interface Registered {
  readonly agent: Agent
  /** Shown once. */
  readonly apiKey: string
  /** PEM; null: it sent no request. */
  readonly certificate: string | null
}
