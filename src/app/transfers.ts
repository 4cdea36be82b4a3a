import type { ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Seal } from '../base/seal.ts'
import type { Recorder } from '../events/record.ts'
import { faultOfPrivateKey } from '../protocols/ssh/private-key.ts'
import type { Store } from '../store/store.ts'
import { createTransferAdmin, type TransferAdmin } from '../transfers/administer.ts'
import { createRemoteAdmin } from '../transfers/administer-remotes.ts'
import { createDispatcher } from '../transfers/dispatch.ts'
import { createLeftovers } from '../transfers/leftovers.ts'
import { createPlaces, type Places } from '../transfers/places.ts'
import { createStrays } from '../transfers/strays.ts'
import { createTransferWorks } from '../transfers/transfer-work.ts'
import type { Dispatcher, WorkSource } from '../transfers/work-source.ts'

export interface TransferDeskParts {
  readonly store: Store
  readonly seal: Seal
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/** What people, jobs and agents ask about transfers. Work is handed out, and what is lost is noticed, only from `start` to `stop`. */
export interface TransferDesk extends Running {
  readonly needs: Pick<ApiNeeds, 'transfers' | 'remotes'>
  readonly dispatcher: Dispatcher
  readonly transfers: TransferAdmin
  readonly places: Places
  /** Jobs come in: their listings are handed out before transfers, and they hear of the end of each transfer of a run. Before `start`. */
  join(listings: WorkSource, onEnded: (runId: string) => void): void
  /** Hears which agent does not do any more what it was handed, but `kept`, before that is handed out again. */
  whenReleased(hear: (agentId: string, kept: readonly string[]) => Promise<void>): void
  start(): void
  /** This agent was revoked: what it had ends now. */
  endOfRevoked(): Promise<void>
}

export function createTransferDesk({ store, seal, recorder, clock, log, node }: TransferDeskParts): TransferDesk {
  let onEnded = (_runId: string) => {}
  let released = async (_agentId: string, _kept: readonly string[]) => {}
  const places = createPlaces({ store, seal })
  const works = createTransferWorks({
    ...{ store, agents: store, places, recorder, clock, log, node },
    onEnded: (runId) => onEnded(runId),
  })
  const sources: WorkSource[] = [works, createLeftovers({ store, places, clock, log, node })]
  const dispatcher = createDispatcher({
    ...{ sources, store, clock, log },
    released: (agentId, kept) => released(agentId, kept),
  })
  const strays = createStrays({ store, agents: store, works, clock, log })
  const transfers = createTransferAdmin({
    ...{ store, agents: store, works, dispatcher, recorder, clock },
    hasUser: async (accountSlug, name) => (await store.findUser({ accountSlug, name })) !== undefined,
    async findRun(runId) {
      const run = await store.findRun(runId)
      return run && { agentId: run.agentId, isOpen: run.status === 'running' }
    },
  })
  return {
    needs: {
      transfers: { admin: transfers, findAgents: (ids) => store.findAgents(ids) },
      remotes: createRemoteAdmin({
        store,
        seal,
        clock,
        faultOfKey: (key, passphrase) => faultOfPrivateKey(key, passphrase, clock),
      }),
    },
    ...{ dispatcher, transfers, places },
    join(listings, hear) {
      sources.unshift(listings)
      onEnded = hear
    },
    whenReleased(hear) {
      released = hear
    },
    start() {
      dispatcher.start()
      strays.start()
    },
    endOfRevoked: () => strays.endNow(),
    async stop() {
      await strays.stop()
      await dispatcher.stop()
    },
  }
}
