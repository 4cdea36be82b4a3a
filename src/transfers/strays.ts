import type { AgentStore } from '../agents/port.ts'
import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { createSilenceWatch } from './dispatch.ts'
import type { TransferStore } from './port.ts'
import { failed } from './settle.ts'
import type { Transfer } from './transfer.ts'
import type { TransferWorks } from './transfer-work.ts'

/** A transfer that a foreign agent makes has failed when that agent was silent for this long, ms. */
export const FOREIGN_LOST_AFTER_MS = HOUR_MS
/**
 * When this server begins to listen, and after its clock was set, they get this long to be heard of, ms: they know nothing of that, and report as it suits them.
 */
const TO_BE_HEARD_MS = 10 * MINUTE_MS
const SWEEP_MS = MINUTE_MS
/** No agent was last heard of before this time. */
const NOBODY = 0
/** Transfers that are ended in one transaction. */
const STEP = 500

/** Ends what nobody else ends: transfers of agents that were revoked, and those of foreign agents that are lost. */
export interface Strays extends Running {
  start(): void
  /** An agent was revoked: what it had ends now. Where that fails, or the process dies before, the next sweep of any node does it. */
  endNow(): Promise<void>
}

export interface StraysNeeds {
  readonly store: Pick<TransferStore, 'strandedTransfers'>
  readonly agents: Pick<AgentStore, 'findAgent'>
  readonly works: Pick<TransferWorks, 'carryOut'>
  readonly clock: Clock
  readonly log: Log
}

export function createStrays({ store, agents, works, clock, log }: StraysNeeds): Strays {
  const watch = createSilenceWatch(clock, TO_BE_HEARD_MS)
  const listensFrom = clock.monotonic()
  let isStopping = false
  let sweeping: Promise<void> = Promise.resolve()

  async function endAll(): Promise<void> {
    for (let isMore = true; isMore && !isStopping; ) {
      const mayJudge = watch.mayJudge() && clock.monotonic() - listensFrom >= TO_BE_HEARD_MS
      const foreignSeenBefore = mayJudge ? clock.now() - FOREIGN_LOST_AFTER_MS : NOBODY
      const stranded = await store.strandedTransfers(foreignSeenBefore, STEP)
      const verdicts = []
      for (const before of stranded) verdicts.push({ before, ...(await verdictOf(before)) })
      await works.carryOut(verdicts)
      isMore = stranded.length === STEP
    }
  }

  async function verdictOf(transfer: Transfer) {
    const agent = await agents.findAgent(transfer.agentId)
    const now = clock.now()
    if (agent !== undefined && agent.revokedAt === null)
      return failed(transfer, 'AGENT_LOST', 'The agent was not heard of for an hour.', now)
    return failed(transfer, 'AGENT_REVOKED', 'The agent may not work for this server any more.', now)
  }

  /** One after the other: two at the same time would only be in each other's way. */
  function sweep(): Promise<void> {
    const swept = sweeping.then(endAll)
    sweeping = swept.catch(() => undefined)
    return swept
  }

  function notSwept(error: unknown): void {
    log.error({ error: String(error) }, 'cannot end transfers of lost agents; it is tried again')
  }

  const sweeps = new Rounds({ clock, round: sweep, everyMs: SWEEP_MS, failed: notSwept })

  return {
    start: () => sweeps.start(SWEEP_MS),
    endNow: () => sweep().catch(notSwept),
    async stop() {
      isStopping = true
      await sweeps.stop()
      await sweeping
    },
  }
}
