import type { AuditEntry } from '../audit/entry.ts'
import type { EventDraft } from '../events/event.ts'
import type { StoredPath } from './path.ts'

/** A file or folder beyond its name: inode and birth time, ns, as decimal text. Never the inode alone: it is reused. */
export type Identity = string

/**
 * What must be carried out on the storage once its event is recorded. Paths are of the storage, not of a space.
 * place: `temporary` becomes `path`; rename: `path` becomes `to`; the others act on `path`.
 */
export type Deed =
  | { kind: 'place'; temporary: StoredPath; path: StoredPath; identity: Identity }
  | { kind: 'rename'; path: StoredPath; to: StoredPath; identity: Identity; replaces: boolean }
  | { kind: 'remove'; path: StoredPath; identity: Identity }
  | { kind: 'mkdir'; path: StoredPath; mode: number }
  | { kind: 'rmdir'; path: StoredPath; identity: Identity }

/**
 * A recorded deed and who carries it out. open → closed (event said) | undone (event void). While it is open its paths are
 * locked: a unique index refuses a second open intent on any of them with `path_busy`.
 */
export interface Intent {
  readonly id: string
  /** The node that carries it out, undoes it or lets it go; recovery changes it first. */
  readonly node: string
  readonly eventId: string
  readonly accountId: string
  readonly deed: Deed
  /** What the change adds to the account's usage; given back when it is undone. */
  readonly usage: { bytes: number; files: number }
  readonly createdAt: number
}

/** One unit of work: the intent, its event (held) with the deliveries planned for it, the usage, the audit entry. */
export interface Change {
  readonly intent: Intent
  readonly event: EventDraft
  readonly audit: AuditEntry
  /** The upload row that this ends, if one was ever written. */
  readonly endsUpload: string | null
}

/**
 * What a recorded change holds back. Opaque to `files`: it is handed back when the change is let go, so that
 * whoever delivers needs no query for it.
 */
export interface Held {
  readonly eventId: string
  readonly deliveries: readonly object[]
}

/** An upload that was cut: its temporary holds `prefixBytes` without a hole, synced, and can be resumed. */
export interface Partial {
  readonly id: string
  readonly accountId: string
  readonly userId: string
  /** The node whose session writes it now; null while nobody does. */
  readonly node: string | null
  readonly path: StoredPath
  readonly temporary: StoredPath
  readonly identity: Identity
  readonly prefixBytes: number
  readonly startedAt: number
  readonly updatedAt: number
}

/** What files need of the store. Every method is one transaction; its answer comes after the commit. */
export interface FileStore {
  /**
   * Records a change before it is carried out. Throws `path_busy` when an open intent holds one of its paths or, for a
   * folder that moves or goes, a path below it; then nothing is stored. Throws `store_failed` when the commit failed.
   */
  recordChange(change: Change): Promise<Held>
  /** The deed is done: event said, its deliveries let go. Closing what is closed already does nothing. */
  closeIntent(intent: { id: string; node: string }, held: Held | undefined): Promise<void>
  /** The deed certainly did not happen: event void, deliveries cancelled, usage given back. */
  undoIntent(intent: { id: string; node: string }, audit: AuditEntry): Promise<void>
  /** An open intent, for a commit whose answer was lost. */
  findIntent(id: string): Promise<Intent | undefined>
  /** Makes `node` the owner of all open intents of earlier lives of this process, or of nodes whose beat has expired, and returns them, oldest first, at most `limit`. */
  takeIntents(node: string, limit: number): Promise<Intent[]>

  /** Events of operations that change no file (download, failed upload): said at once, deliveries due. */
  recordFact(event: EventDraft, audit: AuditEntry): Promise<void>

  /** Writes or updates the row of an upload in progress; call only after `prefixBytes` were synced. */
  savePartial(partial: Partial): Promise<void>
  /** Claims a partial for a session of `node`; undefined when it is gone or somebody else writes it. */
  takePartial(id: string, node: string): Promise<Partial | undefined>
  removePartial(id: string): Promise<void>
  /** Nobody's partial of this user at this path, the newest. */
  findPartial(userId: string, path: StoredPath): Promise<Partial | undefined>
  /** Nobody's partials of this user directly in this folder, at most `limit`. */
  listPartials(userId: string, folder: StoredPath, limit: number): Promise<Partial[]>
  /** After a start: partials that an earlier life of this process or an expired node held become nobody's. */
  releasePartials(node: string): Promise<number>
  /** Every partial and every open intent's temporary: what a sweep must not remove. Nobody's partials older than `olderThan` are removed from the table first and their temporaries not listed. */
  keptTemporaries(olderThan: number): Promise<StoredPath[]>
}
