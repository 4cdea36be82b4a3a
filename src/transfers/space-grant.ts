import { posix } from 'node:path'
import { besideTaken } from '../wire/agent/archive.ts'
import { isSpace, spaceIn } from './locate.ts'
import type { Transfer } from './transfer.ts'

/** What an agent may ask for in a space. */
export type SpaceAction = 'look' | 'list' | 'read' | 'write' | 'remove'

/** What one piece of work lets its agent do in one space: what the work names, and nothing else of the user's. */
export interface SpaceGrant {
  /** Slug of the account, and name of the user. */
  readonly account: string
  readonly user: string
  /** Whose file is written there; null: the work only looks. */
  readonly transferId: string | null
  may(action: SpaceAction, path: string): boolean
}

/** Both sides of a transfer, where they are spaces. */
export function grantsOfTransfer({ id, sourceUrl, destinationPath, policy }: Transfer): SpaceGrant[] {
  const { postAction } = policy
  const source = grantIn(sourceUrl, id, (action, path, own) => {
    if (path === own) return action === 'look' || action === 'read' || (action === 'remove' && postAction.kind !== 'keep')
    if (postAction.kind === 'keep') return false
    // The part of this very transfer, seen there, tells that the destination is the source by another road.
    if (action === 'look' && isBeside(path, own) && path.endsWith(`.${id}.part`)) return true
    return postAction.kind === 'move' && archivedAt(postAction.to, id).includes(path) && (action === 'look' || action === 'write')
  })
  return [...source, ...grantsOfLeftover({ id, destinationPath })]
}

/** Where an ended transfer may have left something. */
export function grantsOfLeftover({ id, destinationPath }: Pick<Transfer, 'id' | 'destinationPath'>): SpaceGrant[] {
  return grantIn(destinationPath, id, (action, path, own) => path === own && (action === 'look' || action === 'write'))
}

/** The folder that a listing begins in, and all below it. */
export function grantsOfListing(sourcePath: string): SpaceGrant[] {
  return grantIn(sourcePath, null, (action, path, glob) => {
    const wildcard = glob.split('/').findIndex((segment) => /[*?]/.test(segment))
    const isBelow = wildcard < 0 ? path === glob : isIn(path, glob.split('/').slice(0, wildcard).join('/'))
    return isBelow && (action === 'look' || action === 'list' || action === 'read')
  })
}

function isIn(path: string, folder: string): boolean {
  return path === (folder === '' ? '/' : folder) || path.startsWith(`${folder}/`)
}

/** The second is for where the first is taken. */
function archivedAt(to: string, transferId: string): string[] {
  return [to, besideTaken(to, transferId)]
}

function isBeside(path: string, other: string): boolean {
  return posix.dirname(path) === posix.dirname(other) && posix.normalize(path) === path
}

function grantIn(
  location: string,
  transferId: string | null,
  may: (action: SpaceAction, path: string, own: string) => boolean,
): SpaceGrant[] {
  if (!isSpace(location)) return []
  const { account, user, path: own } = spaceIn('path', location)
  return [{ account, user, transferId, may: (action, path) => may(action, path, own) }]
}
