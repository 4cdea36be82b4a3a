import { posix } from 'node:path'
import { AppError } from '../base/error.ts'
import { meet } from '../base/glob.ts'
import { isSpace, spaceIn } from '../transfers/locate.ts'
import type { Job } from './job.ts'
import { isGlob } from './select-files.ts'

type Route = Pick<Job, 'remoteId' | 'sourcePath' | 'destinationPath'> & {
  readonly options: Pick<Job['options'], 'postAction'>
}

/**
 * That no run finds what the one before has put where it went: each run would move it again, one folder deeper.
 * @throws AppError `invalid`, naming the field of the folder that its own glob leads into
 */
export function checkLoop({ remoteId, sourcePath, destinationPath, options: { postAction } }: Route): void {
  if (!isGlob(sourcePath)) return
  const source = placeOf('sourcePath', sourcePath)
  // What is moved to or from a remote changes sides; at which machine both are, nobody knows here.
  if (remoteId === null) {
    const destination = placeOf('destinationPath', destinationPath)
    if (destination.side === source.side) checkFolder('destinationPath', destination.path, source.path)
  }
  if (postAction.kind === 'move') checkFolder('postAction.to', postAction.to, source.path)
}

function checkFolder(field: string, folder: string, glob: string): void {
  if (!leadsInto(glob, folder)) return
  const advice = 'choose one elsewhere, or one whose name begins with a dot, which * and ** pass over'
  throw new AppError('invalid', `${field} ${folder} is where sourcePath looks: runs would find what they put there; ${advice}`, {
    field,
  })
}

/** Near sides are the agent's machine and spaces; a path of a far side is one already. */
function placeOf(field: string, location: string): { readonly side: string; readonly path: string } {
  if (!isSpace(location)) return { side: 'local', path: location }
  const { account, user, path } = spaceIn(field, location)
  return { side: `space://${account}/${user}`, path }
}

/** Whether a file that the glob takes is one that it takes when it has gone to this folder, with the folders that it was found in. */
export function leadsInto(glob: string, folder: string): boolean {
  const segments = namesIn(glob)
  const wildcard = segments.findIndex(isGlob)
  const [base, pattern] = [segments.slice(0, wildcard), segments.slice(wildcard)]
  const below = namesIn(folder)
  if (base.some((name, index) => below[index] !== name)) return false
  const target = below.slice(base.length)
  // Onto itself.
  if (target.length === 0) return true
  const gap = pattern.indexOf('**')
  // Always as deep as the glob goes, and deeper once it has gone there.
  if (gap === -1) return false
  // Before the gap each folder has to fit; behind, all fit that the gap takes, and the file did so already.
  const path = [...target, ...pattern.slice(0, gap)]
  return path.every((name, index) => (index < gap ? meet(name, pattern[index]!) : !name.startsWith('.')))
}

function namesIn(path: string): string[] {
  return posix
    .normalize(path)
    .split('/')
    .filter((name) => name !== '')
}
