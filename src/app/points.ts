import { FAIL_POINTS } from '../files/points.ts'
import type { Store } from '../store/store.ts'
import type { Transfer } from '../transfers/transfer.ts'

/**
 * Moments at which the database has taken (`…ed`) or is about to take (`…ing`) what agents, transfers and runs have become, and nobody has heard of it yet:
 * no answer is given, no work is sent.
 */
export const WORK_POINTS = [
  'enrolment.recorded',
  'renewal.recorded',
  'transfer.recorded',
  'work.taken',
  'work.put_back',
  'arrival.recorded',
  'completion.recording',
  'completion.recorded',
  'cancellation.recorded',
  'run.begun',
  'listing.taken',
  'listing.recording',
  'listing.recorded',
  'run.ending',
  'run.ended',
] as const
export type WorkPoint = (typeof WORK_POINTS)[number]

/** Named moments of the flow. The crash storm passes a hook that ends the process at one of them; production passes nothing. */
export const POINTS = [...FAIL_POINTS, ...WORK_POINTS] as const
export type Point = (typeof POINTS)[number]
export type ReachPoint = (point: Point) => void

/** The store, telling when one of these moments has come. */
export function reaching(store: Store, reach: ReachPoint): Store {
  /** Tells of it once the call has answered, where the answer says that something was done. */
  async function after<Answer>(call: Promise<Answer>, point: WorkPoint): Promise<Answer> {
    const answer = await call
    const isNothing = answer === false || (Array.isArray(answer) && answer.length === 0)
    if (!isNothing) reach(point)
    return answer
  }
  return {
    ...store,
    registerAgent: (...facts) => after(store.registerAgent(...facts), 'enrolment.recorded'),
    registerAgain: (...facts) => after(store.registerAgain(...facts), 'enrolment.recorded'),
    addCertificate: (...facts) => after(store.addCertificate(...facts), 'renewal.recorded'),
    createTransfers: (...facts) => after(store.createTransfers(...facts), 'transfer.recorded'),
    takeTransfers: (...asked) => after(store.takeTransfers(...asked), 'work.taken'),
    takeListings: (...asked) => after(store.takeListings(...asked), 'listing.taken'),
    async changeTransfers(changes) {
      if (changes.some(({ after: { status } }) => status === 'completed')) reach('completion.recording')
      const done = await store.changeTransfers(changes)
      for (const [at, { basis, after: transfer }] of changes.entries()) {
        const point = done[at] === true ? pointOf(basis, transfer) : undefined
        if (point !== undefined) reach(point)
      }
      return done
    },
    beginRun: (...facts) => after(store.beginRun(...facts), 'run.begun'),
    async changeRun(run, before, ...more) {
      const hasEnded = run.status !== 'running'
      if (hasEnded) reach('run.ending')
      const isDone = await store.changeRun(run, before, ...more)
      if (isDone && hasEnded) reach('run.ended')
      else if (isDone && run.phase !== before.phase) reach('listing.recorded')
      return isDone
    },
    async addToRun(listing, transfers, events, isLast) {
      const isDone = await store.addToRun(listing, transfers, events, isLast)
      if (isDone) reach(isLast ? 'listing.recorded' : 'listing.recording')
      return isDone
    },
  }
}

function pointOf(basis: Pick<Transfer, 'arrivedAt'>, { status, arrivedAt }: Transfer): WorkPoint | undefined {
  if (status === 'completed') return 'completion.recorded'
  if (status === 'cancelled') return 'cancellation.recorded'
  if (status === 'queued') return 'work.put_back'
  return basis.arrivedAt === null && arrivedAt !== null ? 'arrival.recorded' : undefined
}
