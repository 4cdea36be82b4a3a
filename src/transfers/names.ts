import { AppError } from '../base/error.ts'
import { isHttp } from './locate.ts'
import type { Transfer } from './transfer.ts'

// Files keep their names on the way from one side to the other. A path of HTTP is a part of a request: names are escaped in it, and a query may follow. Everywhere
// else a path has its names as they are, whatever `%`, `?` and `#` they hold.

/** Which sides have paths of HTTP. */
export interface Escaping {
  readonly source: boolean
  readonly destination: boolean
}

export function escapingOf({ protocol, direction }: Pick<Transfer, 'protocol' | 'direction'>): Escaping {
  const isEscaped = isHttp({ protocol })
  return { source: isEscaped && direction === 'pull', destination: isEscaped && direction === 'push' }
}

/** Neither side: for a path that stays where it is. */
export const PLAIN: Escaping = { source: false, destination: false }

/** A relative path of the source as the destination writes it. Undefined: there is no such name, or it would lead elsewhere. */
export function namesAt(relativePath: string, { source, destination }: Escaping): string | undefined {
  const names = relativePath.split('/').map((name) => (source ? unescaped(name) : name))
  if (!names.every(isName)) return undefined
  return names.map((name) => (destination ? encodeURIComponent(name.toWellFormed()) : name)).join('/')
}

/**
 * A destination that ends in `/` is a folder: the file keeps its name. What is asked for with a query has none: `/export?id=1` and `/export?id=2` are two files, of
 * which the second would replace the first.
 * @throws AppError `invalid` where it has none that it could keep
 */
export function inFolder(field: string, destination: string, source: string, escaping: Escaping): string {
  if (!destination.endsWith('/')) return destination
  const hasQuery = escaping.source && source.includes('?')
  const last = source.slice(source.lastIndexOf('/') + 1)
  const name = hasQuery ? undefined : namesAt(last, escaping)
  if (name !== undefined) return destination + name
  const fault = hasQuery
    ? 'a source with a query has no name of its own, since with another one it may be another file'
    : `'${last.slice(0, 256)}' cannot be the name of a file in it`
  throw new AppError('invalid', `${field} is the folder ${destination}, and ${fault}; say the whole path of the file`, { field })
}

function unescaped(name: string): string | undefined {
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}

function isName(name: string | undefined): name is string {
  return name !== undefined && name !== '' && name !== '.' && name !== '..' && !/[\0/\\\n\r]/.test(name)
}
