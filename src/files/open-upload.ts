import { newId } from '../base/id.ts'
import type { Root } from './backends/backend.ts'
import { closedOnFailure } from './backends/closing.ts'
import type { Context } from './context.ts'
import { refuse } from './failure.ts'
import { discardPartials, takePartial } from './partials.ts'
import type { Session } from './session.ts'
import type { WriteOptions } from './space.ts'
import { Upload, type UploadOptions } from './upload.ts'

export interface OpenUpload extends Pick<UploadOptions, 'setFileAttributes' | 'onEnd'> {
  context: Context
  session: Session
  tree: Root
  path: Buffer
  options: WriteOptions
  viewOf(target: Buffer): Buffer
}

/** Opens a path for writing and decides what the upload begins with. */
export async function openUpload({ context, session, tree, path, options, viewOf, ...rest }: OpenUpload): Promise<Upload> {
  const { backend, clock, log, liveTemporaries } = context
  const { create, truncate, append } = options
  const exclusive = create && options.exclusive
  // An exclusive open does not follow a link (open(2), O_EXCL): the name itself must be free.
  const { target, entry, file } = await tree.at(path, { follow: !exclusive }, async (place) => {
    const { entry } = place
    if (place.isRoot || entry?.kind === 'directory') refuse('is_a_directory', path, 'this is a folder')
    if (exclusive && entry !== undefined) refuse('file_exists', path, 'a file of this name exists')
    if (entry !== undefined && entry.kind !== 'file') refuse('permission_denied', path, 'this is not a regular file')
    if (!(await place.canPlace())) refuse('storage_failed', path, 'its folder lies on another file system than the storage')
    const file = entry !== undefined && !truncate ? await place.open() : undefined
    return { target: place.path, entry, file }
  })
  const base = {
    context,
    session,
    root: tree,
    path: target,
    view: viewOf(target),
    append,
    exclusive,
    mode: options.mode,
    ...rest,
  }

  if (entry === undefined && !truncate && !exclusive) {
    const taken = await takePartial(context, session.user.id, target)
    if (taken !== undefined) return new Upload({ ...base, id: taken.partial.id, start: { from: 'partial', ...taken } })
  }
  if (entry === undefined && !create) refuse('file_not_found', path, 'no such file')

  // Nobody waits for it: what is kept for this path only matters once no whole file is there again.
  void discardPartials(context, session.user.id, target).catch((cause: unknown) => {
    log.warn({ err: cause }, 'an outdated cut upload stays until it is swept')
  })
  const id = newId('upload', clock.now())
  if (file !== undefined)
    return new Upload({ ...base, id, start: { from: 'file', file, entry: await closedOnFailure(file, () => file.entry()) } })
  const temporaryPath = backend.temporaryPath(id)
  liveTemporaries.add(temporaryPath)
  try {
    const temporary = await backend.createTemporary(id)
    return new Upload({ ...base, id, start: { from: 'nothing', temporary, replaces: entry } })
  } catch (cause) {
    liveTemporaries.delete(temporaryPath)
    throw cause
  }
}
