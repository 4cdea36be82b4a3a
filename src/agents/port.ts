import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Agent, AgentStatus, Authority, Certificate, EnrolmentToken } from './agent.ts'

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

/**
 * Who asks for work: an agent, over the stream that `node` holds. It gets none while it is revoked, while another node holds its stream, or
 * where it was not heard of since `seenSince`: a stream stays open for long after its other end has gone silent.
 */
export interface Taker {
  readonly agentId: string
  readonly node: string
  readonly seenSince: number
}

export type CertificateEnding = 'expiring' | 'expired'

export interface AgentStore {
  findAuthority(): Promise<Authority | undefined>
  /** The one that is stored, which is the given one where there was none: several nodes agree on one. */
  ensureAuthority(authority: Authority): Promise<Authority>
  /** The one that is stored then, which is `after` where it was still as `before`: nobody overwrites what another node has made. */
  replaceAuthority(before: Pick<Authority, 'id' | 'sealedKey'>, after: Authority): Promise<Authority>

  createEnrolmentToken(token: EnrolmentToken, entry: AuditEntry): Promise<void>
  listEnrolmentTokens(page: PageRequest): Promise<Page<EnrolmentToken>>
  revokeEnrolmentToken(id: string, at: number, entry: AuditEntry): Promise<void>
  /** The token of this hash, whether it still counts or not. */
  findEnrolmentToken(tokenHash: string): Promise<EnrolmentToken | undefined>

  /**
   * An agent with its certificate (null: it asked for none), its event and audit entry, and one use of its token (null: it came without one), in one transaction.
   * `forbidden`, and nothing is written, where the token is used up, revoked or past its end at `agent.updatedAt`; `already_exists` where another agent has the
   * public key. A revoked agent of this id counts again, as it is given here; then `event` is null.
   */
  registerAgent(
    agent: Agent,
    certificate: Certificate | null,
    tokenHash: string | null,
    event: EventDraft | null,
    entry: AuditEntry,
  ): Promise<void>
  /**
   * What an agent that enrols once more gets: another key, and another certificate. Uses nothing of its token, which may be used up but must otherwise count;
   * `forbidden` where it does not, or the agent is revoked.
   */
  registerAgain(agent: Agent, certificate: Certificate, kept: number, tokenHash: string | null, entry: AuditEntry): Promise<void>
  findAgent(id: string): Promise<Agent | undefined>
  findAgentByKey(keyHash: string): Promise<Agent | undefined>
  findAgentByPublicKey(publicKeyHash: string): Promise<Agent | undefined>
  /** Whether agent and certificate still count is for the caller to see. */
  findByFingerprint(fingerprint: string): Promise<{ agent: Agent; certificate: Certificate } | undefined>
  /** Those that there are, in any order; ask for some hundreds at most. */
  findAgents(ids: readonly string[]): Promise<Agent[]>
  /** Newest first. */
  listAgents(page: PageRequest): Promise<Page<Agent>>
  /** Name and concurrency; answers the agent as it is then; `not_found`. */
  updateAgent(
    id: string,
    changes: { readonly name?: string; readonly concurrency?: number; readonly updatedAt: number },
    entry: AuditEntry,
  ): Promise<Agent>
  /**
   * The agent, its key and all of its certificates count no more from `at` on. Where it was not offline it is from then on, with its event. `not_found`; false and
   * nothing written: it was revoked before.
   */
  revokeAgent(id: string, at: number, disconnected: EventDraft, entry: AuditEntry): Promise<boolean>

  /** Newest first; as many as an agent may have. */
  listCertificates(agentId: string): Promise<Certificate[]>
  /**
   * A certificate more, with the public key that it has; those before it are replaced, and but for the newest `kept` forgotten.
   * `forbidden` where the agent is revoked, `already_exists` where another agent has the public key.
   */
  addCertificate(certificate: Certificate, publicKeyHash: string, kept: number, entry: AuditEntry): Promise<void>
  /** Certificates that count, end after `from` and at `until` the latest, and that were not yet said to be `kind`; soonest first, at most `limit`. */
  endingCertificates(
    kind: CertificateEnding,
    from: number,
    until: number,
    limit: number,
  ): Promise<{ agent: Agent; certificate: Certificate }[]>
  /** Event and mark in one transaction. False and nothing written where it was said before, or the certificate counts no more. */
  sayCertificateEnding(certificateId: string, kind: CertificateEnding, at: number, event: EventDraft): Promise<boolean>

  /**
   * Notes a sign of life. `connected` is recorded where the agent was offline, in the same transaction, with it online from then on. Answers the agent as it is
   * then; undefined where it is revoked or unknown.
   */
  seeAgent(sighting: Sighting, connected: EventDraft): Promise<Agent | undefined>
  /** A stream of this agent was opened at this node; whichever held one before does no more. */
  openStream(agentId: string, node: string, at: number): Promise<void>
  /** The stream of this agent is lost; `node`: where it is still held by this one (null: by whichever). */
  loseStream(agentId: string, node: string | null, at: number): Promise<void>
  /** An administrator ends the stream of this agent, wherever it is held; `not_found`. False: it has none. */
  endStream(agentId: string, at: number, entry: AuditEntry): Promise<boolean>
  /** Agents that are not offline, not revoked, and were last heard of at `seenBefore` or earlier, or have been without a stream since `lostBefore` (null: whatever it is); at most `limit`. */
  silentAgents(seenBefore: number | null, lostBefore: number | null, limit: number): Promise<Agent[]>
  /** Offline and last seen then, with its event, in one transaction. False and nothing written where it was heard of in the meantime, or its stream came or went. */
  loseAgent(agent: Pick<Agent, 'id' | 'lastSeenAt' | 'streamLostAt'>, lastSeenAt: number, event: EventDraft): Promise<boolean>
  countOnlineAgents(): Promise<number>
}
