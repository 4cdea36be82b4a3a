import { AppError } from '../base/error.ts'
import { type Escaping, escapingOf, namesAt, PLAIN } from '../transfers/names.ts'
import type { ListedFile } from '../wire/agent/work.ts'
import type { Job, JobOptions } from './job.ts'
import type { Source } from './moving.ts'
import type { MovedFile } from './port.ts'

/** Whether a path names many files: one with a wildcard of `base/glob.ts`. */
export function isGlob(path: string): boolean {
  return /[*?]/.test(path)
}

/** What of a listing this job has not moved yet, by the rule of its `skipMoved`. */
export function notMovedYet(
  skipMoved: JobOptions['skipMoved'],
  candidates: readonly Source[],
  moved: readonly MovedFile[],
): Source[] {
  if (skipMoved === 'none') return [...candidates]
  const byUrl = new Map(moved.flatMap((each) => (each.sourceUrl === null ? [] : [[each.sourceUrl, each] as const])))
  const contents = new Set(moved.map(({ sha256 }) => sha256))
  return candidates.filter(({ file, sourceUrl }) => {
    const before = byUrl.get(sourceUrl)
    if (skipMoved === 'hash') return file.sha256 === undefined || !isContentThere(file.sha256, before, contents)
    return before === undefined || !isSame(skipMoved, before, file)
  })
}

/** What a path had when it was moved last is at its destination; only a path that was never moved may have its content there under another name. */
function isContentThere(sha256: string, before: MovedFile | undefined, contents: ReadonlySet<string | null>): boolean {
  return before === undefined ? contents.has(sha256) : before.sha256 === sha256
}

function isSame(rule: 'name' | 'size' | 'time', before: MovedFile, file: ListedFile): boolean {
  if (rule === 'name') return true
  // Where a protocol tells no time, the size is all there is to go by.
  return before.size === file.size && (rule === 'size' || before.modifiedAt === file.modifiedAt)
}

type Route = Pick<Job, 'sourcePath' | 'destinationPath' | 'protocol' | 'direction'>

/**
 * Where a file goes: the destination itself when the job names one file on both sides, else below it, in the folders it was found in. The names come from
 * somebody else's server: one that would lead out of the destination is refused.
 */
export function destinationOf(job: Route, file: ListedFile): string {
  return isFolder(job.sourcePath, job.destinationPath) ? below(job.destinationPath, file, escapingOf(job)) : job.destinationPath
}

/** Where its source goes once it has arrived: at its own side, by the same rule. */
export function movedTo(to: string, { sourcePath }: Pick<Job, 'sourcePath'>, file: ListedFile): string {
  return isFolder(sourcePath, to) ? below(to, file, PLAIN) : to
}

/** What can be moved, and what has a name that `destinationOf` refuses. */
export function byPlace(job: Route, sources: readonly Source[]) {
  const { placeable = [], refused = [] } = Object.groupBy(sources, ({ file }) =>
    !isFolder(job.sourcePath, job.destinationPath) || namesAt(file.relativePath, escapingOf(job)) !== undefined
      ? 'placeable'
      : 'refused',
  )
  return { placeable, refused }
}

function isFolder(sourcePath: string, destinationPath: string): boolean {
  return isGlob(sourcePath) || destinationPath.endsWith('/')
}

function below(folder: string, { relativePath }: ListedFile, escaping: Escaping): string {
  const names = namesAt(relativePath, escaping)
  if (names !== undefined) return `${folder.replace(/\/+$/, '')}/${names}`
  throw new AppError('path_invalid', `the name '${relativePath.slice(0, 256)}' at the source cannot be a name at the destination`)
}
