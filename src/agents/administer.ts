import { checkLabel } from '../accounts/check.ts'
import { hashToken } from '../accounts/token.ts'
import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import type { Page, PageRequest } from '../base/page.ts'
import { SECOND_MS } from '../base/units.ts'
import type { Recorder } from '../events/record.ts'
import type { Agent, Certificate, EnrolmentToken } from './agent.ts'
import { checkConcurrency, checkTokenSeconds, checkUses, TOKEN_SECONDS_DEFAULT } from './check.ts'
import type { AgentStore } from './port.ts'
import { disconnected, type Presence } from './presence.ts'
import { newEnrolmentToken } from './token.ts'

/** What administrators do with agents. Whatever is not there throws `not_found`; every change has its audit entry. */
export interface AgentAdmin {
  list(page: PageRequest): Promise<Page<Agent>>
  find(id: string): Promise<Agent>
  certificates(id: string): Promise<readonly Certificate[]>
  /** What is absent stays as it is; the agent hears of it at once. */
  update(id: string, changes: AgentChanges, caller: Caller): Promise<Agent>
  /** Ends its stream; it may come back at once. False: it has none. */
  disconnect(id: string, caller: Caller): Promise<boolean>
  /** Its key and certificates count no more, its stream ends, what it was doing is over. Revoking twice is harmless. */
  revoke(id: string, caller: Caller): Promise<Agent>

  /** The token is in no other answer. */
  createToken(input: EnrolmentTokenInput, caller: Caller): Promise<{ enrolmentToken: EnrolmentToken; token: string }>
  listTokens(page: PageRequest): Promise<Page<EnrolmentToken>>
  revokeToken(id: string, caller: Caller): Promise<void>
}

export interface AgentChanges {
  readonly name?: string
  readonly concurrency?: number
}

export interface EnrolmentTokenInput {
  /** Defaults to the id. */
  readonly name?: string
  /** Agents that it lets in; one unless another number is given. */
  readonly usesMax?: number
  readonly expiresInSeconds?: number
}

export interface AgentAdminParts {
  readonly store: Pick<
    AgentStore,
    | 'listAgents'
    | 'findAgent'
    | 'updateAgent'
    | 'endStream'
    | 'revokeAgent'
    | 'listCertificates'
    | 'createEnrolmentToken'
    | 'listEnrolmentTokens'
    | 'revokeEnrolmentToken'
  >
  /** SHA-256 of the authority that agents are going to pin. */
  readonly authorityFingerprint: string
  readonly presence: Pick<Presence, 'look'>
  /**
   * The agent is revoked: what it was doing is over. Called after the commit, so whoever dies in between must find what a revoked agent still holds by
   * looking for it.
   */
  readonly onRevoked: (agentId: string) => Promise<void>
  readonly recorder: Recorder
  readonly clock: Pick<Clock, 'now'>
  readonly random?: RandomBytes
}

export function createAgentAdmin(parts: AgentAdminParts): AgentAdmin {
  const { store, authorityFingerprint, presence, onRevoked, recorder, clock, random } = parts

  function record(caller: Caller, change: Omit<Parameters<typeof changeEntry>[2], 'accountId'>) {
    return changeEntry(caller, clock.now(), { accountId: null, ...change }, random)
  }

  async function find(id: string): Promise<Agent> {
    const agent = await store.findAgent(id)
    if (agent === undefined) throw new AppError('not_found', 'no such agent')
    return agent
  }

  return {
    list: (page) => store.listAgents(page),
    find,
    async certificates(id) {
      await find(id)
      return store.listCertificates(id)
    },
    async update(id, { name, concurrency }, caller) {
      const changes = {
        ...(name === undefined ? {} : { name: checkLabel(name) }),
        ...(concurrency === undefined ? {} : { concurrency: checkConcurrency(concurrency) }),
      }
      const entry = record(caller, { action: 'agent.update', target: id, detail: Object.keys(changes).join(', ') })
      const agent = await store.updateAgent(id, { ...changes, updatedAt: clock.now() }, entry)
      await presence.look(id)
      return agent
    },
    async disconnect(id, caller) {
      const hadStream = await store.endStream(id, clock.now(), record(caller, { action: 'agent.disconnect', target: id }))
      await presence.look(id)
      return hadStream
    },
    async revoke(id, caller) {
      const agent = await find(id)
      const entry = record(caller, { action: 'agent.revoke', target: id, detail: agent.name })
      await store.revokeAgent(id, clock.now(), disconnected(recorder, agent), entry)
      await presence.look(id)
      await onRevoked(id)
      return find(id)
    },

    async createToken({ name, usesMax = 1, expiresInSeconds = TOKEN_SECONDS_DEFAULT }, caller) {
      const now = clock.now()
      const id = newId('enrolment', now, random)
      const token = newEnrolmentToken(authorityFingerprint, random)
      const enrolmentToken: EnrolmentToken = {
        id,
        name: checkLabel(name ?? id),
        tokenHash: hashToken(token),
        usesMax: checkUses(usesMax),
        uses: 0,
        createdAt: now,
        expiresAt: now + checkTokenSeconds(expiresInSeconds) * SECOND_MS,
        revokedAt: null,
      }
      const entry = record(caller, { action: 'enrolment.create', target: id, detail: enrolmentToken.name })
      await store.createEnrolmentToken(enrolmentToken, entry)
      return { enrolmentToken, token }
    },
    listTokens: (page) => store.listEnrolmentTokens(page),
    revokeToken: (id, caller) =>
      store.revokeEnrolmentToken(id, clock.now(), record(caller, { action: 'enrolment.revoke', target: id })),
  }
}
