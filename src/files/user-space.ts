/**
 * The files of one user in one session: checks who may, looks at what is there, then hands the work on. Every operation is
 * written to the audit trail: changes in their own unit of work, the others and all refusals here.
 *
 * Permissions: attributes need list, read or write; listing list; reading read; writing, folders, links and attributes write;
 * removing delete. A rename makes the old name go, so it needs write and delete.
 */
import type { Permission } from '../accounts/permission.ts'
import type { AuditAction } from '../audit/entry.ts'
import { codeOf } from '../base/error.ts'
import type { Root } from './backends/backend.ts'
import { closedOnFailure } from './backends/closing.ts'
import type { Context } from './context.ts'
import { createDirectoryHandle } from './directory.ts'
import { createDownload } from './download.ts'
import { failureAt, refuse } from './failure.ts'
import { openUpload } from './open-upload.ts'
import { partialAttributes } from './partials.ts'
import { folderOf, fromStoredPath, nameOf, pathBelow, showPath, toStoredPath } from './path.ts'
import { auditEntry, authorize, type Session } from './session.ts'
import type { AttributeChanges, Attributes, DirectoryEntry, DirectoryHandle, FileHandle, Space } from './space.ts'
import type { Upload } from './upload.ts'
import { createUserChanges } from './user-changes.ts'

export function createUserSpace(context: Context, session: Session): Space {
  const { backend, store, clock } = context
  const changes = createUserChanges(context, session)
  const handles = new Set<FileHandle | DirectoryHandle>()
  /** Own uploads in progress by storage path (bytes as Latin-1), the newest last. */
  const uploads = new Map<string, Upload[]>()
  let opening: Promise<Root> | undefined

  /** The user's tree, its home made at first use. A failure is tried again at the next. */
  function root(): Promise<Root> {
    opening ??= backend.openRoot(Buffer.from(session.user.home)).catch((cause: unknown) => {
      opening = undefined
      throw cause
    })
    return opening
  }

  // The home is there from the login on; who cannot have one hears of it at the first operation.
  root().catch(() => {})

  /** What all operations share: permission first, the storage's answers in the user's words, refusals in the audit trail. */
  async function guarded<Answer>(
    action: AuditAction,
    path: Buffer,
    permissions: Permission[],
    act: (tree: Root) => Promise<Answer>,
  ) {
    try {
      for (const permission of permissions) authorize(session, permission)
      if (permissions.length === 0) authorize(session)
      return await act(await root())
    } catch (cause) {
      const error = failureAt(cause, path)
      remark(action, path, { error })
      throw error
    }
  }

  function remark(action: AuditAction, path: Buffer, more: { error?: unknown; detail?: string } = {}): void {
    context.audit.append([auditEntry(session, clock, { action, path, ...more })])
  }

  /** The path as the user sees it. */
  function viewOf(tree: Root, path: Buffer): Buffer {
    return pathBelow(tree.home, path) ?? path
  }

  function uploadAt(path: Buffer): Upload | undefined {
    return uploads.get(key(path))?.at(-1)
  }

  /** What shows at a path where no whole file is: an own upload in progress, or a cut one. */
  async function unfinishedAt(path: Buffer): Promise<Attributes | undefined> {
    const upload = uploadAt(path)
    if (upload !== undefined) return unfinished(upload)
    const partial = await store.findPartial(session.user.id, toStoredPath(path))
    return partial === undefined ? undefined : partialAttributes(partial)
  }

  /** The same for a folder. */
  async function unfinishedIn(folder: Buffer, limit: number): Promise<DirectoryEntry[]> {
    const own = [...uploads.values()].map((those) => those.at(-1)!).filter(({ target }) => folderOf(target).equals(folder))
    const entries = await Promise.all(
      own.map(async (upload) => ({ name: nameOf(upload.target), attributes: await unfinished(upload) })),
    )
    for (const partial of await store.listPartials(session.user.id, toStoredPath(folder), limit)) {
      entries.push({ name: nameOf(fromStoredPath(partial.path)), attributes: partialAttributes(partial) })
    }
    return entries
  }

  async function unfinished(upload: Upload): Promise<Attributes> {
    return { ...(await upload.attributes()), isUnfinished: true }
  }

  function enter(upload: Upload): void {
    const there = uploads.get(key(upload.target))
    if (there === undefined) uploads.set(key(upload.target), [upload])
    else there.push(upload)
  }

  function leave(upload: Upload): void {
    const rest = (uploads.get(key(upload.target)) ?? []).filter((other) => other !== upload)
    if (rest.length === 0) uploads.delete(key(upload.target))
    else uploads.set(key(upload.target), rest)
  }

  function track<Handle extends FileHandle | DirectoryHandle>(handle: Handle): Handle {
    handles.add(handle)
    return handle
  }
  const onEnd = (handle: FileHandle | DirectoryHandle) => handles.delete(handle)

  const space: Space = {
    realPath: (path) => guarded('list', path, [], async (tree) => viewOf(tree, await tree.realPath(path))),

    async attributes(path, options) {
      try {
        authorize(session, 'list', 'read', 'write')
        const tree = await root()
        const place = await tree.at(path, options, async ({ entry, path }) => ({ entry, path }))
        return place.entry ?? (await unfinishedAt(place.path)) ?? refuse('file_not_found', path, 'no such file or folder')
      } catch (cause) {
        const error = failureAt(cause, path)
        // That nothing is at a path is an answer; clients ask for it all the time.
        if (['permission_denied', 'path_outside_space'].includes(codeOf(error))) remark('list', path, { error })
        throw error
      }
    },

    async setAttributes(path, changes, options) {
      const { size, ...others } = changes
      if (size !== undefined) {
        const handle = await this.openWrite(path, { create: false, exclusive: false, truncate: false, append: false })
        await handle.setAttributes({ size }).catch(async (cause: unknown) => {
          await handle.abandon('the size could not be set')
          throw cause
        })
        await handle.close()
      }
      if (others.mode === undefined && others.times === undefined && others.owner === undefined) return
      await guarded('set_attributes', path, ['write'], (tree) =>
        tree.at(path, options, async (place) => {
          const { mode, times, owner } = others
          const entry = place.entry
          if (entry === undefined) {
            const upload = uploadAt(place.path) ?? refuse('file_not_found', path, 'no such file or folder')
            return upload.setAttributes(others)
          }
          if (owner !== undefined && (owner.uid !== entry.uid || owner.gid !== entry.gid)) {
            refuse('permission_denied', path, 'the owner of a file cannot be changed')
          }
          await place.setAttributes({
            ...(mode === undefined ? {} : { mode: mode & 0o777 }),
            ...(times === undefined ? {} : { times }),
          })
          remark('set_attributes', path, { detail: describe(others) })
        }),
      )
    },

    openRead: (path) =>
      guarded('download', path, ['read'], async (tree) => {
        const { file, entry, where } = await tree.at(path, { follow: true }, async (place) => {
          if (place.entry === undefined) refuse('file_not_found', path, 'no such file')
          const file = await place.open()
          return { file, entry: await closedOnFailure(file, () => file.entry()), where: place.path }
        })
        return track(createDownload({ context, session, file, entry, path: viewOf(tree, where), onEnd }))
      }),

    openWrite: (path, options) =>
      guarded('upload', path, ['write'], async (tree) => {
        const upload = await openUpload({
          ...{ context, session, tree, path, options },
          viewOf: (target) => viewOf(tree, target),
          setFileAttributes: (changes) => space.setAttributes(path, changes, { follow: true }),
          onEnd(ended) {
            leave(ended)
            onEnd(ended)
          },
        })
        enter(upload)
        context.reach('upload.opened')
        return track(upload)
      }),

    openDirectory: (path) =>
      guarded('list', path, ['list'], async (tree) => {
        const { listing, where } = await tree.at(path, { follow: true }, async (place) => {
          if (place.entry === undefined) refuse('file_not_found', path, 'no such folder')
          if (place.entry.kind !== 'directory') refuse('not_a_directory', path, 'this is not a folder')
          return { listing: await place.list(), where: place.path }
        })
        remark('list', path)
        const unfinished = (limit: number) => unfinishedIn(where, limit)
        return track(createDirectoryHandle({ session, listing, path: viewOf(tree, where), unfinished, onEnd }))
      }),

    makeDirectory: (path, mode) => guarded('mkdir', path, ['write'], (tree) => changes.makeDirectory(tree, path, mode)),
    removeDirectory: (path) => guarded('rmdir', path, ['delete'], (tree) => changes.removeDirectory(tree, path)),
    remove: (path) => guarded('delete', path, ['delete'], (tree) => changes.remove(tree, path)),
    rename: (from, to, options) =>
      guarded('rename', from, ['write', 'delete'], (tree) => changes.rename(tree, from, to, options)),

    async readLink(path) {
      return guarded('list', path, [], (tree) => {
        authorize(session, 'list', 'read')
        return tree.at(path, { follow: false }, async (place) => {
          if (place.entry === undefined) refuse('file_not_found', path, 'no such link')
          if (place.entry.kind !== 'symlink') refuse('invalid', path, 'this is not a link')
          return place.readLink()
        })
      })
    },

    makeLink: (target, path) =>
      guarded('link', path, ['write'], (tree) =>
        tree.at(path, { follow: false }, async (place) => {
          if (target.length === 0) refuse('invalid', path, 'the target of the link is empty')
          if (place.entry !== undefined) refuse('file_exists', path, 'a file or folder of this name exists')
          await place.makeLink(target)
          remark('link', path, { detail: `to ${showPath(target)}` })
        }),
      ),

    fileSystem: (path) => guarded('list', path, [], (tree) => tree.at(path, { follow: true }, (place) => place.fileSystem())),

    async close() {
      await Promise.all(
        [...handles].map(async (handle) => {
          // A handle may be closing at this moment; then it is not ours to end.
          const ended = 'abandon' in handle ? handle.abandon('the session ended') : handle.close()
          await ended.catch((cause: unknown) => context.log.debug({ err: cause }, 'a handle had ended already'))
        }),
      )
    },
  }
  return space
}

function key(path: Buffer): string {
  return path.toString('latin1')
}

function describe({ mode, times }: AttributeChanges): string {
  const said = [
    ...(mode === undefined ? [] : [`mode ${(mode & 0o777).toString(8)}`]),
    ...(times === undefined ? [] : [`modified at ${times.modifiedAt}`]),
  ]
  return said.join(', ') || 'nothing'
}
