import { AppError } from '../base/error.ts'
import type { Entry, OpenFile } from './backends/backend.ts'
import type { Context } from './context.ts'
import { failureAt } from './failure.ts'
import { auditEntry, authorize, eventData, type Session } from './session.ts'
import type { Attributes, FileHandle } from './space.ts'

export interface DownloadOptions {
  context: Context
  session: Session
  file: OpenFile
  entry: Entry
  /** As the user sees it. */
  path: Buffer
  onEnd(handle: FileHandle): void
}

/**
 * A file opened for reading. It is a download, and an event, when a read reached the end of the file; who reads only parts
 * leaves a line in the audit trail. open → closed.
 */
export function createDownload({ context, session, file, entry, path, onEnd }: DownloadOptions): FileHandle {
  const { store, recorder, clock } = context
  let isOpen = true
  let isComplete = false
  let bytes = 0

  function mustBeOpen(): void {
    if (!isOpen) throw new AppError('conflict', 'the file handle is closed')
  }

  async function end(): Promise<void> {
    mustBeOpen()
    isOpen = false
    onEnd(handle)
    await file.close()
  }

  function remarkPart(detail: string): void {
    context.audit.append([auditEntry(session, clock, { action: 'download', path, detail })])
  }

  const handle: FileHandle = {
    path,

    async attributes(): Promise<Attributes> {
      mustBeOpen()
      authorize(session)
      return file.entry().catch(throwAt(path))
    },

    async setAttributes() {
      mustBeOpen()
      throw new AppError('permission_denied', 'the file is open for reading only')
    },

    async read(into, offset) {
      mustBeOpen()
      authorize(session, 'read')
      if (into.length === 0) return 0
      const read = await file.read(into, offset).catch(throwAt(path))
      bytes += read
      // The end as it was when the file was opened: uploads replace files and never change one in place.
      if (offset + read >= entry.size) isComplete = true
      return read
    },

    async write() {
      mustBeOpen()
      throw new AppError('permission_denied', 'the file is open for reading only')
    },

    async sync() {
      mustBeOpen()
    },

    async close() {
      await end()
      if (!isComplete) return remarkPart(`${bytes} bytes read, not to the end`)
      const event = recorder.draft('file.downloaded', session.user.accountId, eventData(session, path, { size: entry.size }))
      await store.recordFact(event, auditEntry(session, clock, { action: 'download', path, detail: `${bytes} bytes read` }))
    },

    async abandon(reason) {
      await end()
      remarkPart(`${bytes} bytes read, then: ${reason}`)
    },
  }
  return handle
}

function throwAt(path: Buffer): (cause: unknown) => never {
  return (cause) => {
    throw failureAt(cause, path)
  }
}
