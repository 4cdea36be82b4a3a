import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Agent, AgentStatus, Authority, Certificate, EnrolmentToken } from './agent.ts'

/** What lets a new agent in. */
export type Admission = { readonly tokenHash: string } | { readonly adminTokenId: string }

/** What an agent said of itself with a heartbeat. */
export interface Sighting {
  readonly agentId: string
  readonly at: number
  readonly ipAddress: string | null
  readonly status?: Exclude<AgentStatus, 'offline'>
  readonly load?: number
  readonly memory?: number
  readonly version?: string
}

export interface AgentStore {
  /** The one that is stored, which is the given one where there was none: several nodes agree on one. */
  ensureAuthority(authority: Authority): Promise<Authority>
  /** Replaces what is sealed where it is still as it was. */
  resealAuthority(before: string, after: string): Promise<void>

  createEnrolmentToken(token: EnrolmentToken, entry: AuditEntry): Promise<void>
  listEnrolmentTokens(page: PageRequest): Promise<Page<EnrolmentToken>>
  revokeEnrolmentToken(id: string, at: number, entry: AuditEntry): Promise<void>
  /** The token of this hash, whether it still counts or not. */
  findEnrolmentToken(tokenHash: string): Promise<EnrolmentToken | undefined>

  /**
   * A new agent with its certificate (null: it asked for none), its event and audit entry, and one use of its token, in one transaction. `forbidden`, and nothing is
   * written, where the token is used up, revoked or past its end at `agent.createdAt`.
   */
  registerAgent(
    agent: Agent,
    certificate: Certificate | null,
    admission: Admission,
    event: EventDraft,
    entry: AuditEntry,
  ): Promise<void>
  findAgent(id: string): Promise<Agent | undefined>
  findAgentByKey(keyHash: string): Promise<Agent | undefined>
  findAgentByPublicKey(publicKeyHash: string): Promise<Agent | undefined>
  findBuiltinAgent(): Promise<Agent | undefined>
  /** The agent of a certificate that is neither revoked nor past its end by itself; whether it still counts is for the caller to see. */
  findByFingerprint(fingerprint: string): Promise<{ agent: Agent; certificate: Certificate } | undefined>
  /** Newest first. */
  listAgents(page: PageRequest): Promise<Page<Agent>>
  /** Name and concurrency; `not_found`. */
  updateAgent(agent: Agent, entry: AuditEntry): Promise<void>
  /** The agent, its key and all of its certificates count no more from now on; `not_found`. False: it was revoked before. */
  revokeAgent(id: string, at: number, entry: AuditEntry): Promise<boolean>
  /** Replaces the key of an agent that enrols again with the same public key. */
  replaceAgentKey(id: string, keyHash: string, at: number): Promise<void>

  listCertificates(agentId: string): Promise<Certificate[]>
  /** A certificate more; those before it are replaced. `forbidden` where the agent is revoked. */
  addCertificate(certificate: Certificate): Promise<void>
  /** Certificates that count and end before `at`, and that `expiring` or `expired` was not yet said of; at most `limit`. */
  endingCertificates(
    kind: 'expiring' | 'expired',
    before: number,
    limit: number,
  ): Promise<{ agent: Agent; certificate: Certificate }[]>
  /** Event and mark in one transaction. False and nothing written where it was said before, or the certificate counts no more. */
  sayCertificateEnding(certificateId: string, kind: 'expiring' | 'expired', at: number, event: EventDraft): Promise<boolean>

  /**
   * Notes a sign of life. `connected` is recorded where the agent was offline, in the same transaction, with it online from then on. Answers the agent as it is
   * then; undefined where it is revoked or unknown.
   */
  seeAgent(sighting: Sighting, connected: EventDraft): Promise<Agent | undefined>
  /** A stream of this agent was opened at this node, or (node null) the one that this node held was lost. */
  setStream(agentId: string, node: string | null, heldBy: string | null, at: number): Promise<void>
  /** Agents that are not offline, not revoked, and were silent since `seenBefore`, or have been without a stream since `lostBefore`; at most `limit`. */
  silentAgents(seenBefore: number, lostBefore: number, limit: number): Promise<Agent[]>
  /** Offline, with its event, in one transaction. False and nothing written where it was heard of since `lastSeenAt`, or has a stream again. */
  loseAgent(agent: Pick<Agent, 'id' | 'lastSeenAt' | 'streamLostAt'>, event: EventDraft): Promise<boolean>
  countOnlineAgents(): Promise<number>
}
