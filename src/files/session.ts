/** Who acts, from where, and what is written down about it. */
import type { Permission } from '../accounts/permission.ts'
import type { User } from '../accounts/user.ts'
import type { AuditAction, AuditEntry, Door } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { newId } from '../base/id.ts'
import type { EventData } from '../events/event.ts'
import { showPath, utf8Of } from './path.ts'

export interface Session {
  /** The user as it is now: a getter, as permissions change and users are disabled in a live session. */
  readonly user: User
  /** Textual IP address of the peer. */
  readonly address: string
  readonly door: Door
}

/** Throws `permission_denied` unless the user is enabled and has one of these permissions; none named: unless enabled. */
export function authorize({ user }: Session, ...anyOf: Permission[]): void {
  if (user.disabled) throw new AppError('permission_denied', `user ${user.name} is disabled`)
  if (anyOf.length > 0 && !anyOf.some((permission) => user.permissions.includes(permission))) {
    throw new AppError('permission_denied', `user ${user.name} lacks the permission ${anyOf.join(' or ')}`)
  }
}

export interface Remark {
  action: AuditAction
  /** The path as the user sees it. */
  path: Buffer
  /** What it failed with; absent: it did not. */
  error?: unknown
  detail?: string
}

export function auditEntry(session: Session, clock: Clock, { action, path, error, detail }: Remark): AuditEntry {
  const at = clock.now()
  return {
    id: newId('audit', at),
    at,
    accountId: session.user.accountId,
    actor: session.user.name,
    address: session.address,
    door: session.door,
    action,
    target: showPath(path),
    result: error === undefined ? 'ok' : codeOf(error),
    detail: detail ?? (error instanceof AppError ? error.message : null),
  }
}

/** `data` of a `file.*` or `dir.*` event: the path, what is given, who and from where, and the path's bytes where it is no text. */
export function eventData(session: Session, path: Buffer, members: EventData = {}, more: EventData = {}): EventData {
  return {
    path: path.toString('utf8'),
    ...members,
    username: session.user.name,
    client_ip: session.address,
    ...bytesUnlessText('path_bytes', path),
    ...more,
  }
}

/** The exact bytes of a path as base64 under this name, only where they are not UTF-8. */
export function bytesUnlessText(name: string, path: Buffer): EventData {
  return utf8Of(path) === undefined ? { [name]: path.toString('base64') } : {}
}
