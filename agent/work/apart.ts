import { posix } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { SECOND_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Place, TransferWork } from '../../src/wire/agent/work.ts'
import type { Client, FileFacts } from '../clients/client.ts'
import { statFile } from './side.ts'

// A file that is moved onto itself would be what arrived and what is deleted or moved away after it.

/** Refuses what says the same twice. Two endpoints may lead to one file all the same: `checkNotSource` looks at the files. */
export function checkApart({ source, destination }: Pick<TransferWork, 'source' | 'destination'>): void {
  const path = posix.normalize(source.path)
  if (isDeepStrictEqual(source.endpoint, destination.endpoint) && path === posix.normalize(destination.path))
    throw new TransferFailure('UNSUPPORTED', `“${path}” is the source and the destination of this transfer.`)
}

/**
 * Refuses a destination that is the source by another road (the server of a remote may be the machine of the agent, or this server), once all of the file is there
 * and before it takes the name. `part` is the path that it has until then: where it is seen beside the source, both are one folder. A destination that shows none
 * gets another time for a moment, and the source is looked at. Files of different names are different files: where one is a link, the link is what goes.
 */
export async function checkNotSource(
  { source, destination }: Pick<TransferWork, 'source' | 'destination'>,
  sides: { readonly source: Client; readonly destination: Client },
  part: string | undefined,
): Promise<void> {
  if (folded(nameIn(source)) !== folded(nameIn(destination))) return
  const isSource = part === undefined ? await sharesTime(source, destination, sides) : await isSeen(source, part, sides.source)
  if (isSource) throw isItself(source.path)
}

export function isItself(path: string): TransferFailure {
  return new TransferFailure(
    'UNSUPPORTED',
    `“${path}” is the source and, reached in another way, the destination of this transfer; it stays.`,
  )
}

async function isSeen(source: Place, part: string, client: Client): Promise<boolean> {
  const name = posix.basename(part)
  const path = posix.join(posix.dirname(pathIn(source)), isOverHttp(source) ? encodeURIComponent(name) : name)
  try {
    return (await client.stat(path)) !== undefined
  } catch (error) {
    // Not to be looked at there, while the source can be read: it is not there for this user.
    if (error instanceof TransferFailure && error.code === 'PERMISSION_DENIED') return false
    throw error
  }
}

/** How much earlier the destination is made for a moment, ms: more than any file system rounds times. */
const EARLIER_MS = 10 * SECOND_MS
/** What rounding may make of that. */
const ROUNDED_MS = 3 * SECOND_MS

async function sharesTime(
  source: Place,
  { path }: Place,
  sides: { readonly source: Client; readonly destination: Client },
): Promise<boolean> {
  const { setModifiedAt } = sides.destination
  const there = setModifiedAt && (await sides.destination.stat(path))
  const before = await statFile(sides.source, source.path)
  if (there?.kind !== 'file' || there.size !== before.size || there.modifiedAt === null) return false
  if (before.modifiedAt === null) {
    const told = `Whether “${path}” is the source itself cannot be told, because the source tells no times; it stays.`
    throw new TransferFailure('UNSUPPORTED', told)
  }
  await setModifiedAt!(path, there.modifiedAt - EARLIER_MS)
  let after: FileFacts | undefined
  try {
    after = await sides.source.stat(source.path)
  } finally {
    await setModifiedAt!(path, there.modifiedAt)
  }
  const earlierMs = before.modifiedAt - (after?.modifiedAt ?? before.modifiedAt)
  return Math.abs(earlierMs - EARLIER_MS) <= ROUNDED_MS
}

function nameIn(place: Place): string {
  const name = posix.basename(pathIn(place))
  if (!isOverHttp(place)) return name
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function pathIn(place: Place): string {
  return isOverHttp(place) ? place.path.replace(/[?#].*$/s, '') : place.path
}

function isOverHttp({ endpoint }: Place): boolean {
  return endpoint.protocol === 'http' || endpoint.protocol === 'https'
}

/** Some file systems know no difference between these. */
function folded(name: string): string {
  return name.normalize('NFC').toLowerCase()
}
