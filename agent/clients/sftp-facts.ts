import type { Attributes } from '../../src/wire/sftp/attributes.ts'
import type { FileFacts } from './client.ts'

/** The type in `st_mode`. */
const FILE_TYPE_MASK = 0o170000
export const FILE_TYPE = { FILE: 0o100000, FOLDER: 0o040000, LINK: 0o120000 } as const

export function typeOf({ permissions }: Attributes): number | undefined {
  return permissions === undefined ? undefined : permissions & FILE_TYPE_MASK
}

/** A server that tells no type means a file. */
export function factsOf(attributes: Attributes): FileFacts {
  const type = typeOf(attributes) ?? FILE_TYPE.FILE
  const kind = type === FILE_TYPE.FILE ? 'file' : type === FILE_TYPE.FOLDER ? 'folder' : 'other'
  const { size = 0, mtime } = attributes
  return { kind, size: kind === 'file' ? size : 0, modifiedAt: mtime === undefined ? null : mtime * 1000 }
}
