import type { Evidence } from './evidence.ts'
import { type Deed, type Entry, tookPlace, treeOf } from './log.ts'

/**
 * The proofs of the storm; pure. Each answers what it found wrong, in sentences; none of them trusts what the server says of
 * itself where a client, a receiver or the disk says the same.
 *
 * Not proved: that data survives a power cut. A kill leaves the page cache alone, so a missing sync goes unseen here.
 */
const PROOFS: readonly ((evidence: Evidence) => string[])[] = [
  clientsSawNothingWrong,
  everyChangeHasItsEvent,
  eventsSayWhatHappened,
  everyEventIsDeliveredOnce,
  everyDeliveryWasTaken,
  ordersAreKept,
  replaysPlanOnce,
  bodiesAreIdentical,
  attemptsAreNumbered,
  nothingIsStuck,
  filesAreWhole,
  temporariesAreKnown,
  usageIsTheSumOfFiles,
]

export function faultsOf(evidence: Evidence): string[] {
  return PROOFS.flatMap((proof) => proof(evidence))
}

function clientsSawNothingWrong({ clients }: Evidence): string[] {
  return clients.flatMap(({ faults }) => faults)
}

/** What is said of a change, as its event names it; undefined for events of no change (downloads, failed uploads, users). */
function nameOfEvent(type: string, data: Readonly<Record<string, unknown>>): string | undefined {
  switch (type) {
    case 'file.uploaded':
      return `upload ${data.path} of ${data.size} bytes`
    case 'file.renamed':
      return `rename ${data.previous_path} to ${data.path}`
    case 'file.deleted':
      return `remove ${data.path}`
    case 'dir.created':
      return `make folder ${data.path}`
    case 'dir.deleted':
      return `remove folder ${data.path}`
    default:
      return undefined
  }
}

function nameOfDeed(deed: Deed): string {
  switch (deed.kind) {
    case 'upload':
      return `upload ${deed.path} of ${deed.bytes} bytes`
    case 'rename':
      return `rename ${deed.from} to ${deed.path}`
    case 'remove':
      return `remove ${deed.path}`
    case 'make_folder':
      return `make folder ${deed.path}`
    case 'remove_folder':
      return `remove folder ${deed.path}`
  }
}

/** As many said events as changes that took place: none is missing, none twice, none of a change that did not happen. */
function everyChangeHasItsEvent({ clients, rows }: Evidence): string[] {
  const said = rows.events.filter(({ state }) => state === 'said')
  const events = countOf(said.flatMap(({ type, data }) => nameOfEvent(type, data) ?? []))
  const entries: Entry[] = clients.flatMap(({ log }) => log)
  const changes = countOf(entries.filter(tookPlace).map(({ deed }) => nameOfDeed(deed)))
  return [...new Set([...events.keys(), ...changes.keys()])].flatMap((name) => {
    const [happened, told] = [changes.get(name) ?? 0, events.get(name) ?? 0]
    if (happened === told) return []
    const outcomes = entries.filter(({ deed }) => nameOfDeed(deed) === name).map(({ outcome }) => outcome)
    return [`${name}: took place ${happened} times (${outcomes.join(', ') || 'nobody asked'}), but has ${told} events`]
  })
}

function eventsSayWhatHappened({ clients, rows }: Evidence): string[] {
  const hashes = new Map<string, string>()
  for (const { deed } of clients.flatMap(({ log }) => log)) if (deed.kind === 'upload') hashes.set(nameOfDeed(deed), deed.hash)
  return rows.events.flatMap(({ id, type, state, data }) => {
    if (type !== 'file.uploaded' || state !== 'said') return []
    const hash = hashes.get(nameOfEvent(type, data)!)
    return data.sha256 === hash ? [] : [`event ${id} of ${data.path} says sha256 ${data.sha256}, but ${hash} was sent`]
  })
}

function everyEventIsDeliveredOnce({ webhooks, rows }: Evidence): string[] {
  const own = rows.deliveries.filter(({ replayId }) => replayId === null)
  const planned = countOf(own.map(({ eventId, webhookId }) => `${eventId} ${webhookId}`))
  const faults = rows.events.flatMap(({ id, type, state }) => {
    if (state !== 'said' && state !== 'void') return [`event ${id} (${type}) is still ${state}`]
    if (!/^(file|dir)\./.test(type)) return []
    return webhooks.flatMap((webhook) => {
      const count = planned.get(`${id} ${webhook.id}`) ?? 0
      return count === 1
        ? []
        : [`event ${id} (${type}) has ${count} deliveries for the ${webhook.receiver} webhook ${webhook.id}`]
    })
  })
  const states = new Map(rows.events.map(({ id, state }) => [id, state]))
  for (const { id, eventId, state } of rows.deliveries) {
    const due = states.get(eventId) === 'void' ? 'cancelled' : 'delivered'
    if (state !== due)
      faults.push(`delivery ${id} of an event that is ${states.get(eventId) ?? 'unknown'} is ${state}, not ${due}`)
  }
  return faults
}

/** The receivers' own memory: what the store calls delivered was taken, verified, by the receiver it was meant for. */
function everyDeliveryWasTaken({ webhooks, posts, rows }: Evidence): string[] {
  const receivers = new Map(webhooks.map(({ id, receiver }) => [id, receiver]))
  const taken = new Map(posts.filter(({ status }) => status === 204).map(({ deliveryId, receiver }) => [deliveryId, receiver]))
  const faults = rows.deliveries.flatMap(({ id, webhookId, state }) => {
    if (state !== 'delivered' || taken.get(id) === receivers.get(webhookId)) return []
    return [`delivery ${id} is delivered, but the ${receivers.get(webhookId)} receiver never took it`]
  })
  const known = new Set(rows.deliveries.filter(({ state }) => state !== 'cancelled').map(({ id }) => id))
  for (const { deliveryId, dialect, problem } of posts) {
    if (problem !== undefined) faults.push(`a POST of ${dialect} delivery ${deliveryId} does not verify: ${problem}`)
    if (!known.has(deliveryId)) faults.push(`a POST of delivery ${deliveryId} was received, but no such delivery may be sent`)
  }
  return faults
}

/**
 * In strict order one delivery follows the other: once a later one has arrived, none before it comes again, whatever was killed. And
 * those that were planned with their events come as these were said.
 */
function ordersAreKept({ webhooks, posts, rows }: Evidence): string[] {
  const positions = new Map(rows.events.map(({ id, position }) => [id, position]))
  const deliveries = new Map(rows.deliveries.map((delivery) => [delivery.id, delivery]))
  return webhooks.flatMap(({ id, receiver }) => {
    if (receiver !== 'ordered') return []
    const arrived = posts.map(({ deliveryId }) => deliveryId).filter((each) => deliveries.get(each)?.webhookId === id)
    const turns = arrived.filter((each, index) => each !== arrived[index - 1])
    const again = turns.filter((each, index) => turns.indexOf(each) !== index)
    const faults = again.map((each) => `delivery ${each} came again after the next one of its order`)
    let last = 0
    for (const each of turns) {
      const { eventId, replayId } = deliveries.get(each)!
      const position = positions.get(eventId) ?? 0
      if (replayId !== null || turns.indexOf(each) !== turns.lastIndexOf(each)) continue
      if (position < last) faults.push(`delivery ${each} was overtaken by one of an event that was said later`)
      last = Math.max(last, position)
    }
    return faults
  })
}

/** However often a replay was cut, it plans an event once and comes to its end. */
function replaysPlanOnce({ rows }: Evidence): string[] {
  const planned = rows.deliveries.filter(({ replayId }) => replayId !== null)
  const counts = countOf(planned.map(({ eventId, replayId }) => `${replayId} planned event ${eventId}`))
  const faults = [...counts].flatMap(([what, count]) => (count === 1 ? [] : [`replay ${what} ${count} times`]))
  for (const { id, state } of rows.replays) if (state !== 'done') faults.push(`replay ${id} is ${state}`)
  return faults
}

function bodiesAreIdentical({ posts, rows }: Evidence): string[] {
  const bodies = new Map(rows.deliveries.map(({ id, body }) => [id, body]))
  const changed = posts.filter(({ deliveryId, body }) => bodies.has(deliveryId) && bodies.get(deliveryId) !== body)
  return changed.map(({ deliveryId, body }) => `a POST of delivery ${deliveryId} had another body than the one planned: ${body}`)
}

/** Settled attempts are 1, 2, 3 without gaps; each was a POST that arrived, and only the last one succeeded. */
function attemptsAreNumbered({ posts, rows }: Evidence): string[] {
  const attempts = Map.groupBy(
    rows.attempts.toSorted((a, b) => a.number - b.number),
    ({ deliveryId }) => deliveryId,
  )
  const arrived = countOf(posts.map(({ deliveryId }) => deliveryId))
  const faults = rows.deliveries.flatMap(({ id, state, attempts: counted }) => {
    const own = attempts.get(id) ?? []
    const numbers = own.map(({ number }) => number).join(', ')
    const expected = Array.from({ length: counted }, (_, index) => index + 1).join(', ')
    if (numbers !== expected) return [`delivery ${id} counts ${counted} attempts, but has rows ${numbers || 'none'}`]
    if (own.length > (arrived.get(id) ?? 0))
      return [`delivery ${id} has ${own.length} attempts, but ${arrived.get(id) ?? 0} POSTs arrived`]
    const succeeded = own.filter(({ error }) => error === null).map(({ number }) => number)
    const due = state === 'delivered' ? [counted] : []
    return succeeded.join() === due.join()
      ? []
      : [`delivery ${id} is ${state} after ${counted} attempts, but those that succeeded are: ${succeeded.join(', ') || 'none'}`]
  })
  const ids = new Set(rows.deliveries.map(({ id }) => id))
  return [...faults, ...[...attempts.keys()].filter((id) => !ids.has(id)).map((id) => `attempts of ${id}, but no such delivery`)]
}

function nothingIsStuck({ rows }: Evidence): string[] {
  const faults = rows.deliveries.flatMap(({ id, claimedBy }) =>
    claimedBy === null ? [] : [`delivery ${id} is still claimed by ${claimedBy}`],
  )
  for (const { id, deed } of rows.intents) faults.push(`intent ${id} is still open: ${deed}`)
  if (rows.lockedPaths > 0) faults.push(`${rows.lockedPaths} paths are still locked by intents`)
  for (const { id, node } of rows.partials) if (node !== null) faults.push(`partial ${id} is still held by ${node}`)
  return faults
}

/** On the disk is what the clients' logs make of it, and nothing else. */
function filesAreWhole({ clients, disk }: Evidence): string[] {
  const trees = clients.map(({ log }) => treeOf(log))
  const files = new Map(trees.flatMap((tree) => [...tree.files]))
  const folders = new Set(trees.flatMap((tree) => [...tree.folders]))
  const faults: string[] = []
  for (const [path, { bytes, hash }] of files) {
    const stored = disk.files.get(path)
    if (stored === undefined) faults.push(`${path} is missing`)
    else if (stored.hash !== hash) faults.push(`${path} holds ${stored.bytes} bytes that are not the ${bytes} of its last upload`)
  }
  for (const path of disk.files.keys()) if (!files.has(path)) faults.push(`${path} is there, but no client left it`)
  for (const path of folders.symmetricDifference(disk.folders))
    faults.push(`folder ${path} is ${folders.has(path) ? 'missing' : 'there, but no client left it'}`)
  return faults
}

function temporariesAreKnown({ rows, disk }: Evidence): string[] {
  const faults = rows.partials.flatMap(({ id, temporary, prefixBytes }) => {
    const bytes = disk.temporaries.get(temporary)
    if (bytes === undefined) return [`partial ${id} has no temporary`]
    return bytes >= prefixBytes ? [] : [`partial ${id} promises ${prefixBytes} bytes, but its temporary has ${bytes}`]
  })
  const known = new Set(rows.partials.map(({ temporary }) => temporary))
  for (const path of disk.temporaries.keys()) if (!known.has(path)) faults.push(`temporary ${path} belongs to nothing`)
  return faults
}

function usageIsTheSumOfFiles({ rows: { usage }, disk }: Evidence): string[] {
  const bytes = [...disk.files.values()].reduce((sum, file) => sum + file.bytes, 0)
  const same = usage.bytes === bytes && usage.files === disk.files.size
  return same
    ? []
    : [`the account counts ${usage.bytes} bytes in ${usage.files} files, but ${bytes} in ${disk.files.size} are stored`]
}

function countOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
