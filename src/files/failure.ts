/** Turns what the storage answers into what a user is told: the user's own path, never one of the host. */
import { AppError, type ErrorCode } from '../base/error.ts'
import { StorageError } from './backends/backend.ts'
import { showPath } from './path.ts'

const SAID: Record<string, { code: ErrorCode; says: string }> = {
  ENOENT: { code: 'file_not_found', says: 'no such file or folder' },
  EEXIST: { code: 'file_exists', says: 'a file or folder of this name exists' },
  ENOTDIR: { code: 'not_a_directory', says: 'a part of the path is not a folder' },
  EISDIR: { code: 'is_a_directory', says: 'this is a folder' },
  ENOTEMPTY: { code: 'directory_not_empty', says: 'the folder is not empty' },
  EACCES: { code: 'permission_denied', says: 'the storage does not permit this' },
  EPERM: { code: 'permission_denied', says: 'the storage does not permit this' },
  EROFS: { code: 'permission_denied', says: 'the storage is read-only' },
  ELOOP: { code: 'path_invalid', says: 'too many links lead to one another' },
  ENAMETOOLONG: { code: 'path_invalid', says: 'the name or the path is longer than the storage can hold' },
  EINVAL: { code: 'invalid', says: 'the storage cannot do this' },
  EFBIG: { code: 'storage_full', says: 'the file would be larger than the storage can hold' },
  ENOSPC: { code: 'storage_full', says: 'the storage has no room left' },
  EDQUOT: { code: 'storage_full', says: 'the storage has no room left' },
  EXDEV: { code: 'storage_failed', says: 'the folder lies on another file system than the storage' },
  EBUSY: { code: 'path_busy', says: 'the storage is using this' },
  EOPNOTSUPP: { code: 'unsupported', says: 'the storage does not offer this' },
  ENOSYS: { code: 'unsupported', says: 'the storage does not offer this' },
}

/** Always an AppError with the path in its message, except for bugs, which pass. */
export function failureAt(cause: unknown, path: Buffer): unknown {
  if (cause instanceof AppError) return cause
  if (!(cause instanceof StorageError)) return cause
  const { code, says } = SAID[cause.errno] ?? { code: 'storage_failed', says: 'the storage failed' }
  return new AppError(code, `${showPath(path)}: ${says}`, { cause })
}

export function refuse(code: ErrorCode, path: Buffer, says: string): never {
  throw new AppError(code, `${showPath(path)}: ${says}`)
}
