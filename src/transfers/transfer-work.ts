import type { AgentStore } from '../agents/port.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { randomText } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Recorder } from '../events/record.ts'
import { TransferFailure } from '../wire/agent/failure.ts'
import type { TransferWork, WorkReport } from '../wire/agent/work.ts'
import type { Places } from './places.ts'
import type { TransferChange, TransferStore } from './port.ts'
import { dataOf } from './say.ts'
import { attemptFailed, cancelledWaiting, type Decision, decide, failed, isLastAttempt, lost } from './settle.ts'
import { isOpen, type Transfer } from './transfer.ts'
import { takerOf, type WorkSource } from './work-source.ts'

/** Transfers that one agent holds, at most: more than it has slots. */
const HELD_MAX = 1_000
/** Characters of [0-9a-z]: nobody guesses a lease. */
const LEASE_CHARACTERS = 32
/** Decisions about one transfer that somebody else was faster than, one after the other. */
const TRIES_MAX = 5

export interface TransferWorkNeeds {
  readonly store: Pick<
    TransferStore,
    | 'takeTransfers'
    | 'heldTransfers'
    | 'findTransfer'
    | 'findTransferByLease'
    | 'changeTransfers'
    | 'nextTransferDue'
    | 'pinHostKey'
  >
  readonly agents: Pick<AgentStore, 'findAgent'>
  readonly places: Places
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
  readonly node: string
  /** A transfer of this run has ended. */
  readonly onEnded: (runId: string) => void
}

/** Transfers as work for agents, and what becomes of them. */
export interface TransferWorks extends WorkSource {
  /**
   * Judges a transfer as it is stored, anew while somebody else changes it at the same time; null: nothing is to be changed. Answers how it is
   * then. Undefined: there is none.
   */
  change(transferId: string, judge: (transfer: Transfer) => Decision | null, entry?: AuditEntry): Promise<Transfer | undefined>
  /** What was decided of transfers as they were read, together; those that are no longer so stay as they are. */
  carryOut(verdicts: readonly Verdict[]): Promise<void>
}

export interface Verdict extends Decision {
  readonly before: Transfer
}

export function createTransferWorks(needs: TransferWorkNeeds): TransferWorks {
  const { store, agents, places, recorder, clock, log, node, onEnded } = needs
  /** Leases of work that is being taken, or was but never answered because of a failure in between; and whose. No agent knows of them. */
  const unsent = new Map<string, string>()

  /** False for those that were no longer as they were judged. */
  async function carryOut(verdicts: readonly Verdict[], entry: AuditEntry | null = null): Promise<boolean[]> {
    const names = new Map<string, string>()
    const changes: TransferChange[] = []
    for (const { before, after, says, leavesPart = false } of verdicts) {
      const { agentId } = before
      if (says.length > 0 && !names.has(agentId)) names.set(agentId, (await agents.findAgent(agentId))?.name ?? agentId)
      const events = says.map((type) => recorder.draft(type, null, dataOf(type, after, names.get(agentId)!)))
      changes.push({ basis: before, after, events, leavesPart, entry })
    }
    const done = await store.changeTransfers(changes)
    for (const [at, { after }] of verdicts.entries()) {
      if (done[at] === true && after.runId !== null && !isOpen(after)) onEnded(after.runId)
    }
    return done
  }

  async function change(
    find: () => Promise<Transfer | undefined>,
    judge: (transfer: Transfer) => Decision | null,
    entry?: AuditEntry,
  ): Promise<Transfer | undefined> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const before = await find()
      const decision = before && judge(before)
      if (before === undefined || decision === null || decision === undefined) return before
      const [isDone] = await carryOut([{ before, ...decision }], entry)
      if (isDone === true) return decision.after
    }
    // Not a `conflict`, which an agent would take for a report that nobody wants.
    throw new AppError('store_failed', 'others changed the transfer each time that it was looked at; try again')
  }

  async function workOf(transfer: Transfer): Promise<TransferWork> {
    const { policy, direction } = transfer
    return {
      ...{ kind: 'transfer', lease: transfer.lease!, transferId: transfer.id, direction },
      ...(await places.ofTransfer(transfer)),
      ...{ bytesPerSecond: policy.bytesPerSecond, postAction: policy.postAction, hasArrived: transfer.arrivedAt !== null },
      ...{ expected: policy.expected, deadlineMs: policy.deadlineMs, isLastAttempt: isLastAttempt(transfer) },
    }
  }

  async function take(agentId: string, limit: number): Promise<readonly TransferWork[]> {
    const transfers = await unsentOf(agentId, limit)
    const next = await store.nextTransferDue([agentId])
    if (next !== null && next <= clock.now() && transfers.length < limit) {
      const leases = Array.from({ length: limit - transfers.length }, () => randomText(LEASE_CHARACTERS))
      // Before they are taken: that may happen without our hearing of it.
      for (const lease of leases) unsent.set(lease, agentId)
      transfers.push(...(await store.takeTransfers(takerOf(agentId, node, clock.now()), leases, clock.now())))
      const taken = new Set(transfers.map(({ lease }) => lease))
      for (const lease of leases) if (!taken.has(lease)) unsent.delete(lease)
    }
    const work: TransferWork[] = []
    for (const transfer of transfers) {
      try {
        work.push(await workOf(transfer))
      } catch (error) {
        if (!(error instanceof TransferFailure)) throw error
        log.warn({ transferId: transfer.id, error: error.message }, 'a transfer cannot be handed out')
        await carryOut([{ before: transfer, ...failed(transfer, error.code, error.message, clock.now()) }])
      }
    }
    for (const { lease } of transfers) unsent.delete(lease!)
    return work
  }

  /** Those that are still to be handed out: others were cancelled meanwhile, or never taken. */
  async function unsentOf(agentId: string, limit: number): Promise<Transfer[]> {
    const transfers: Transfer[] = []
    for (const [lease, holder] of [...unsent]) {
      if (holder !== agentId || transfers.length >= limit) continue
      const transfer = await findHeld(agentId, lease)
      if (transfer?.cancelAskedAt === null) {
        transfers.push(transfer)
        continue
      }
      if (transfer !== undefined) await carryOut([{ before: transfer, ...cancelledWaiting(transfer, clock.now()) }])
      unsent.delete(lease)
    }
    return transfers
  }

  /** A lease names one handing-out: once it is over, it is nobody's. */
  async function findHeld(agentId: string, lease: string): Promise<Transfer | undefined> {
    const transfer = await store.findTransferByLease(lease)
    return transfer?.agentId === agentId ? transfer : undefined
  }

  async function pin(transfer: Transfer, hostKey: string): Promise<boolean> {
    if (transfer.remoteId !== null && (await store.pinHostKey(transfer.remoteId, hostKey, clock.now()))) return true
    const why = `The other side showed the host key ${hostKey}, which is not one to be trusted at first use.`
    await carryOut([{ before: transfer, ...attemptFailed(transfer, 'HOST_KEY_MISMATCH', why, clock.now()) }])
    return false
  }

  return {
    take,
    async report(agentId: string, lease: string, report: WorkReport) {
      const held = await findHeld(agentId, lease)
      if (held === undefined || report.state === 'listed' || report.state === 'discarded') return undefined
      if (report.state === 'host_key') return { go: await pin(held, report.hostKey) }
      const find = () => findHeld(agentId, lease)
      // Undefined when it was lost between two looks: somebody else ended it.
      const after = await change(find, (transfer) => decide(transfer, report, clock.now()))
      return after && { go: true }
    },
    async putBack(agentId, kept) {
      for (const [lease, holder] of unsent) if (holder === agentId) unsent.delete(lease)
      const held = await store.heldTransfers(agentId, HELD_MAX)
      const gone = held.filter(({ lease }) => lease === null || !kept.includes(lease))
      // One that is no longer as it was read was reported, or put back by another node.
      await carryOut(gone.map((before) => ({ before, ...lost(before, clock.now()) })))
    },
    async held(agentId) {
      const held = await store.heldTransfers(agentId, HELD_MAX)
      return held
        .filter(({ lease }) => !unsent.has(lease!))
        .map(({ lease, cancelAskedAt }) => ({ lease: lease!, isCancelled: cancelAskedAt !== null }))
    },
    change: (id, judge, entry) => change(() => store.findTransfer(id), judge, entry),
    async carryOut(verdicts) {
      await carryOut(verdicts)
    },
  }
}
