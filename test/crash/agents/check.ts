import type { EventRow, Evidence, RunRow } from './evidence.ts'

/**
 * The proofs of the storm over agents, transfers and runs; pure. Each answers what it found wrong, in sentences. What the server says of a file counts for
 * nothing here: files are looked at where they are.
 */
const PROOFS: readonly ((evidence: Evidence) => string[])[] = [
  everythingHasEnded,
  nothingFails,
  transfersAreToldOnce,
  progressIsNeverRepeated,
  runsAreToldOnce,
  runsTellTheirTransfers,
  nothingElseIsTold,
  agentsAreRegisteredOnce,
  everyEventArrives,
  noFileIsHalf,
  whatCompletedHasArrived,
  noSourceIsLost,
  skippedFilesAreMovedOnce,
  nothingIsLeft,
]

export function faultsOf(evidence: Evidence): string[] {
  return PROOFS.flatMap((proof) => proof(evidence))
}

const ENDS = { completed: 'completed', failed: 'failed', cancelled: 'cancelled' } as const
/** A run that was cancelled has failed for whoever waits for its files. */
const RUN_ENDS: Readonly<Record<string, string>> = { completed: 'job.completed', failed: 'job.failed', cancelled: 'job.failed' }

function everythingHasEnded({ rows: { transfers, runs } }: Evidence): string[] {
  return [
    ...transfers.filter(({ status }) => !(status in ENDS)).map(({ id, status }) => `transfer ${id} is still ${status}`),
    ...transfers.filter(({ lease }) => lease !== null).map(({ id }) => `transfer ${id} has ended, but is held by a lease`),
    ...runs.filter(({ status }) => !(status in ENDS)).map(({ id, status }) => `run ${id} is still ${status}`),
  ]
}

/** Kills are no reason to fail: whatever is lost by one is done again. */
function nothingFails({ rows: { transfers, runs } }: Evidence): string[] {
  return [
    ...transfers
      .filter(({ status }) => status === 'failed')
      .map(({ id, source, errorCode, error }) => `transfer ${id} of ${source} failed: ${errorCode}, ${error}`),
    ...runs
      .filter((run) => run.status === 'failed' && run.transfersFailed === 0)
      .map(({ id, error }) => `run ${id} failed, though none of its transfers did: ${error}`),
  ]
}

function transfersAreToldOnce({ rows: { transfers, events } }: Evidence): string[] {
  const told = byMember(events, 'transferId')
  return transfers.flatMap(({ id, status }) => {
    const types = (told.get(id) ?? []).map(({ type }) => type).filter((type) => type !== 'transfer.progress')
    return sameAs(types, ['transfer.created', `transfer.${status}`])
      ? []
      : [`transfer ${id} is ${status}, and was told of by ${listed(types)}`]
  })
}

function progressIsNeverRepeated({ rows: { transfers, events } }: Evidence): string[] {
  const told = byMember(events, 'transferId')
  return transfers.flatMap(({ id }) => {
    const of = told.get(id) ?? []
    const tenths = of.filter(({ type }) => type === 'transfer.progress').map(({ data }) => Math.floor(Number(data.progress) / 10))
    const grows = tenths.every((tenth, at) => tenth > (tenths[at - 1] ?? 0) && tenth <= 10)
    const last = of.findLastIndex(({ type }) => type === 'transfer.progress')
    const end = of.findIndex(({ type }) => type === 'transfer.completed')
    return [
      ...(grows ? [] : [`transfer ${id} told of the tenths ${listed(tenths)}`]),
      ...(end >= 0 && last > end ? [`transfer ${id} told of its progress after its completion`] : []),
    ]
  })
}

function runsAreToldOnce({ rows: { runs, events } }: Evidence): string[] {
  const told = byMember(events.filter(isOfRun), 'runId')
  return runs.flatMap(({ id, status }) => {
    const types = (told.get(id) ?? []).map(({ type }) => type)
    return sameAs(types, ['job.started', RUN_ENDS[status] ?? 'its end'])
      ? []
      : [`run ${id} is ${status}, and was told of by ${listed(types)}`]
  })
}

function runsTellTheirTransfers({ rows: { runs, transfers } }: Evidence): string[] {
  const made = Map.groupBy(transfers, ({ runId }) => runId)
  return runs.flatMap((run) => {
    const of = made.get(run.id) ?? []
    const completed = of.filter(({ status }) => status === 'completed').length
    const isTold =
      run.transfersTotal === of.length && run.transfersCompleted === completed && run.transfersFailed === of.length - completed
    const isRight = run.status !== 'completed' || completed === of.length
    return [
      ...(isTold ? [] : [`run ${run.id} tells of ${tallyOf(run)}, but ${completed} of its ${of.length} transfers completed`]),
      ...(isRight ? [] : [`run ${run.id} completed, but ${of.length - completed} of its transfers did not`]),
    ]
  })
}

/** Of transfers, runs and agents that there are; and said, not held. */
function nothingElseIsTold({ rows: { transfers, runs, agents, events } }: Evidence): string[] {
  const known = new Set([...transfers, ...runs, ...agents].map(({ id }) => id))
  return events.flatMap(({ id, type, state, data }) => {
    const subject = type.startsWith('transfer.') ? data.transferId : isOfRun({ type }) ? data.runId : data.agentId
    const isKnown = !/^(transfer|job|agent)\./.test(type) || known.has(String(subject))
    return [
      ...(isKnown ? [] : [`event ${id} (${type}) tells of ${subject}, which is not there`]),
      ...(state === 'said' ? [] : [`event ${id} (${type}) is ${state}`]),
    ]
  })
}

function agentsAreRegisteredOnce({ enrolled, rows: { agents, tokens, events } }: Evidence): string[] {
  const registered = byMember(
    events.filter(({ type }) => type === 'agent.registered'),
    'agentId',
  )
  const ids = agents.map(({ id }) => id)
  return [
    ...(sameAs(ids, enrolled) ? [] : [`enrolled were ${listed(enrolled)}, but the server knows ${listed(ids)}`]),
    ...ids.flatMap((id) => {
      const times = registered.get(id)?.length ?? 0
      return times === 1 ? [] : [`agent ${id} was told of as registered ${times} times`]
    }),
    ...tokens.filter(({ uses }) => uses !== 1).map(({ id, uses }) => `token ${id} was used ${uses} times`),
  ]
}

function everyEventArrives({ posts, rows: { events, deliveries } }: Evidence): string[] {
  const taken = new Set(posts.filter(({ status }) => status === 204).map(({ deliveryId }) => deliveryId))
  const planned = Map.groupBy(deliveries, ({ eventId }) => eventId)
  return events
    .filter(({ type }) => /^(transfer|job|agent)\./.test(type))
    .flatMap(({ id, type }) => {
      const [delivery, ...more] = planned.get(id) ?? []
      if (delivery === undefined || more.length > 0)
        return [`event ${id} (${type}) has ${planned.get(id)?.length ?? 0} deliveries`]
      // One of progress that still waits gives way to the next.
      if (delivery.state === 'cancelled' && type === 'transfer.progress') return []
      if (delivery.state !== 'delivered') return [`delivery ${delivery.id} of ${type} is ${delivery.state}`]
      return taken.has(delivery.id) ? [] : [`delivery ${delivery.id} of ${type} counts as delivered, but was never taken`]
    })
}

function noFileIsHalf({ files }: Evidence): string[] {
  return [...files].filter(([, isWhole]) => !isWhole).map(([path]) => `${path} is not what its name says`)
}

function whatCompletedHasArrived({ files, placed, rows: { transfers } }: Evidence): string[] {
  const posts = new Map(placed.map(({ path, post }) => [path, post]))
  return transfers
    .filter(({ status }) => status === 'completed')
    .flatMap(({ id, source, destination }) => [
      ...(files.get(destination) === true ? [] : [`transfer ${id} completed, but ${destination} is not there`]),
      ...(posts.get(source) !== 'keep' && files.has(source)
        ? [`transfer ${id} completed, but its source ${source} is still there`]
        : []),
    ])
}

/** A source that is gone has arrived somewhere, and one that was to be moved is where it was moved to. */
function noSourceIsLost({ files, placed, rows: { transfers } }: Evidence): string[] {
  const arrivals = Map.groupBy(transfers, ({ source }) => source)
  return placed
    .filter(({ path }) => !files.has(path))
    .flatMap(({ path, post }) => {
      const hasArrived = (arrivals.get(path) ?? []).some(({ destination }) => files.get(destination) === true)
      const movedTo = path.replace(/\/[^/]+\/([^/]+)$/, '/done/$1')
      return [
        ...(post === 'keep' ? [`${path} was to be kept, and is gone`] : []),
        ...(hasArrived ? [] : [`${path} is gone, and arrived nowhere`]),
        ...(post === 'move' && files.get(movedTo) !== true ? [`${path} is gone, and not at ${movedTo}`] : []),
      ]
    })
}

/** Sources that a job leaves where they are, and does not move again. */
function skippedFilesAreMovedOnce({ placed, rows: { transfers } }: Evidence): string[] {
  const kept = new Set(placed.filter(({ post }) => post === 'keep').map(({ path }) => path))
  const completed = transfers.filter(({ source, status, runId }) => runId !== null && status === 'completed' && kept.has(source))
  return [...Map.groupBy(completed, ({ source }) => source)]
    .filter(([, of]) => of.length > 1)
    .map(([path, of]) => `${path} was to be moved once, but ${of.length} transfers of it completed`)
}

function nothingIsLeft({ leftovers }: Evidence): string[] {
  return leftovers.map((path) => `${path} was left`)
}

function isOfRun({ type }: Pick<EventRow, 'type'>): boolean {
  return type.startsWith('job.')
}

function byMember(events: readonly EventRow[], member: string): Map<string, EventRow[]> {
  return Map.groupBy(events, ({ data }) => String(data[member]))
}

function sameAs(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.toSorted().join() === others.toSorted().join()
}

function listed(items: readonly unknown[]): string {
  return items.length === 0 ? 'nothing' : items.join(', ')
}

function tallyOf({ transfersTotal, transfersCompleted, transfersFailed }: RunRow): string {
  return `${transfersTotal} transfers, ${transfersCompleted} completed, ${transfersFailed} not`
}
