import type { Page, PageRequest } from '../base/page.ts'
import type { AuditEntry } from './entry.ts'

export interface AuditStore {
  /** Entries of operations that change nothing; those of changes are part of the unit of the change. */
  appendAudit(entries: readonly AuditEntry[]): Promise<void>
  /** Newest first. */
  listAudit(filter: { accountId?: string; actor?: string; action?: string }, page: PageRequest): Promise<Page<AuditEntry>>
}
