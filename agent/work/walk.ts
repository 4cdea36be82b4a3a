import { compileGlob } from '../../src/base/glob.ts'
import type { Log } from '../../src/base/log.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { ListedFile } from '../../src/wire/agent/work.ts'
import { type Client, type Entry, isPartialName } from '../clients/client.ts'
import { checkIsFile } from './side.ts'

/** A tree may be endless: a server can make up folders, and a file system can contain itself. */
export const DEPTH_MAX = 32
export const FOLDERS_MAX = 20_000
export const ENTRIES_MAX = 1_000_000

export type Found = Omit<ListedFile, 'sha256'>

interface Bounds {
  /** Something was left out because there is too much of it. */
  onBound(): void
  readonly log: Log
}

/**
 * The files that a glob takes, folder by folder, and of folders only those that one can be in. As in a shell, a name with a dot in front is found only by a segment that
 * has one. Without a wildcard it is the path of one file.
 */
export async function* findFiles(client: Client, glob: string, bounds: Bounds): AsyncGenerator<Found> {
  const segments = glob.split('/')
  const first = segments.findIndex((segment) => /[*?]/.test(segment))
  if (first === -1) {
    yield* findOne(client, glob)
    return
  }
  const base = segments.slice(0, first).join('/')
  yield* new Walk(client, base, segments.slice(first), bounds).walk([])
}

async function* findOne(client: Client, path: string): AsyncGenerator<Found> {
  const facts = await client.stat(path)
  if (facts === undefined) return
  checkIsFile(facts, path)
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (isPlainName(name)) yield { path, relativePath: name, size: facts.size, modifiedAt: facts.modifiedAt }
}

class Walk {
  readonly #client: Client
  readonly #base: string
  readonly #pattern: readonly string[]
  readonly #bounds: Bounds
  readonly #takes: (path: string) => boolean
  #folders = 0
  #entries = 0

  constructor(client: Client, base: string, pattern: readonly string[], bounds: Bounds) {
    this.#client = client
    this.#base = base
    this.#pattern = pattern
    this.#bounds = bounds
    this.#takes = compileGlob(pattern.join('/'))
  }

  /** `below`: names of the folders from the base to this one. */
  async *walk(below: readonly string[]): AsyncGenerator<Found> {
    const folders: string[] = []
    for await (const entry of this.#entriesOf(below)) {
      const path = [...below, entry.name]
      if (entry.kind === 'folder' && this.#leadsOn(path)) folders.push(entry.name)
      else if (entry.kind === 'file' && this.#isWanted(path)) {
        const relativePath = path.join('/')
        yield { path: `${this.#base}/${relativePath}`, relativePath, size: entry.size, modifiedAt: entry.modifiedAt }
      }
    }
    for (const name of folders) {
      if (below.length + 1 >= DEPTH_MAX || this.#folders >= FOLDERS_MAX || this.#entries >= ENTRIES_MAX) {
        this.#bounds.onBound()
        return
      }
      yield* this.walk([...below, name])
    }
  }

  async *#entriesOf(below: readonly string[]): AsyncGenerator<Entry> {
    this.#folders++
    let isOdd = false
    const folder = [this.#base, ...below].join('/') || '/'
    try {
      for await (const entry of this.#client.list(folder)) {
        if (++this.#entries > ENTRIES_MAX) {
          this.#bounds.onBound()
          return
        }
        if (isPlainName(entry.name)) yield entry
        else isOdd = true
      }
    } catch (error) {
      // Folders come and go while one looks; the one that was asked for must be there.
      if (below.length === 0 || !(error instanceof TransferFailure) || error.code !== 'NOT_FOUND') throw error
    }
    if (isOdd) this.#bounds.log.warn({ folder }, 'a listing had names that are no names of files; they are passed over')
  }

  /** Whether a file that is taken can lie below this folder. */
  #leadsOn(path: readonly string[]): boolean {
    for (const [index, name] of path.entries()) {
      const segment = this.#pattern[index]
      if (segment === undefined) return false
      if (segment === '**') return path.slice(index).every((one) => !one.startsWith('.'))
      if (!fits(segment, name)) return false
    }
    return path.length < this.#pattern.length
  }

  #isWanted(path: readonly string[]): boolean {
    const name = path.at(-1)!
    return !isTemporary(name) && (!name.startsWith('.') || this.#pattern.at(-1)!.startsWith('.')) && this.#takes(path.join('/'))
  }
}

function fits(segment: string, name: string): boolean {
  return name.startsWith('.') === segment.startsWith('.') && compileGlob(segment)(name)
}

/**
 * Names come from the other side, which may be hostile: whatever is no single segment of a path there is no name. What is one there and cannot be one at the
 * destination, such as `back\slash`, is listed: the server refuses it by its name before anything is made of it.
 */
export function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)
}

/**
 * Files that are still being written by those who rename them at their end: ours, WinSCP (`.filepart`), rclone (`.partial`), ownCloud, browsers and
 * mirrors (`.part`, `.tmp`, `.crdownload`), lftp (`.in.…`), editors (`~`).
 */
function isTemporary(name: string): boolean {
  return isPartialName(name) || /(\.(filepart|partial|part|tmp|crdownload)|~)$/i.test(name) || name.startsWith('.in.')
}
