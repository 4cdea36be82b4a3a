import { AppError } from '../base/error.ts'
import type { PostAction } from '../wire/agent/work.ts'
import { withoutCredentials } from './credentials.ts'
import { checkLocation, checkPath, isAbsolute, isHttp, isSpace, pathIn, spaceIn, urlOf } from './locate.ts'
import type { Direction, Remote } from './transfer.ts'

// From where to where files go, of a transfer and of all transfers of a job: one rule, whatever the members are called that say it.

export interface RouteInput {
  readonly direction: string
  /** Follows from the rest; where given it must agree. */
  readonly protocol?: string
  readonly source: Side
  readonly destination: Side
}

/** A side as it was given: the far one is at the remote, the other one a path of the agent's machine or a space. */
export interface Side {
  /** The member that says it. */
  readonly field: string
  readonly location: string
}

export interface Route {
  readonly direction: Direction
  readonly protocol: string
  /** Paths, whatever urls were given, or spaces. */
  readonly source: string
  readonly destination: string
  /** Sides that are spaces, for `checkUsers`. */
  readonly spaces: readonly Side[]
}

/** @throws AppError `invalid`, naming the member */
export function routeOf({ protocol, source, destination, ...given }: RouteInput, remote: Remote | null): Route {
  const direction = checkDirection(given.direction)
  const far = direction === 'pull' ? source : destination
  const pathOf = (side: Side) => (remote !== null && side === far ? farPath(side, remote) : nearPath(side))
  const paths = { source: pathOf(source), destination: pathOf(destination) }
  if (paths.source.endsWith('/')) throw wrong(source.field, `${source.field} is one file, not the folder ${paths.source}`)
  const spaces = [source, destination].filter(({ location }) => isSpace(location))
  const derived = remote?.protocol ?? (spaces.length > 0 ? 'space' : 'local')
  return { direction, protocol: checkProtocol(protocol, derived), ...paths, spaces }
}

/** Of a foreign agent its locations are taken as they are, but for credentials, which are left out. @throws AppError `invalid` */
export function foreignRouteOf({ direction, protocol = 'local', source, destination }: RouteInput): Route {
  return {
    direction: checkDirection(direction),
    protocol: checkWord('protocol', protocol),
    source: checkLocation(source.field, withoutCredentials(source.location.trim())),
    destination: checkLocation(destination.field, withoutCredentials(destination.location)),
    spaces: [],
  }
}

/** @throws AppError `invalid` where one of these spaces is that of nobody */
export async function checkUsers(spaces: readonly Side[], hasUser: (account: string, user: string) => Promise<boolean>) {
  for (const { field, location } of spaces) {
    const { account, user } = spaceIn(field, location)
    if (!(await hasUser(account, user))) throw wrong(field, `${field}: there is no user ${user} in an account ${account}`)
  }
}

export interface PostActionInput {
  readonly kind: string
  readonly to?: string
}

/** What happens to sources that are at this remote, or with none: on the agent's machine or in a space; `to` is at the same side, as a path. */
export function checkPostAction({ kind, to }: PostActionInput, remote: Remote | null): PostAction {
  if (kind === 'move') {
    if (to === undefined) throw wrong('postAction', 'postAction.to is missing: where the source goes, once its file has arrived')
    if (remote !== null && isHttp(remote))
      throw wrong('postAction', 'postAction is keep or delete: over HTTP no file can be moved at its server')
    const side = { field: 'postAction.to', location: to }
    return { kind, to: remote === null ? pathBeside(side) : farPath(side, remote) }
  }
  if (to !== undefined) throw wrong('postAction', 'postAction.to goes with the kind move')
  if (kind === 'keep' || kind === 'delete') return { kind }
  throw wrong('postAction', `postAction.kind is keep, delete or move, not ${kind}`)
}

/** A path at the remote, given as it is or as a url that leads there. */
function farPath({ field, location }: Side, remote: Remote): string {
  checkLocation(field, location)
  const origin = urlOf(remote, '/')
  if (!location.startsWith('/') && !location.startsWith(origin))
    throw wrong(field, `${field} is a path that begins with /, or a url at the remote, ${origin}…; it is ${location}`)
  const path = location.startsWith('/') ? location : decoded(field, () => pathIn(remote, location))
  if (isHttp(remote) && path.includes('#'))
    throw wrong(field, `${field} has a #, and what follows one is never asked for over HTTP; in a name it is written %23`)
  return checkLocation(field, path)
}

function decoded(field: string, decode: () => string): string {
  try {
    return decode()
  } catch {
    throw wrong(field, `${field} has a % that is not followed by two hex digits of UTF-8`)
  }
}

const A_URL = /^[a-z][a-z0-9+.-]+:\/\//i

function nearPath({ field, location }: Side): string {
  checkLocation(field, location)
  if (isSpace(location)) {
    spaceIn(field, location)
    return location
  }
  if (A_URL.test(location))
    throw wrong(field, `${field} is the url ${location}; make a remote of its server, and give its id as remoteId`)
  return checkPath(field, location)
}

function pathBeside({ field, location }: Side): string {
  checkLocation(field, location)
  if (isAbsolute(location)) return location
  throw wrong(field, `${field} is a path where the source is, and begins with /; it is ${location}`)
}

function checkDirection(text: string): Direction {
  if (text === 'pull' || text === 'push') return text
  throw wrong('direction', `direction is pull or push, not ${text}`)
}

/** Without a remote all is near, `local` or `space`: which of both, the sides say. */
const NEAR: readonly string[] = ['local', 'space']

function checkProtocol(given: string | undefined, derived: string): string {
  if (given === undefined || given === derived || (NEAR.includes(given) && NEAR.includes(derived))) return derived
  const advice = NEAR.includes(derived) ? 'give the id of a remote as remoteId, or leave it out' : 'leave it out'
  throw wrong('protocol', `protocol follows from the rest and is ${derived}, not ${given}; ${advice}`)
}

function checkWord(field: string, word: string): string {
  if (/^[a-z][a-z0-9+.-]*$/i.test(word)) return word
  throw wrong(field, `${field} is ${JSON.stringify(word)}, not a word such as sftp`)
}

function wrong(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}
