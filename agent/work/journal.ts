import { statSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Arrival, TransferWork } from '../../src/wire/agent/work.ts'
import { type FileFacts, TICKET_CHARACTERS_MAX } from '../clients/client.ts'
import { attempt } from '../clients/fault.ts'

/**
 * What an agent remembers of a transfer for its next attempt, in a file of its own below `work` of its folder. Written as a whole under another name, synced and
 * renamed: a process that dies at any point leaves the last entry or the one before. Nothing in it is secret, and nothing is taken from it unchecked.
 */
export interface JournalEntry {
  readonly transferId: string
  /** The source as it was when the transfer began. */
  readonly source: SourceMark
  readonly destination: DestinationMark
  /** Hashes of the first bytes, fewest bytes first. */
  readonly checkpoints: readonly Checkpoint[]
  /** Finds the part again, where its name does not. */
  readonly ticket?: string
  /** It is verified at its final name, and something is still to be done with the source. */
  readonly arrival: Arrival | null
}

export type SourceMark = Pick<FileFacts, 'size' | 'modifiedAt' | 'tag'> & { readonly path: string }
export interface DestinationMark {
  readonly protocol: string
  readonly path: string
}
export interface Checkpoint {
  readonly bytes: number
  /** SHA-256 of that many first bytes, lower-case hex. */
  readonly sha256: string
}

/** Checkpoints of one transfer. */
export const CHECKPOINTS_MAX = 24
/** Entries, and ms that one is kept after its last change: transfers that nobody took up again. */
export const ENTRIES_MAX = 10_000
export const ENTRY_KEPT_MS = 7 * 24 * 60 * 60 * 1000
const ENTRY_BYTES_MAX = 64 * 1024

export class Journal {
  readonly #folder: string
  /** The transfer that was last found to have no entry, and got none since. */
  #missing: string | undefined

  constructor(folder: string) {
    this.#folder = join(folder, 'work')
  }

  /** Undefined: none, or none that can be read. */
  async read(transferId: string): Promise<JournalEntry | undefined> {
    const path = this.#path(transferId)
    try {
      // Most transfers have none: not even a thread is asked for it.
      const found = statSync(path, { throwIfNoEntry: false })
      this.#missing = found === undefined ? transferId : undefined
      if (found === undefined || found.size > ENTRY_BYTES_MAX) return undefined
      const entry: unknown = JSON.parse(await readFile(path, 'utf8'))
      return isEntry(entry) && entry.transferId === transferId ? entry : undefined
    } catch {
      return undefined
    }
  }

  async save(entry: JournalEntry): Promise<void> {
    const path = this.#path(entry.transferId)
    this.#missing = undefined
    // Whoever reads that there is no room is not to look for it at the destination.
    await attempt(`Writing in the agent's own folder, “${this.#folder}”,`, async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      const file = await open(`${path}.new`, 'w', 0o600)
      try {
        await file.writeFile(JSON.stringify(entry))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    })
  }

  async remove(transferId: string): Promise<void> {
    if (this.#missing !== transferId) await rm(this.#path(transferId), { force: true })
  }

  /** Entries that are too old or too many go, each told to `forget` before; so do leftovers of a process that died while writing. */
  async sweep(now: number, forget: (entry: JournalEntry) => Promise<void>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [])
    const kept: { readonly id: string; readonly changedAt: number }[] = []
    for (const name of names) {
      const changedAt = await stat(join(this.#folder, name)).then(
        (found) => found.mtimeMs,
        () => now,
      )
      if (name.endsWith('.json')) kept.push({ id: name.slice(0, -'.json'.length), changedAt })
      else if (now - changedAt > ENTRY_KEPT_MS) await rm(join(this.#folder, name), { force: true })
    }
    kept.sort((one, other) => other.changedAt - one.changedAt)
    for (const [index, { id, changedAt }] of kept.entries()) {
      if (index < ENTRIES_MAX && now - changedAt <= ENTRY_KEPT_MS) continue
      const entry = TRANSFER_ID.test(id) ? await this.read(id) : undefined
      if (entry !== undefined) await forget(entry)
      await rm(join(this.#folder, `${id}.json`), { force: true })
    }
  }

  #path(transferId: string): string {
    // The id comes from the server and becomes the name of a file.
    if (!TRANSFER_ID.test(transferId)) throw new Error(`“${transferId}” is no id of a transfer`)
    return join(this.#folder, `${transferId}.json`)
  }
}

const TRANSFER_ID = /^[0-9a-z_]{1,64}$/

/** Whether two looks at a source saw the same; what the protocol does not tell is not compared. */
export function isSameSource(one: Omit<SourceMark, 'path'>, other: Omit<SourceMark, 'path'>): boolean {
  if (one.size !== other.size) return false
  if (one.modifiedAt !== null && other.modifiedAt !== null && one.modifiedAt !== other.modifiedAt) return false
  return one.tag === undefined || other.tag === undefined || one.tag === other.tag
}

/**
 * One checkpoint more. Beyond `CHECKPOINTS_MAX`, the one goes that leaves the smallest gap, measured by how far back it is: they stay dense near the end, where a
 * break costs least, and sparse before it.
 */
export function addCheckpoint(checkpoints: readonly Checkpoint[], added: Checkpoint): Checkpoint[] {
  const all = [...checkpoints.filter(({ bytes }) => bytes < added.bytes), added]
  if (all.length <= CHECKPOINTS_MAX) return all
  let least = 0
  let leastGap = Number.POSITIVE_INFINITY
  for (let index = 0; index < all.length - 1; index++) {
    const before = all[index - 1]?.bytes ?? 0
    const gap = (all[index + 1]!.bytes - before) / (added.bytes - before)
    if (gap < leastGap) [least, leastGap] = [index, gap]
  }
  return all.toSpliced(least, 1)
}

/** The transfer that an entry tells of is still this one. */
export function isForWork(entry: JournalEntry, work: TransferWork): boolean {
  return (
    entry.source.path === work.source.path &&
    entry.destination.path === work.destination.path &&
    entry.destination.protocol === work.destination.endpoint.protocol
  )
}

function isEntry(value: unknown): value is JournalEntry {
  if (!isRecord(value) || typeof value.transferId !== 'string') return false
  const { source, destination, checkpoints, ticket, arrival } = value
  return (
    isRecord(source) &&
    typeof source.path === 'string' &&
    Number.isSafeInteger(source.size) &&
    (source.modifiedAt === null || typeof source.modifiedAt === 'number') &&
    isRecord(destination) &&
    typeof destination.path === 'string' &&
    Array.isArray(checkpoints) &&
    checkpoints.every((one) => isRecord(one) && Number.isSafeInteger(one.bytes) && typeof one.sha256 === 'string') &&
    (ticket === undefined || (typeof ticket === 'string' && ticket.length <= TICKET_CHARACTERS_MAX)) &&
    (arrival === null || (isRecord(arrival) && typeof arrival.sha256 === 'string' && Number.isSafeInteger(arrival.size)))
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
