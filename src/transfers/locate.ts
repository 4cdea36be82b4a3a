import { isIP } from 'node:net'
import { AppError } from '../base/error.ts'
import type { Remote, RemoteProtocol, Transfer } from './transfer.ts'

// Where files are, as people and events see it, and as an agent is told it.

/** Ports that a url leaves out. */
export const DEFAULT_PORTS = { sftp: 22, ftp: 21, ftps: 21, http: 80, https: 443, s3: 443 } as const satisfies Record<
  RemoteProtocol,
  number
>
/** Port of FTPS whose TLS begins with the first byte. */
export const IMPLICIT_FTPS_PORT = 990

/** Characters of a path or url. */
export const LOCATION_CHARACTERS_MAX = 4_096

/** The url of a path at a remote, never with credentials. `pathIn` gives the path back. */
export function urlOf(remote: Pick<Remote, 'protocol' | 'host' | 'port' | 'options'>, path: string): string {
  if (remote.protocol === 's3') return `s3://${remote.options.bucket}${escaped(path)}`
  const host = isIP(remote.host) === 6 ? `[${remote.host}]` : remote.host
  const port = remote.port === DEFAULT_PORTS[remote.protocol] ? '' : `:${remote.port}`
  // A path of HTTP is one that is escaped already, with its query.
  return `${remote.protocol}://${host}${port}${isHttp(remote) ? requestTarget(path) : escaped(path)}`
}

/** The path in a url that `urlOf` made, whatever became of the remote's host since. */
export function pathIn(remote: Pick<Remote, 'protocol'>, url: string): string {
  const path = url.replace(/^\w+:\/\/[^/]*/, '')
  return isHttp(remote) ? path : decodeURIComponent(path)
}

export function isHttp({ protocol }: { readonly protocol: string }): boolean {
  return protocol === 'http' || protocol === 'https'
}

function escaped(path: string): string {
  return path.toWellFormed().split('/').map(encodeURIComponent).join('/')
}

function requestTarget(path: string): string {
  return path.toWellFormed().replace(/[^\x21-\x7e]+/g, encodeURIComponent)
}

/** The space of a transfer user on this server. */
export interface SpaceLocation {
  readonly account: string
  readonly user: string
  readonly path: string
}

const SPACE = /^space:\/\/([^/]*)\/([^/]*)(\/.*)?$/su

export function isSpace(location: string): boolean {
  return location.startsWith('space://')
}

/** `space://account/user/path`; the path stands as it is, nothing of it is escaped, and `/` is the folder at the top. */
export function spaceIn(field: string, location: string): SpaceLocation {
  const [, account = '', user = '', path = ''] = SPACE.exec(location) ?? []
  if (account === '' || user === '')
    throw new AppError('invalid', `${field} is space://ACCOUNT/USER/PATH, not ${location}`, { field })
  if (path !== '') return { account, user, path }
  throw new AppError('invalid', `${field} has no path behind the user; the folder at the top is ${location}/`, { field })
}

export function isAbsolute(path: string): boolean {
  return /^(\/|[A-Za-z]:[\\/])/.test(path)
}

/** A path of the agent's own machine, or one at a remote. Throws `invalid`. */
export function checkPath(field: string, path: string): string {
  checkLocation(field, path)
  if (isAbsolute(path)) return path
  throw new AppError('invalid', `${field} begins with /, or is a space://ACCOUNT/USER/PATH; it is ${path}`, { field })
}

export function checkLocation(field: string, text: string): string {
  if (text.length === 0 || text.length > LOCATION_CHARACTERS_MAX)
    throw new AppError('invalid', `${field} has 1 to ${LOCATION_CHARACTERS_MAX} characters, not ${text.length}`, { field })
  if (!text.isWellFormed()) throw new AppError('invalid', `${field} has half of a surrogate pair`, { field })
  if (/\p{Cc}/u.test(text)) throw new AppError('invalid', `${field} has a control character`, { field })
  if (hasCredentials(text))
    throw new AppError('invalid', `${field} carries credentials; make a remote of them, and give its id as remoteId`, { field })
  return text
}

const USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i

function hasCredentials(location: string): boolean {
  return USERINFO.test(location)
}

/** Its path at its remote, or elsewhere its location. */
export function farPathOf(transfer: Pick<Transfer, 'direction' | 'sourceUrl' | 'destinationPath'>, remote: Remote): string {
  return transfer.direction === 'pull' ? pathIn(remote, transfer.sourceUrl) : transfer.destinationPath
}
