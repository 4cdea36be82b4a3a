import type { Clock } from '../base/clock.ts'
import { randomText } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { TransferFailure } from '../wire/agent/failure.ts'
import type { DiscardWork, WorkReport } from '../wire/agent/work.ts'
import type { Places } from './places.ts'
import type { TransferStore } from './port.ts'
import type { Leftover } from './transfer.ts'
import { takerOf, type WorkSource } from './work-source.ts'

/** Leftovers that one agent discards at a time. */
const AT_ONCE_MAX = 4
/** One that was handed out and is not heard of is handed out again after this, ms: longer than an agent tries. */
const LAPSE_MS = 5 * MINUTE_MS
/** Ms before each try after one that failed; then it stays where it is. */
const RETRY_DELAYS_MS: readonly number[] = [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS]
/** Beyond so many tries, those that nothing was heard of among them, trying may well be what ends the agent. */
const TRIES_MAX = 10
const LEASE_CHARACTERS = 24

export interface LeftoverParts {
  readonly store: Pick<
    TransferStore,
    'nextLeftoverDue' | 'takeLeftovers' | 'findLeftoverByLease' | 'heldLeftovers' | 'changeLeftover' | 'findTransfer'
  >
  readonly places: Pick<Places, 'ofTransfer'>
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/**
 * Has agents take away what ended transfers have left half done: one that was cancelled while it waited for its next attempt, one that ended while its agent was
 * away. Recorded with the end of the transfer, so that no crash forgets it; discarding may be repeated.
 */
export function createLeftovers({ store, places, clock, log, node }: LeftoverParts): WorkSource {
  async function workOf(leftover: Leftover): Promise<DiscardWork[]> {
    const { transferId, lease, tries } = leftover
    const transfer = await store.findTransfer(transferId)
    try {
      if (transfer === undefined) throw new TransferFailure('NOT_FOUND', 'The transfer is gone.')
      if (tries > TRIES_MAX) throw new TransferFailure('AGENT_LOST', `The agent was handed it ${TRIES_MAX} times.`)
      const { destination } = await places.ofTransfer(transfer)
      return [{ kind: 'discard', lease: lease!, transferId, destination }]
    } catch (error) {
      if (!(error instanceof TransferFailure)) throw error
      giveUp(leftover, error.message)
      await store.changeLeftover(leftover, null)
      return []
    }
  }

  function giveUp({ transferId, tries }: Leftover, error: string): void {
    log.warn({ transferId, tries, error }, 'what a transfer has left cannot be discarded, and stays')
  }

  async function failed(leftover: Leftover, error: string): Promise<void> {
    const delayMs = RETRY_DELAYS_MS[leftover.tries - 1]
    if (delayMs === undefined) giveUp(leftover, error)
    await store.changeLeftover(leftover, delayMs === undefined ? null : freeAgain(leftover, delayMs))
  }

  function freeAgain(leftover: Leftover, delayMs = 0): Leftover {
    return { ...leftover, lease: null, dueAt: clock.now() + delayMs }
  }

  return {
    besideMax: AT_ONCE_MAX,
    async take(agentId, limit) {
      const now = clock.now()
      const next = await store.nextLeftoverDue(agentId)
      if (next === null || next > now) return []
      const held = await store.heldLeftovers(agentId, limit)
      const underWay = held.filter(({ dueAt }) => dueAt > now).length
      const leases = Array.from({ length: limit - underWay }, () => `dsc_${randomText(LEASE_CHARACTERS)}`)
      const work: DiscardWork[] = []
      for (const leftover of await store.takeLeftovers(takerOf(agentId, node, now), leases, now, now + LAPSE_MS))
        work.push(...(await workOf(leftover)))
      return work
    },
    async report(agentId: string, lease: string, report: WorkReport) {
      const leftover = await store.findLeftoverByLease(lease)
      if (leftover?.agentId !== agentId) return undefined
      if (report.state === 'discarded') await store.changeLeftover(leftover, null)
      else if (report.state === 'failed') await failed(leftover, report.error)
      else if (report.state === 'cancelled') await store.changeLeftover(leftover, freeAgain(leftover))
      // A host key that nobody has pinned is none to begin with now.
      return { go: report.state === 'running' }
    },
    async putBack(agentId, kept) {
      for (const leftover of await store.heldLeftovers(agentId, AT_ONCE_MAX))
        if (!kept.includes(leftover.lease!)) await store.changeLeftover(leftover, freeAgain(leftover))
    },
    // They take no slots, and nobody stops them.
    held: async () => [],
  }
}
