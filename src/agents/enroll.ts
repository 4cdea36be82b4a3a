import { hashToken } from '../accounts/token.ts'
import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { codeOf } from '../base/error.ts'
import { newId, type RandomBytes, randomText } from '../base/id.ts'
import type { EventDraft } from '../events/event.ts'
import type { Data } from '../events/payloads.ts'
import type { Recorder } from '../events/record.ts'
import { AGENT_KEY_PREFIX, type Agent, CONCURRENCY_DEFAULT, type EnrolmentToken } from './agent.ts'
import type { CertificateAuthority, IssuedCertificate } from './authority.ts'
import { type CheckedRegistration, checkRegistration, type Registration } from './check.ts'
import type { AgentStore } from './port.ts'
import { publicKeyHashOf, readRequest } from './request.ts'
import { isEnrolmentToken } from './token.ts'

/** Lets agents in, and gives those that are in their keys and certificates. */
export interface Enrolment {
  /**
   * A new agent, with its event, or the same one again: an enrolment that is repeated with the same public key answers the agent that it made, with another
   * key and certificate, and uses nothing more of its token. An agent that was revoked counts again, for a use of a token. `forbidden` where the token does not
   * let in.
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

export interface EnrolmentParts {
  readonly store: Pick<
    AgentStore,
    'registerAgent' | 'registerAgain' | 'findAgentByPublicKey' | 'addCertificate' | 'findEnrolmentToken'
  >
  readonly authority: Pick<CertificateAuthority, 'issueToAgent'>
  readonly recorder: Recorder
  readonly clock: Pick<Clock, 'now'>
  readonly random?: RandomBytes
}

/** Certificates of one agent that are kept: one that is renewed has two, and an agent that asks for more and more loses its oldest. */
export const CERTIFICATES_KEPT_MAX = 20
const KEY_RANDOM_CHARS = 20
/** Tries where the same agent registers, or an administrator revokes it, at the same time. */
const TRIES_MAX = 3

export function createEnrolment({ store, authority, recorder, clock, random }: EnrolmentParts): Enrolment {
  /** How this agent is from now on; `known` where there was one with this public key. */
  function agentOf(checked: CheckedRegistration, more: Omit<JoinFacts, 'checked'>): Agent {
    const { known, isBuiltin, publicKeyHash, keyHash, address } = more
    const now = clock.now()
    const { hostname, os, version, name } = checked
    const said = { hostname, os, version, keyHash, publicKeyHash, ipAddress: address, lastSeenAt: now, updatedAt: now }
    if (known !== undefined) return { ...known, ...said, revokedAt: null }
    return {
      ...{ id: newId('agent', now, random), name, status: 'online', isBuiltin, concurrency: CONCURRENCY_DEFAULT, ...said },
      ...{ streamNode: null, streamLostAt: null, load: null, memory: null, createdAt: now, revokedAt: null },
    }
  }

  return {
    async register(admission, input, address) {
      const checked = checkRegistration(input)
      const { csr, isBuiltin = false } = input
      const publicKeyHash = csr === undefined ? null : publicKeyHashOf(await readRequest(csr))
      const tokenHash = 'token' in admission ? admission.token.tokenHash : null
      for (let tries = 1; ; tries++) {
        const known = publicKeyHash === null ? undefined : await store.findAgentByPublicKey(publicKeyHash)
        const apiKey = AGENT_KEY_PREFIX + randomText(KEY_RANDOM_CHARS, random)
        const agent = agentOf(checked, { known, isBuiltin, publicKeyHash, keyHash: hashToken(apiKey), address })
        const issued = csr === undefined ? null : await authority.issueToAgent(csr, agent.id)
        const change = { accountId: null, action: 'agent.register', target: agent.id, detail: agent.name } as const
        const entry = changeEntry(callerOf(admission, address), agent.updatedAt, change, random)
        try {
          if (known?.revokedAt === null) await store.registerAgain(agent, issued!.facts, CERTIFICATES_KEPT_MAX, tokenHash, entry)
          else await store.registerAgent(agent, issued?.facts ?? null, tokenHash, known ? null : registered(agent), entry)
          return { agent, apiKey, certificate: issued?.certificate ?? null }
        } catch (error) {
          // The same enrolment, sent twice at the same time: the second one finds what the first one has made.
          if (!['already_exists', 'conflict'].includes(codeOf(error)) || tries === TRIES_MAX) throw error
        }
      }
    },

    async certificate(agent, csr, address) {
      const issued = await authority.issueToAgent(csr, agent.id)
      const { publicKeyHash, facts } = issued
      const { id, issuedAt } = facts
      const change = { accountId: null, action: 'agent.certificate', target: agent.id, detail: id } as const
      const entry = changeEntry({ actor: agent.name, address, door: 'api', accountId: null }, issuedAt, change, random)
      await store.addCertificate(facts, publicKeyHash, CERTIFICATES_KEPT_MAX, entry)
      return issued
    },

    async findToken(token) {
      return isEnrolmentToken(token) ? store.findEnrolmentToken(hashToken(token)) : undefined
    },
  }

  function registered({ id, name, hostname, os, version }: Agent): EventDraft {
    const data: Data<'agent.registered'> = {
      ...{ agentId: id, agentName: name, hostname, os },
      ...(version === null ? {} : { version }),
      status: 'online',
    }
    return recorder.draft('agent.registered', null, data)
  }
}

interface JoinFacts {
  readonly checked: CheckedRegistration
  readonly known: Agent | undefined
  readonly isBuiltin: boolean
  readonly publicKeyHash: string | null
  readonly keyHash: string
  readonly address: string | null
}

function callerOf(admission: Admission, address: string | null): Caller {
  if ('admin' in admission) return admission.admin
  return { actor: admission.token.name, address, door: 'api', accountId: null }
}
