/**
 * A file opened for writing. What is written goes to a temporary that nobody else sees; `close` makes it durable, records
 * the event together with the intent, and only then lets it become the file. Until that moment the old version stays, and
 * after a cut it stays for good: what arrived becomes a partial.
 *
 * open → closed | abandoned. A handle that neither made, truncated nor wrote a file is no upload, and closing it does nothing.
 */
import { AppError, codeOf } from '../base/error.ts'
import { newId } from '../base/id.ts'
import type { Entry, OpenFile, Root, Temporary } from './backends/backend.ts'
import type { PlannedChange } from './change.ts'
import type { Context } from './context.ts'
import { failureAt, refuse } from './failure.ts'
import { PassingHash } from './hash.ts'
import { createPartialWriter, PARTIAL_SYNC_BYTES, type PartialWriter } from './partials.ts'
import { toStoredPath } from './path.ts'
import type { Intent, Partial } from './port.ts'
import { Ranges } from './ranges.ts'
import { auditEntry, authorize, eventData, type Session } from './session.ts'
import type { AttributeChanges, Attributes, FileHandle } from './space.ts'

/** Permissions of a new file, unless the client sets others. */
const FILE_MODE = 0o644
/** Separate written ranges of one file. Clients that write out of order keep a few dozen blocks in flight. */
export const RANGES_MAX = 4096
/** Largest offset, bytes: what a JavaScript number counts without error. */
const FILE_BYTES_MAX = Number.MAX_SAFE_INTEGER

export interface UploadOptions {
  context: Context
  session: Session
  root: Root
  /** Canonical storage path of the file, and how the user sees it. */
  path: Buffer
  view: Buffer
  /** Every write goes to the end. */
  append: boolean
  /** The path must still be free at close. */
  exclusive: boolean
  /** Permissions of a new file; absent: FILE_MODE. */
  mode: number | undefined
  id: string
  /** What it begins with: nothing, the partial of an earlier try, or the present file, which is copied when first needed. */
  start:
    | { from: 'nothing'; temporary: Temporary; replaces: Entry | undefined }
    | { from: 'partial'; temporary: Temporary; partial: Partial }
    | { from: 'file'; file: OpenFile; entry: Entry }
  /** For attributes set before anything is written: they are those of the present file. */
  setFileAttributes(changes: AttributeChanges): Promise<void>
  onEnd(handle: Upload): void
}

/** Failures of a closing after which nobody goes on with what arrived. */
const NOT_KEPT: ReadonlySet<string | undefined> = new Set(['checksum_mismatch', 'quota_exceeded', 'plan_refused', 'storage_full'])

type Prepared = Omit<PlannedChange, 'lock' | 'explain'>

export class Upload implements FileHandle {
  readonly path: Buffer
  /** Canonical storage path of the file. */
  readonly target: Buffer
  readonly #options: UploadOptions
  readonly #partial: PartialWriter
  #state: 'open' | 'closed' | 'abandoned' = 'open'
  #temporary: Promise<Temporary> | undefined
  #opened: Temporary | undefined
  #size = 0
  /** Bytes the client wrote; only these can be resumed. */
  readonly #written = new Ranges()
  /** Those and the zeros it asked for by extending the file; these make it whole. */
  readonly #covered = new Ranges()
  readonly #hash = new PassingHash()
  /** Whether closing makes an upload of it. */
  #isUpload: boolean
  #hasWritten = false
  #failure: unknown
  #mode: number
  #times: AttributeChanges['times']
  /** Calls under way, and the last change of size, which later writes wait for. */
  readonly #running = new Set<Promise<unknown>>()
  #resized: Promise<unknown> = Promise.resolve()
  #saving: Promise<void> | undefined
  #savedBytes = 0

  constructor(options: UploadOptions) {
    const { context, session, start, path, view, id } = options
    this.#options = options
    this.path = view
    this.target = path
    this.#isUpload = start.from === 'nothing'
    this.#mode = options.mode ?? FILE_MODE
    if (start.from === 'nothing') this.#mode = (start.replaces?.mode ?? this.#mode) & 0o777
    if (start.from === 'file') this.#mode = start.entry.mode & 0o777
    if (start.from !== 'nothing') {
      this.#size = start.from === 'file' ? start.entry.size : start.partial.prefixBytes
      this.#written.add(0, this.#size)
      this.#covered.add(0, this.#size)
      if (this.#size > 0) this.#hash.giveUp()
    }
    if (start.from !== 'file') {
      this.#opened = start.temporary
      this.#temporary = Promise.resolve(start.temporary)
    }
    if (start.from === 'partial') this.#savedBytes = this.#size
    const { id: userId, accountId } = session.user
    const startedAt = start.from === 'partial' ? start.partial.startedAt : context.clock.now()
    this.#partial = createPartialWriter(
      { context, id, accountId, userId, path, startedAt, hasRow: start.from === 'partial' },
      () => this.#opened!,
    )
  }

  /** What shows at the path while no whole file is there. */
  async attributes(): Promise<Attributes> {
    this.#mustBeOpen()
    const { start } = this.#options
    const source = this.#opened ?? (start.from === 'file' ? start.file : undefined)
    const entry = await this.#at(() => source!.entry())
    const modifiedAt = this.#times ?? entry
    return { ...entry, size: this.#size, mode: this.#mode, accessedAt: modifiedAt.accessedAt, modifiedAt: modifiedAt.modifiedAt }
  }

  async setAttributes(changes: AttributeChanges): Promise<void> {
    this.#mustBeOpen()
    authorize(this.#options.session, 'write')
    const { size, ...others } = changes
    if (size !== undefined) await this.#run(() => this.#resize(size))
    if (!this.#isUpload) return this.#options.setFileAttributes(others)
    if (others.owner !== undefined) refuse('permission_denied', this.path, 'the owner of a file cannot be changed')
    if (others.mode !== undefined) this.#mode = others.mode & 0o777
    if (others.times !== undefined) this.#times = others.times
  }

  async read(into: Buffer, offset: number): Promise<number> {
    this.#mustBeOpen()
    authorize(this.#options.session, 'read')
    const { start } = this.#options
    const source = this.#opened ?? (start.from === 'file' ? start.file : undefined)
    return this.#run(() => source!.read(into, offset))
  }

  async write(chunks: readonly Buffer[], offset: number): Promise<void> {
    this.#mustBeOpen()
    authorize(this.#options.session, 'write')
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (bytes === 0) return
    const start = this.#options.append ? this.#size : offset
    const end = start + bytes
    if (end > FILE_BYTES_MAX) throw new AppError('invalid', `the write ends at byte ${end}, after ${FILE_BYTES_MAX}`)
    if (this.#covered.count >= RANGES_MAX) {
      throw new AppError('limit_reached', `the upload has ${RANGES_MAX} separate written ranges; write them in order`)
    }
    // All of this before anything is awaited: the order of calls is the order of appends and of the bytes to hash.
    this.#size = Math.max(this.#size, end)
    this.#hash.pass(chunks, start)
    this.#isUpload = true
    this.#hasWritten = true
    const resized = this.#resized
    await this.#run(async () => {
      await resized
      await (await this.#openTemporary()).write(chunks, start)
      this.#written.add(start, end)
      this.#covered.add(start, end)
      this.#savePrefix()
    }, true)
  }

  async sync(): Promise<void> {
    this.#mustBeOpen()
    await this.#run(async () => this.#opened?.sync())
  }

  async close(expected?: string): Promise<void> {
    this.#end('closed')
    await this.#quiet()
    let undecided = false
    try {
      if (this.#isUpload) await this.#finish(expected)
      else await this.#giveBack()
    } catch (cause) {
      undecided = codeOf(cause) === 'storage_undecided'
      // The temporary of an undecided change is still needed; else what arrived is kept, as after a cut.
      // What is known to be wrong is nothing to go on with, and whoever has said what was sent does not wait for room.
      const keeps = expected === undefined || !NOT_KEPT.has(codeOf(cause))
      if (!undecided) await this.#keep(cause instanceof Error ? cause.message : String(cause), cause, keeps)
      throw cause
    } finally {
      await this.#release(undecided)
    }
  }

  async abandon(reason: string, { keeps = true } = {}): Promise<void> {
    this.#end('abandoned')
    await this.#quiet()
    const cause = new AppError('upload_incomplete', `${reason}: the upload was not closed`)
    if (this.#hasWritten || !keeps) await this.#keep(reason, cause, keeps)
    else await this.#giveBack()
    await this.#release(false)
  }

  /** Everything that makes a closed upload the file. */
  async #finish(expected: string | undefined): Promise<void> {
    const { context, session, path } = this.#options
    authorize(session, 'write')
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#covered.covers(this.#size)) {
      const whole = this.#covered.prefix()
      throw new AppError('upload_incomplete', `the upload was closed with a hole at byte ${whole} of ${this.#size}`)
    }
    const lock = await context.locks.acquire([path], 'path')
    let prepared: Prepared
    try {
      prepared = await this.#at(() => this.#prepare(expected))
    } catch (cause) {
      lock.release()
      throw cause
    }
    await context.changes.make({ ...prepared, lock, explain: (cause) => failureAt(cause, this.path) })
  }

  /** Makes the temporary durable, looks at what it is about to replace, and says what is to be recorded. */
  async #prepare(expected: string | undefined): Promise<Prepared> {
    const { context, session, path, root, exclusive, start } = this.#options
    const { backend, clock, node, recorder, reach } = context
    const temporary = await this.#openTemporary()
    await temporary.setAttributes({ mode: this.#mode, ...(this.#times === undefined ? {} : { times: this.#times }) })
    const sha256 = this.#hash.digest(this.#size) ?? context.hashes.ofFile(temporary, this.#size)
    const [digest] = await Promise.all([sha256, temporary.sync(), backend.syncTemporaries()])
    if (expected !== undefined && digest !== expected)
      throw new AppError('checksum_mismatch', `what arrived has the SHA-256 ${digest}, what was sent ${expected}`)
    reach('upload.synced')

    const old = await root.at(this.path, { follow: false }, async (place) => {
      // A folder on the way became a link: the path is another one now.
      if (!place.path.equals(path)) refuse('file_not_found', this.path, 'its folder is gone')
      return place.entry
    })
    if (old?.kind === 'directory') refuse('is_a_directory', this.path, 'a folder has this name by now')
    if (old !== undefined && exclusive) refuse('file_exists', this.path, 'a file has this name by now')

    const { accountId } = session.user
    const replaces = old?.kind === 'file'
    const extra = { sha256: digest, ...(start.from === 'partial' ? { resumed_from: start.partial.prefixBytes } : {}) }
    const event = recorder.draft('file.uploaded', accountId, eventData(session, this.path, { size: this.#size }, extra))
    const { identity } = await temporary.entry()
    const intent: Intent = {
      ...{ id: newId('intent', clock.now()), node, eventId: event.id, accountId, createdAt: clock.now() },
      deed: { kind: 'place', temporary: temporary.path, path: toStoredPath(path), identity },
      usage: { bytes: this.#size - (replaces ? old.size : 0), files: replaces ? 0 : 1 },
    }
    const remark = { action: 'upload', path: this.path } as const
    return {
      ...{ intent, event, endsUpload: this.#partial.rowId },
      audit: auditEntry(session, clock, { ...remark, detail: `${this.#size} bytes` }),
      auditOfUndoing: (error: unknown) => auditEntry(session, clock, { ...remark, error }),
    }
  }

  /** Not uploaded: what is certain is kept to be resumed, or nothing is. Never throws: there is nobody left to tell. */
  async #keep(reason: string, cause: unknown, keeps: boolean): Promise<void> {
    const { context, session, start } = this.#options
    const { store, backend, recorder, clock, log } = context
    const size = this.#written.prefix()
    const resumable = keeps && start.from !== 'file' && size > 0 && this.#opened !== undefined
    try {
      if (resumable) {
        await Promise.all([this.#opened!.sync(), backend.syncTemporaries()])
        await this.#partial.save(size, false)
      } else await this.#discard()
      if (!this.#hasWritten && start.from !== 'partial') return
      const data = eventData(session, this.path, { size }, { error: reason, resumable })
      const event = recorder.draft('file.upload_failed', session.user.accountId, data)
      await store.recordFact(event, auditEntry(session, clock, { action: 'upload', path: this.path, error: cause }))
    } catch (failure) {
      log.warn({ err: failure, upload: this.#options.id }, 'a cut upload could not be kept; it is swept later')
    }
  }

  /** Nothing came of the handle: a partial is nobody's again, an empty temporary goes. */
  async #giveBack(): Promise<void> {
    const { context, start, id } = this.#options
    try {
      if (start.from === 'partial') await this.#partial.save(start.partial.prefixBytes, false)
      else await this.#discard()
    } catch (failure) {
      context.log.warn({ err: failure, upload: id }, 'an unused temporary could not be given back; it is swept later')
    }
  }

  async #discard(): Promise<void> {
    if (this.#opened === undefined) return
    await this.#options.context.backend.removeTemporary(this.#opened.path)
    await this.#partial.remove()
  }

  /** A change of size waits for the writes before it, and the writes after it wait for it. */
  #resize(size: number): Promise<void> {
    if (size > FILE_BYTES_MAX) throw new AppError('invalid', `the size ${size} is over ${FILE_BYTES_MAX} bytes`)
    const before = this.#size
    const writes = [...this.#running]
    if (size !== before) this.#hash.giveUp()
    this.#size = size
    this.#isUpload = true
    this.#hasWritten = true
    const resizing = (async () => {
      await Promise.allSettled([...writes, this.#resized])
      const temporary = await this.#openTemporary()
      await this.#saving
      // The row must not promise bytes that are about to go: a crash would resume with a hole.
      if (size < this.#savedBytes) await this.#partial.save(size, true)
      this.#savedBytes = Math.min(this.#savedBytes, size)
      await temporary.resize(size)
      this.#written.cut(size)
      this.#covered.cut(size)
      this.#covered.add(before, size)
    })()
    this.#resized = resizing.catch((cause: unknown) => {
      this.#failure ??= failureAt(cause, this.path)
    })
    return resizing
  }

  /** Every few MiB the prefix is made durable with its row, without holding up the writes. */
  #savePrefix(): void {
    const prefix = this.#written.prefix()
    const { context, start, id } = this.#options
    if (this.#saving !== undefined || start.from === 'file' || prefix - this.#savedBytes < PARTIAL_SYNC_BYTES) return
    this.#saving = (async () => {
      await Promise.all([this.#opened!.sync(), context.backend.syncTemporaries()])
      context.reach('partial.synced')
      await this.#partial.save(prefix, true)
    })()
      .catch((cause: unknown) => context.log.warn({ err: cause, upload: id }, 'the prefix of an upload could not be saved'))
      .finally(() => {
        this.#saving = undefined
      })
    // Also after a failure: the next try is a few MiB on.
    this.#savedBytes = prefix
  }

  #openTemporary(): Promise<Temporary> {
    this.#temporary ??= this.#copy()
    return this.#temporary
  }

  async #copy(): Promise<Temporary> {
    const { context, start, id } = this.#options
    if (start.from !== 'file') throw new Error('only a file is copied')
    context.liveTemporaries.add(context.backend.temporaryPath(id))
    this.#opened = await context.backend.copyToTemporary(id, start.file)
    return this.#opened
  }

  /** Does a call on the open handle, so that closing waits for it. A failed write leaves bytes that nobody knows. */
  async #run<Answer>(act: () => Promise<Answer>, isWrite = false): Promise<Answer> {
    const call = this.#at(act)
    this.#running.add(call)
    try {
      return await call
    } catch (cause) {
      if (isWrite) {
        this.#failure ??= cause
        this.#hash.giveUp()
      }
      throw cause
    } finally {
      this.#running.delete(call)
    }
  }

  async #at<Answer>(act: () => Promise<Answer>): Promise<Answer> {
    try {
      return await act()
    } catch (cause) {
      throw failureAt(cause, this.path)
    }
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw new AppError('conflict', 'the file handle is closed')
  }

  #end(state: 'closed' | 'abandoned'): void {
    this.#mustBeOpen()
    this.#state = state
  }

  async #quiet(): Promise<void> {
    await Promise.allSettled(this.#running)
    await this.#resized
    await this.#saving
  }

  async #release(isUndecided: boolean): Promise<void> {
    const { start, context, onEnd } = this.#options
    onEnd(this)
    await this.#opened?.close()
    if (start.from === 'file') await start.file.close()
    if (this.#opened !== undefined && !isUndecided) context.liveTemporaries.delete(this.#opened.path)
  }
}
