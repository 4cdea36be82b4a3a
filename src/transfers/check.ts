import { AppError } from '../base/error.ts'
import type { PostAction } from '../wire/agent/work.ts'
import { withoutCredentials } from './credentials.ts'
import { checkLocation, checkPath, isHttp, isSpace, pathIn, spaceIn, urlOf } from './locate.ts'
import { escapingOf, inFolder, PLAIN } from './names.ts'
import { type Direction, newTransfer, RETRY_DELAYS_MS, type Remote, type Transfer, type TransferPolicy } from './transfer.ts'

/** A transfer that an administrator asks for; the far side is the remote, the other one a path of the agent's machine or a space. */
export interface TransferInput {
  readonly agentId: string
  /** None: both sides are paths of the agent's machine, or spaces. */
  readonly remoteId?: string
  readonly sourceUrl: string
  /** Ending in `/`: the folder that the file goes into under its own name. */
  readonly destinationPath: string
  readonly direction: string
  /** Follows from the rest; where given it must agree. */
  readonly protocol?: string
  readonly size?: number
  readonly retryDelaysSeconds?: readonly number[]
  readonly bytesPerSecond?: number
  readonly postAction?: { readonly kind: string; readonly to?: string }
  readonly onAgentLost?: string
}

/** A transfer that a foreign agent makes by itself. */
export interface ForeignInput {
  readonly agentId: string
  readonly sourceUrl: string
  readonly destinationPath: string
  readonly direction: string
  readonly protocol: string
  readonly size?: number
  readonly runId?: string
}

export const RETRIES_MAX = 20
export const RETRY_DELAY_SECONDS_MAX = 86_400

/** The transfer, and which of its sides are spaces, whose users are still to be looked up. */
export function transferOf(
  input: TransferInput,
  remote: Remote | null,
  now: number,
): { readonly transfer: Transfer; readonly spaces: readonly ('sourceUrl' | 'destinationPath')[] } {
  const direction = checkDirection(input.direction)
  const given = { sourceUrl: input.sourceUrl, destinationPath: input.destinationPath }
  const farField = direction === 'pull' ? 'sourceUrl' : 'destinationPath'
  for (const field of ['sourceUrl', 'destinationPath'] as const) checkLocation(field, given[field])
  const far = remote === null ? null : farPath(farField, given[farField], remote)
  const near = (field: 'sourceUrl' | 'destinationPath') =>
    far !== null && field === farField ? far : checkNear(field, given[field])
  const [source, destination] = [near('sourceUrl'), near('destinationPath')]
  if (source.endsWith('/')) throw wrong('sourceUrl', `sourceUrl is one file, not the folder ${source}`)
  const spaces = (['sourceUrl', 'destinationPath'] as const).filter((field) => isSpace(given[field]))
  const protocol = remote?.protocol ?? (spaces.length > 0 ? 'space' : 'local')
  const transfer = newTransfer(
    {
      ...{ agentId: input.agentId, remoteId: remote?.id ?? null, direction, isForeign: false, size: input.size ?? null },
      sourceUrl: remote !== null && direction === 'pull' ? urlOf(remote, source) : source,
      destinationPath: inFolder('destinationPath', destination, source, escapingOf({ protocol, direction })),
      protocol: checkProtocol(input.protocol, protocol),
      policy: policyOf(input, checkPostAction(input.postAction ?? { kind: 'keep' }, source)),
    },
    now,
  )
  return { transfer, spaces }
}

/** A path at the remote, given as it is or as a url that leads there. */
function farPath(field: string, location: string, remote: Remote): string {
  const origin = urlOf(remote, '/')
  if (!location.startsWith('/') && !location.startsWith(origin))
    throw wrong(field, `${field} is a path that begins with /, or a url at the remote, ${origin}…; it is ${location}`)
  const path = location.startsWith('/') ? location : decoded(field, () => pathIn(remote, location))
  if (isHttp(remote) && path.includes('#'))
    throw wrong(field, `${field} has a #, and what follows one is never asked for over HTTP; in a name it is written %23`)
  return checkLocation(field, path)
}

function checkNear(field: string, location: string): string {
  if (isSpace(location)) {
    spaceIn(field, location)
    return location
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(location))
    throw wrong(field, `${field} is the url ${location}; make a remote of its server, and give its id as remoteId`)
  return checkPath(field, location)
}

function decoded(field: string, decode: () => string): string {
  try {
    return decode()
  } catch {
    throw wrong(field, `${field} has a % that is not followed by two hex digits of UTF-8`)
  }
}

function checkDirection(text: string): Direction {
  if (text === 'pull' || text === 'push') return text
  throw wrong('direction', `direction is pull or push, not ${text}`)
}

function checkProtocol(given: string | undefined, derived: string): string {
  if (given === undefined || given === derived) return derived
  throw wrong('protocol', `protocol of this transfer is ${derived}, not ${given}; leave it out`)
}

function policyOf(
  input: Pick<TransferInput, 'retryDelaysSeconds' | 'bytesPerSecond' | 'onAgentLost'>,
  postAction: PostAction,
): TransferPolicy {
  return {
    retryDelaysMs: input.retryDelaysSeconds?.map(checkDelay) ?? RETRY_DELAYS_MS,
    bytesPerSecond: input.bytesPerSecond ?? null,
    ...{ postAction, expected: null, deadlineMs: null, parallelism: null },
    onAgentLost: checkOnAgentLost(input.onAgentLost ?? 'retry'),
  }
}

function checkDelay(seconds: number): number {
  if (seconds >= 0 && seconds <= RETRY_DELAY_SECONDS_MAX) return Math.round(seconds * 1000)
  throw wrong('retryDelaysSeconds', `retryDelaysSeconds are between 0 and ${RETRY_DELAY_SECONDS_MAX}, not ${seconds}`)
}

/** `to` may be a folder, as a destination may; it is at the side of the source. */
function checkPostAction({ kind, to }: NonNullable<TransferInput['postAction']>, source: string): PostAction {
  if (kind === 'move') {
    if (to === undefined) throw wrong('postAction', 'postAction.to is missing: where the source goes, once its file has arrived')
    return { kind, to: inFolder('postAction.to', checkPath('postAction.to', to), source, PLAIN) }
  }
  if (to !== undefined) throw wrong('postAction', 'postAction.to goes with the kind move')
  if (kind === 'keep' || kind === 'delete') return { kind }
  throw wrong('postAction', `postAction.kind is keep, delete or move, not ${kind}`)
}

function checkOnAgentLost(text: string): 'retry' | 'fail' {
  if (text === 'retry' || text === 'fail') return text
  throw wrong('onAgentLost', `onAgentLost is retry or fail, not ${text}`)
}

/** Of a foreign agent its locations are taken as they are, but for credentials, which are left out. */
export function foreignTransfer(input: ForeignInput, now: number): Transfer {
  const [sourceUrl, destinationPath] = [withoutCredentials(input.sourceUrl.trim()), withoutCredentials(input.destinationPath)]
  return newTransfer(
    {
      ...{ agentId: input.agentId, runId: input.runId ?? null, isForeign: true, size: input.size ?? null },
      sourceUrl: checkLocation('sourceUrl', sourceUrl),
      destinationPath: checkLocation('destinationPath', destinationPath),
      direction: checkDirection(input.direction),
      protocol: checkWord('protocol', input.protocol),
      policy: { ...policyOf({}, { kind: 'keep' }), retryDelaysMs: [] },
    },
    now,
  )
}

function checkWord(field: string, word: string): string {
  if (/^[a-z][a-z0-9+.-]*$/i.test(word)) return word
  throw wrong(field, `${field} is ${JSON.stringify(word)}, not a word such as sftp`)
}

function wrong(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}
