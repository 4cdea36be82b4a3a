import type { ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Recorder } from '../events/record.ts'
import { createJobAdmin } from '../jobs/administer.ts'
import { createListings, type Listings } from '../jobs/listing.ts'
import { createMoving } from '../jobs/moving.ts'
import { createRuns } from '../jobs/runs.ts'
import { Scheduler } from '../jobs/scheduler.ts'
import type { Store } from '../store/store.ts'
import type { TransferDesk } from './transfers.ts'

export interface JobDeskParts {
  readonly store: Store
  readonly desk: Pick<TransferDesk, 'dispatcher' | 'transfers' | 'places' | 'join'>
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/** What people and agents ask about jobs. Runs begin and end only from `start` to `stop`. */
export interface JobDesk extends Running {
  readonly needs: Pick<ApiNeeds, 'jobs'>
  readonly listings: Pick<Listings, 'jobOf'>
  start(): void
}

/** Before the transfer desk starts: listings are handed out together with its transfers. */
export function createJobDesk({ store, desk, recorder, clock, log, node }: JobDeskParts): JobDesk {
  const moving = createMoving({
    ...{ store, places: desk.places, transfers: desk.transfers, dispatcher: desk.dispatcher, clock },
    hasUser: async (accountSlug, name) => (await store.findUser({ accountSlug, name })) !== undefined,
  })
  const runs = createRuns({ store, moving, recorder, clock, log })
  const listings = createListings({ store, moving, runs, clock, log, node })
  const scheduler = new Scheduler({ store, runs, clock, log })
  const wake = () => scheduler.wake()
  desk.join(listings, wake)
  return {
    needs: {
      jobs: {
        admin: createJobAdmin({ store, moving, runs, listings, clock, wake }),
        findAgents: (ids) => store.findAgents(ids),
      },
    },
    listings,
    start: () => scheduler.start(),
    stop: () => scheduler.stop(),
  }
}
