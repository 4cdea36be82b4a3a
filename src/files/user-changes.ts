/** Changes that a user asks for by path: checked under the lock of what the path leads to, then made. */
import type { AuditAction } from '../audit/entry.ts'
import { newId } from '../base/id.ts'
import type { EventType } from '../events/catalogue.ts'
import type { EventData } from '../events/event.ts'
import type { Entry, Root } from './backends/backend.ts'
import type { PlannedChange } from './change.ts'
import type { Context } from './context.ts'
import { failureAt, refuse } from './failure.ts'
import { discardPartials } from './partials.ts'
import { pathBelow, showPath, toStoredPath } from './path.ts'
import type { Deed, Intent } from './port.ts'
import { auditEntry, bytesUnlessText, eventData, type Session } from './session.ts'

export interface UserChanges {
  makeDirectory(tree: Root, path: Buffer, mode: number): Promise<void>
  removeDirectory(tree: Root, path: Buffer): Promise<void>
  remove(tree: Root, path: Buffer): Promise<void>
  rename(tree: Root, from: Buffer, to: Buffer, options: { replace: boolean }): Promise<void>
}

type Planned = Omit<PlannedChange, 'lock'>

/** What is to be done at a storage path, and how it is told. */
interface Telling {
  action: AuditAction
  type: EventType
  path: Buffer
  deed: Deed
  usage?: Intent['usage']
  /** Members of the event's data before and after who did it. */
  data?: EventData
  more?: EventData
  detail?: string
}

/** What a path leads to, without following its last name. */
interface Found {
  path: Buffer
  isRoot: boolean
  entry: Entry | undefined
}

export function createUserChanges(context: Context, session: Session): UserChanges {
  const { locks, recorder, clock, node } = context

  function plan(tree: Root, { action, type, path, deed, usage, data, more, detail }: Telling): Planned {
    const view = pathBelow(tree.home, path) ?? path
    const { accountId } = session.user
    const event = recorder.draft(type, accountId, eventData(session, view, data, more))
    const remark = { action, path: view, ...(detail === undefined ? {} : { detail }) }
    return {
      intent: {
        ...{ id: newId('intent', clock.now()), node, eventId: event.id, accountId, deed, createdAt: clock.now() },
        usage: usage ?? { bytes: 0, files: 0 },
      },
      event,
      audit: auditEntry(session, clock, remark),
      endsUpload: null,
      auditOfUndoing: (error) => auditEntry(session, clock, { ...remark, error }),
      explain: (cause) => failureAt(cause, view),
    }
  }

  function find(tree: Root, path: Buffer): Promise<Found> {
    return tree.at(path, { follow: false }, async ({ path, isRoot, entry }) => ({ path, isRoot, entry }))
  }

  /** Locks what the paths lead to, looks again under the lock, and makes the change that `check` plans, if it plans one. */
  async function change(
    tree: Root,
    paths: readonly Buffer[],
    kind: 'path' | 'tree',
    check: (found: Found[]) => Promise<Planned | undefined>,
  ): Promise<void> {
    const targets = await Promise.all(paths.map(async (path) => (await find(tree, path)).path))
    const lock = await locks.acquire(targets, kind)
    let planned: Planned | undefined
    try {
      const found = await Promise.all(targets.map((target) => find(tree, pathBelow(tree.home, target) ?? target)))
      found.forEach(({ path }, n) => {
        if (!path.equals(targets[n]!)) refuse('path_busy', paths[n]!, 'the path changed meanwhile')
      })
      planned = await check(found)
    } catch (cause) {
      lock.release()
      throw cause
    }
    if (planned === undefined) lock.release()
    else await context.changes.make({ ...planned, lock })
  }

  return {
    makeDirectory: (tree, path, mode) =>
      change(tree, [path], 'path', async ([place]) => {
        if (place!.entry !== undefined) refuse('file_exists', path, 'a file or folder of this name exists')
        const deed: Deed = { kind: 'mkdir', path: toStoredPath(place!.path), mode: mode & 0o777 }
        return plan(tree, { action: 'mkdir', type: 'dir.created', path: place!.path, deed })
      }),

    removeDirectory: (tree, path) =>
      change(tree, [path], 'tree', async ([place]) => {
        const { entry, isRoot } = place!
        if (entry === undefined) refuse('file_not_found', path, 'no such folder')
        if (entry.kind !== 'directory') refuse('not_a_directory', path, 'this is not a folder')
        if (isRoot) refuse('permission_denied', path, 'your home cannot be removed')
        // Asked before anything is recorded; should something come in after this, rmdir(2) refuses and the change is undone.
        if (!(await tree.at(path, { follow: false }, (folder) => folder.isEmpty()))) {
          refuse('directory_not_empty', path, 'the folder is not empty')
        }
        const deed: Deed = { kind: 'rmdir', path: toStoredPath(place!.path), identity: entry.identity }
        return plan(tree, { action: 'rmdir', type: 'dir.deleted', path: place!.path, deed })
      }),

    remove: (tree, path) =>
      change(tree, [path], 'path', async ([place]) => {
        const { entry } = place!
        if (entry?.kind === 'directory') refuse('is_a_directory', path, 'this is a folder')
        const hadPartial = await discardPartials(context, session.user.id, place!.path)
        if (entry === undefined && !hadPartial) refuse('file_not_found', path, 'no such file')
        if (entry?.kind === 'file') {
          const deed: Deed = { kind: 'remove', path: toStoredPath(place!.path), identity: entry.identity }
          const usage = { bytes: -entry.size, files: -1 }
          return plan(tree, {
            action: 'delete',
            type: 'file.deleted',
            path: place!.path,
            deed,
            usage,
            data: { size: entry.size },
          })
        }
        // Links and cut uploads are no files: they go without an event.
        if (entry !== undefined) await tree.at(path, { follow: false }, (link) => link.unlink())
        const detail = entry === undefined ? 'a cut upload' : `a ${entry.kind === 'symlink' ? 'link' : 'special file'}`
        context.audit.append([auditEntry(session, clock, { action: 'delete', path, detail })])
        return undefined
      }),

    rename: (tree, from, to, { replace }) =>
      change(tree, [from, to], 'tree', async ([source, target]) => {
        const { entry } = source!
        if (entry === undefined) refuse('file_not_found', from, 'no such file or folder')
        if (source!.isRoot || target!.isRoot)
          refuse('permission_denied', source!.isRoot ? from : to, 'your home cannot be renamed')
        // Onto itself: what is asked for is so already.
        if (source!.path.equals(target!.path)) return undefined
        const isFolder = entry.kind === 'directory'
        if (isFolder && pathBelow(source!.path, target!.path) !== undefined) {
          refuse('invalid', to, 'a folder cannot be moved into itself')
        }
        const old = target!.entry
        if (old !== undefined && !replace) refuse('file_exists', to, 'a file or folder of this name exists')
        if (old?.kind === 'directory') refuse('is_a_directory', to, 'a folder is not replaced')
        if (old !== undefined && isFolder) refuse('not_a_directory', to, 'a folder does not replace a file')

        const paths = { path: toStoredPath(source!.path), to: toStoredPath(target!.path) }
        const before = pathBelow(tree.home, source!.path) ?? source!.path
        const replaces = old?.kind === 'file'
        return plan(tree, {
          ...{ action: 'rename', type: 'file.renamed', path: target!.path, detail: `from ${showPath(before)}` },
          deed: { kind: 'rename', ...paths, identity: entry.identity, replaces: old !== undefined },
          usage: replaces ? { bytes: -old.size, files: -1 } : { bytes: 0, files: 0 },
          data: { previous_path: before.toString('utf8'), kind: isFolder ? 'directory' : 'file', overwritten: replaces },
          more: bytesUnlessText('previous_path_bytes', before),
        })
      }),
  }
}
