import type { Taker } from '../agents/port.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Leftover, Remote, Transfer, TransferStatus } from './transfer.ts'

export interface TransferFilter {
  readonly agentId?: string
  readonly runId?: string
  readonly status?: TransferStatus
}

/** What a report or a decision changes of a transfer, with the events that it makes true. Carried out only while it is as in `basis`. */
export interface TransferChange {
  readonly basis: Pick<Transfer, 'status' | 'lease' | 'cancelAskedAt' | 'arrivedAt' | 'saidTenth'>
  readonly after: Transfer
  readonly events: readonly EventDraft[]
  /** A leftover is recorded with it, due at once. */
  readonly leavesPart?: boolean
  /** Of whoever asked for it. */
  readonly entry: AuditEntry | null
}

export interface TransferStore {
  /** Transfers, their events and the audit entry in one transaction. An id that is there already is passed over, events too: whoever repeats it makes none twice. */
  createTransfers(transfers: readonly Transfer[], events: readonly EventDraft[], entry: AuditEntry | null): Promise<void>
  findTransfer(id: string): Promise<Transfer | undefined>
  findTransferByLease(lease: string): Promise<Transfer | undefined>
  /** Newest first. */
  listTransfers(filter: TransferFilter, page: PageRequest): Promise<Page<Transfer>>
  /**
   * Hands out what is due for this agent: status running, a lease each from `leases`, in the order of `dueAt`; no more of a run than its transfers' `parallelism`.
   * At most as many as there are leases. Nothing to an agent that may not have it.
   */
  takeTransfers(taker: Taker, leases: readonly string[], now: number): Promise<Transfer[]>
  /** Transfers that this agent holds, foreign ones left out; at most `limit`. */
  heldTransfers(agentId: string, limit: number): Promise<Transfer[]>
  /** Agents that hold transfers or listings and were last heard of before `seenBefore`; at most `limit`. */
  silentHolders(seenBefore: number, limit: number): Promise<string[]>
  /** Agents that hold something which they are to stop; at most `limit`. */
  stoppingAgents(limit: number): Promise<string[]>
  /** Open transfers that nobody ends otherwise: of revoked agents, and foreign ones of agents that were last heard of before `foreignSeenBefore`; at most `limit`. */
  strandedTransfers(foreignSeenBefore: number, limit: number): Promise<Transfer[]>
  /** False for those that were no longer as in `basis`: these were not changed. */
  changeTransfers(changes: readonly TransferChange[]): Promise<boolean[]>
  /** When a leftover of this agent becomes due next; null: none. */
  nextLeftoverDue(agentId: string): Promise<number | null>
  /** Hands out leftovers of this agent that are due, a lease each, and due again at `lapsesAt`, if nothing is heard by then. Otherwise as `takeTransfers`. */
  takeLeftovers(taker: Taker, leases: readonly string[], now: number, lapsesAt: number): Promise<Leftover[]>
  findLeftoverByLease(lease: string): Promise<Leftover | undefined>
  /** Those that this agent holds. */
  heldLeftovers(agentId: string, limit: number): Promise<Leftover[]>
  /** Only while its lease is the one of `before`. Null: nothing is left. */
  changeLeftover(before: Leftover, after: Leftover | null): Promise<void>
  /** Running and queued ones; for health. */
  countOpenTransfers(): Promise<number>
  /** When a queued transfer of one of these agents becomes due next; null: none. */
  nextTransferDue(agentIds: readonly string[]): Promise<number | null>

  /** `already_exists` for a name that is taken. */
  createRemote(remote: Remote, entry: AuditEntry): Promise<void>
  findRemote(id: string): Promise<Remote | undefined>
  listRemotes(page: PageRequest): Promise<Page<Remote>>
  /** Only while it is as it was at `before.updatedAt`; else `conflict`. */
  updateRemote(remote: Remote, before: Pick<Remote, 'updatedAt'>, entry: AuditEntry): Promise<void>
  /** `conflict` where a job or an open transfer uses it. */
  removeRemote(id: string, entry: AuditEntry): Promise<void>
  /** Pins the first key that was shown, where that is asked for and still none is pinned. False: this key is not to be trusted. */
  pinHostKey(remoteId: string, hostKey: string, at: number): Promise<boolean>
  /** Remotes with secrets beyond `after`, in the order of their ids; for sealing them anew. */
  listSealedRemotes(after: string, limit: number): Promise<Remote[]>
  /** Replaces sealed secrets where they are still as they were. */
  resealRemote(id: string, before: string, after: string): Promise<void>
}
