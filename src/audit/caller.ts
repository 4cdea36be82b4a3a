import { newId, type RandomBytes } from '../base/id.ts'
import type { AuditAction, AuditEntry, Door } from './entry.ts'

/** Who asks for an operation, from where, through which door, and what they may see. */
export interface Caller {
  /** Name of the user, key or administrator. */
  readonly actor: string
  /** Textual IP address; null for the server's own doing. */
  readonly address: string | null
  readonly door: Door
  /** The account whose things the caller may see and change; null for an administrator: all. */
  readonly accountId: string | null
}

/** The server itself: what it does at its start, without anybody asking. */
export const SERVER_CALLER: Caller = { actor: 'server', address: null, door: 'server', accountId: null }

/** The audit entry of a change that is made, as part of its unit of work. */
export function changeEntry(
  caller: Caller,
  at: number,
  change: { accountId: string | null; action: AuditAction; target: string; detail?: string },
  random?: RandomBytes,
): AuditEntry {
  const { actor, address, door } = caller
  const { accountId, action, target, detail = null } = change
  return { id: newId('audit', at, random), at, accountId, actor, address, door, action, target, result: 'ok', detail }
}

/** Whether the caller may see things of this account. To a caller who may not, they do not exist. */
export function mayReach(caller: Caller, accountId: string | null): boolean {
  return caller.accountId === null || caller.accountId === accountId
}
