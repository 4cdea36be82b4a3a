import type { Caller } from '../audit/caller.ts'
import type { EventDraft } from '../events/event.ts'
import type { Transfer } from '../transfers/transfer.ts'
import type { ListedFile, Place } from '../wire/agent/work.ts'
import type { Job, Run } from './job.ts'

/** What jobs need of transfers. */
export interface Moving {
  /** Where a job looks for its files, with the credentials for it: for its agent only. Throws TransferFailure where its remote is gone or does not open. */
  sourceOf(job: Job): Promise<Place>
  /** What people and events call a file at the source of a job, by its path. */
  sourceUrlsOf(job: Job): Promise<(path: string) => string>
  /** A transfer of this run with its `transfer.created`; nothing is stored. */
  transferOf(
    job: Job,
    run: Run,
    file: ListedFile,
    places: FilePlaces,
  ): Promise<{ readonly transfer: Transfer; readonly event: EventDraft }>
  /** Stops what is open of a run: queued transfers at once, running ones as soon as their agent has stopped. */
  cancelOpenOf(runId: string, caller: Caller): Promise<void>
  /**
   * That remote, protocol, direction and both paths go together. Answers the protocol.
   * @throws AppError `invalid`, naming the field
   */
  checkRoute(
    route: Pick<Job, 'agentId' | 'remoteId' | 'sourcePath' | 'destinationPath' | 'direction'> & { readonly protocol?: string },
  ): Promise<string>
  /** There may be work for this agent. */
  nudge(agentId: string): void
}

export interface FilePlaces {
  readonly sourceUrl: string
  readonly destinationPath: string
}
