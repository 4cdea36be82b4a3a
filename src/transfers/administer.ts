import type { Agent } from '../agents/agent.ts'
import type { AgentStore } from '../agents/port.ts'
import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Recorder } from '../events/record.ts'
import { type ForeignInput, foreignTransfer, type TransferInput, transferOf } from './check.ts'
import { type ForeignReport, judgeForeign } from './foreign.ts'
import type { TransferFilter, TransferStore } from './port.ts'
import { checkUsers } from './route.ts'
import { dataOf } from './say.ts'
import { cancelledWaiting, type Decision } from './settle.ts'
import { isOpen, type Transfer } from './transfer.ts'
import type { TransferWorks } from './transfer-work.ts'
import type { Dispatcher } from './work-source.ts'

/** Open transfers of a run that are stopped at a time. */
const CANCEL_STEP = 500

/**
 * What people, jobs and foreign agents do with transfers. What is not there throws `not_found`, a value out of its bounds `invalid` with field,
 * bound and value, and what its state does not allow `conflict`.
 */
export interface TransferAdmin {
  /** Queued for its agent, with its event. */
  create(caller: Caller, input: TransferInput): Promise<Transfer>
  find(id: string): Promise<Transfer>
  list(filter: TransferFilter, page: PageRequest): Promise<Page<Transfer>>
  /** A queued one ends at once, a running one as soon as its agent has stopped. Asking again is harmless while it is open. */
  cancel(caller: Caller, id: string): Promise<Transfer>
  /** Cancels what is open of a run. */
  cancelRun(runId: string): Promise<void>
  /** One that the agent makes by itself. */
  createForeign(agent: Agent, input: ForeignInput): Promise<Transfer>
  /** What it says of it; only of its own. */
  reportForeign(agent: Agent, id: string, report: ForeignReport): Promise<Transfer>
  /** The event of a transfer that is about to be stored. */
  created(transfer: Transfer, agent: Pick<Agent, 'name'>): EventDraft
}

export interface TransferAdminNeeds {
  readonly store: Pick<TransferStore, 'createTransfers' | 'findTransfer' | 'listTransfers' | 'findRemote'>
  readonly agents: Pick<AgentStore, 'findAgent'>
  readonly works: Pick<TransferWorks, 'change' | 'carryOut'>
  readonly dispatcher: Pick<Dispatcher, 'nudge'>
  readonly recorder: Recorder
  readonly clock: Clock
  /** Whether this user of this account exists. */
  readonly hasUser: (account: string, user: string) => Promise<boolean>
  /** Whose run it is, and whether it is under way; undefined: there is none. */
  readonly findRun: (runId: string) => Promise<{ readonly agentId: string; readonly isOpen: boolean } | undefined>
}

export function createTransferAdmin(needs: TransferAdminNeeds): TransferAdmin {
  const { store, agents, works, dispatcher, recorder, clock, hasUser, findRun } = needs

  async function find(id: string): Promise<Transfer> {
    return store.findTransfer(id).then(existing)
  }

  async function agentOf(id: string): Promise<Agent> {
    const agent = await agents.findAgent(id)
    if (agent === undefined) throw new AppError('invalid', `agentId: there is no agent ${id}`, { field: 'agentId' })
    if (agent.revokedAt !== null) throw new AppError('invalid', `agentId: the agent ${id} is revoked`, { field: 'agentId' })
    if (agent.publicKeyHash === null)
      throw new AppError('conflict', `the agent ${agent.name} has no certificate: it moves files by itself and takes no work`, {
        field: 'agentId',
      })
    return agent
  }

  async function remoteOf(id: string) {
    const remote = await store.findRemote(id)
    if (remote === undefined) throw new AppError('invalid', `remoteId: there is no remote ${id}`, { field: 'remoteId' })
    return remote
  }

  function created(transfer: Transfer, agent: Pick<Agent, 'name'>): EventDraft {
    return recorder.draft('transfer.created', null, dataOf('transfer.created', transfer, agent.name))
  }

  /** Null: it was asked for already. */
  function judgeCancelling(transfer: Transfer): Decision | null {
    if (!isOpen(transfer)) throw new AppError('conflict', `the transfer is ${transfer.status} already`)
    if (transfer.isForeign)
      throw new AppError('conflict', 'the transfer is made by an agent that is not ours and takes no orders: cancel it there')
    if (transfer.status === 'queued') return cancelledWaiting(transfer, clock.now())
    if (transfer.arrivedAt !== null)
      throw new AppError('conflict', 'the file has arrived; what happens to its source is not stopped any more')
    if (transfer.cancelAskedAt !== null) return null
    return { after: { ...transfer, cancelAskedAt: clock.now() }, says: [] }
  }

  /** Those of a run that can still be stopped; the others end by themselves. */
  async function cancelSome(transfers: readonly Transfer[]): Promise<void> {
    const stoppable = transfers.filter(({ isForeign, arrivedAt }) => !isForeign && arrivedAt === null)
    const verdicts = stoppable.flatMap((before) => {
      const decision = judgeCancelling(before)
      return decision === null ? [] : [{ before, ...decision }]
    })
    await works.carryOut(verdicts)
    for (const agentId of new Set(verdicts.map(({ before }) => before.agentId))) dispatcher.nudge(agentId)
  }

  return {
    find,
    created,
    list: (filter, page) => store.listTransfers(filter, page),
    async create(caller, input) {
      const agent = await agentOf(input.agentId)
      const remote = input.remoteId === undefined ? null : await remoteOf(input.remoteId)
      const now = clock.now()
      const { transfer, spaces } = transferOf(input, remote, now)
      await checkUsers(spaces, hasUser)
      const entry = changeEntry(caller, now, { accountId: null, action: 'transfer.create', target: transfer.id })
      await store.createTransfers([transfer], [created(transfer, agent)], entry)
      dispatcher.nudge(agent.id)
      return transfer
    },
    async cancel(caller, id) {
      const entry = changeEntry(caller, clock.now(), { accountId: null, action: 'transfer.cancel', target: id })
      const transfer = existing(await works.change(id, judgeCancelling, entry))
      dispatcher.nudge(transfer.agentId)
      return transfer
    },
    async cancelRun(runId) {
      // Those that wait first, so that none of them takes the place of one that was stopped.
      for (const status of ['queued', 'running'] as const) {
        let last: string | undefined
        for (;;) {
          const page = { limit: CANCEL_STEP, offset: 0, ...(last !== undefined && { after: last }) }
          const { rows } = await store.listTransfers({ runId, status }, page)
          await cancelSome(rows)
          if (rows.length < CANCEL_STEP) break
          last = rows.at(-1)!.id
        }
      }
    },
    async createForeign(agent, input) {
      if (input.agentId !== agent.id)
        throw new AppError('forbidden', `agentId is ${input.agentId}, and the credentials are of the agent ${agent.id}`)
      const run = input.runId === undefined ? undefined : await findRun(input.runId)
      if (input.runId !== undefined && run?.agentId !== agent.id)
        throw new AppError('invalid', `runId: this agent has no run ${input.runId}`, { field: 'runId' })
      if (run?.isOpen === false) throw new AppError('conflict', `the run ${input.runId} has ended`, { field: 'runId' })
      const transfer = foreignTransfer(input, clock.now())
      await store.createTransfers([transfer], [created(transfer, agent)], null)
      return transfer
    },
    async reportForeign(agent, id, report) {
      const after = await works.change(id, (transfer) => {
        // Of another one: to this agent there is no such transfer.
        if (transfer.agentId !== agent.id) throw new AppError('not_found', 'no such transfer')
        if (!transfer.isForeign)
          throw new AppError('conflict', 'the transfer was handed out by the server: it is reported by its lease')
        return judgeForeign(transfer, report, clock.now())
      })
      return existing(after)
    },
  }
}

function existing(transfer: Transfer | undefined): Transfer {
  if (transfer === undefined) throw new AppError('not_found', 'no such transfer')
  return transfer
}
