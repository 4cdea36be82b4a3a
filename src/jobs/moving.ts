import type { AgentStore } from '../agents/port.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EventDraft } from '../events/event.ts'
import type { TransferAdmin } from '../transfers/administer.ts'
import { escapingOf, inFolder } from '../transfers/names.ts'
import type { Places } from '../transfers/places.ts'
import type { TransferStore } from '../transfers/port.ts'
import { checkPostAction, checkUsers, foreignRouteOf, type PostActionInput, routeOf } from '../transfers/route.ts'
import { newTransfer, type Remote, type Transfer } from '../transfers/transfer.ts'
import type { Dispatcher } from '../transfers/work-source.ts'
import type { ListedFile, Place, PostAction } from '../wire/agent/work.ts'
import type { Job, Run } from './job.ts'
import { checkLoop } from './loop.ts'
import { destinationOf, isGlob, movedTo } from './select-files.ts'

/** What jobs need of transfers. */
export interface Moving {
  /** Where a job looks for its files, with the credentials for it: for its agent only. Throws TransferFailure where its remote is gone or does not open. */
  sourceOf(job: Job): Promise<Place>
  /** What people and events call a file at the source of a job, by its path. */
  sourceUrlsOf(job: Job): Promise<(path: string) => string>
  /** Transfers of this run with their `transfer.created`, in the order of the files; nothing is stored. */
  transfersOf(
    job: Job,
    run: Run,
    files: readonly Source[],
  ): Promise<{ readonly transfers: Transfer[]; readonly events: EventDraft[] }>
  /** Stops what is open of a run: queued transfers at once, running ones as soon as their agent has stopped. */
  cancelOpenOf(runId: string): Promise<void>
  /**
   * That remote, protocol, direction and both paths go together. Answers them as they are stored: paths, whatever urls were given.
   * @throws AppError `invalid`, naming the field
   */
  checkRoute(route: Route): Promise<Required<Route>>
  /**
   * That its runs do not find what they have put somewhere themselves.
   * @throws AppError `invalid`, naming the field
   */
  checkLoop(job: Pick<Job, 'agentId' | 'remoteId' | 'sourcePath' | 'destinationPath' | 'options'>): Promise<void>
  /** What is to happen to the sources of such a job. @throws AppError `invalid`, naming the field */
  checkPostAction(job: Pick<Job, 'remoteId' | 'direction'>, postAction: PostActionInput): Promise<PostAction>
  /** There may be work for this agent. */
  nudge(agentId: string): void
}

/** A listed file, and what people call it. */
export interface Source {
  readonly file: ListedFile
  readonly sourceUrl: string
}

export interface Route extends Pick<Job, 'agentId' | 'remoteId' | 'sourcePath' | 'destinationPath' | 'direction'> {
  readonly protocol?: string
}

export interface MovingParts {
  readonly store: Pick<TransferStore, 'findRemote'> & Pick<AgentStore, 'findAgent'>
  readonly places: Places
  readonly transfers: Pick<TransferAdmin, 'cancelRun' | 'created'>
  readonly dispatcher: Pick<Dispatcher, 'nudge'>
  /** Whether this user of this account exists. */
  readonly hasUser: (account: string, user: string) => Promise<boolean>
  readonly clock: Clock
}

export function createMoving({ store, places, transfers, dispatcher, hasUser, clock }: MovingParts): Moving {
  const farSource = ({ remoteId, direction }: Pick<Job, 'remoteId' | 'direction'>) => (direction === 'pull' ? remoteId : null)

  async function remoteOf(id: string | null): Promise<Remote | null> {
    if (id === null) return null
    const remote = await store.findRemote(id)
    if (remote === undefined)
      throw new AppError('invalid', `remoteId '${id.slice(0, 64)}' is the id of no remote`, { field: 'remoteId' })
    return remote
  }

  /** An agent that is not ours moves its files by itself, between places that only it knows. */
  async function isElsewhere({ agentId, remoteId }: Pick<Job, 'agentId' | 'remoteId'>): Promise<boolean> {
    return remoteId === null && (await store.findAgent(agentId))?.publicKeyHash === null
  }

  return {
    sourceOf: (job) => places.at(farSource(job), job.sourcePath),
    sourceUrlsOf: (job) => places.urlsAt(farSource(job), job.sourcePath),
    async transfersOf(job, run, files) {
      const now = clock.now()
      const agent = await store.findAgent(run.agentId)
      const made = files.map(({ file, sourceUrl }) => transferOfFile(job, run, file, sourceUrl, now))
      return { transfers: made, events: made.map((transfer) => transfers.created(transfer, agent ?? { name: run.agentId })) }
    },
    cancelOpenOf: (runId) => transfers.cancelRun(runId),
    async checkRoute(route) {
      const input = { ...route, ...sidesOf(route) }
      const remote = await remoteOf(route.remoteId)
      const isForeign = await isElsewhere(route)
      const { source, destination, protocol, spaces } = isForeign ? foreignRouteOf(input) : routeOf(input, remote)
      await checkUsers(spaces, hasUser)
      const checked = { ...route, protocol, sourcePath: source, destinationPath: destination }
      if (!isForeign) checkSource(checked)
      return checked
    },
    async checkLoop(job) {
      if (!(await isElsewhere(job))) checkLoop(job)
    },
    async checkPostAction(job, given) {
      const postAction = checkPostAction(given, await remoteOf(farSource(job)))
      if (postAction.kind === 'move' && isGlob(postAction.to))
        throw new AppError('invalid', `postAction.to '${postAction.to}' has a wildcard; it names one file or folder`, {
          field: 'postAction.to',
        })
      return postAction
    },
    nudge: (agentId) => dispatcher.nudge(agentId),
  }
}

function transferOfFile(job: Job, run: Run, file: ListedFile, sourceUrl: string, now: number): Transfer {
  const { remoteId, direction, protocol, options } = job
  const policy = {
    retryDelaysMs: options.retryDelaysSeconds.map((seconds) => seconds * SECOND_MS),
    bytesPerSecond: options.bytesPerSecond,
    postAction: postActionOf(job, file),
    expected: { size: file.size, modifiedAt: file.modifiedAt },
    deadlineMs: options.timeoutSeconds === null ? null : options.timeoutSeconds * SECOND_MS,
    onAgentLost: options.onAgentLost,
    parallelism: options.parallelism,
  }
  const destinationPath = destinationOf(job, file)
  return newTransfer(
    {
      agentId: run.agentId,
      runId: run.id,
      remoteId,
      sourceUrl,
      destinationPath,
      direction,
      protocol,
      isForeign: false,
      size: file.size,
      policy,
    },
    now,
  )
}

/** A source that is moved keeps its place below the folder of the glob. */
function postActionOf(job: Job, file: ListedFile): PostAction {
  const { postAction } = job.options
  return postAction.kind === 'move' ? { kind: 'move', to: movedTo(postAction.to, job, file) } : postAction
}

function sidesOf({ sourcePath, destinationPath }: Route) {
  return {
    source: { field: 'sourcePath', location: sourcePath },
    destination: { field: 'destinationPath', location: destinationPath },
  }
}

/** What a run can look for, and put where it is to go. @throws AppError `invalid` */
function checkSource(route: Pick<Job, 'sourcePath' | 'destinationPath' | 'direction' | 'protocol'>): void {
  const { sourcePath, destinationPath } = route
  const escaping = escapingOf(route)
  if (!isGlob(sourcePath)) inFolder('destinationPath', destinationPath, sourcePath, escaping)
  else if (escaping.source)
    throw new AppError('invalid', `sourcePath '${sourcePath}' has * or ?, and over HTTP no files can be listed: name one`, {
      field: 'sourcePath',
    })
}
