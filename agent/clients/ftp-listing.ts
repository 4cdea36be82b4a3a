import { FileType, parseList } from 'basic-ftp'
import type { Entry, FileFacts } from './client.ts'

/** A line of a listing: what the server said, which for LIST leaves out the time. */
export interface ListedEntry extends Entry {
  readonly isLink: boolean
}

/** Reads what MLSD or LIST sent. Entries without `.` and `..`. */
export function readListing(text: string): ListedEntry[] {
  return parseList(text)
    .filter(({ name }) => name !== '.' && name !== '..')
    .map(({ name, type, size, modifiedAt }) => ({
      name,
      kind: type === FileType.File ? 'file' : type === FileType.Directory ? 'folder' : 'other',
      size: type === FileType.File && Number.isSafeInteger(size) ? size : 0,
      modifiedAt: modifiedAt?.getTime() ?? null,
      isLink: type === FileType.SymbolicLink,
    }))
}

/** The one line of facts in the answer to MLST (RFC 3659 §7.2); undefined: there is none. */
export function readFacts(reply: string): FileFacts | undefined {
  const line = reply.split('\n').find((one) => FACTS.test(one))
  if (line === undefined) return undefined
  const facts = new Map<string, string>()
  for (const [, name, value] of line.matchAll(FACT)) facts.set(name!.toLowerCase(), value!)
  const type = facts.get('type')?.toLowerCase()
  const kind = type === undefined || type === 'file' ? 'file' : /^[cp]?dir$/.test(type) ? 'folder' : 'other'
  const size = Number(facts.get('size') ?? 0)
  return { kind, size: kind === 'file' && Number.isSafeInteger(size) ? size : 0, modifiedAt: readTime(facts.get('modify') ?? '') }
}

const FACTS = /^ ?(?:[A-Za-z0-9.-]+=[^;\n]*;)+ /
const FACT = /([A-Za-z0-9.-]+)=([^;\n]*);/g

/** `YYYYMMDDHHMMSS[.sss]`, UTC (RFC 3659 §2.3), as ms since 1970; null: it is none. */
export function readTime(text: string): number | null {
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,3})\d*)?$/.exec(text.trim())
  if (found === null) return null
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return Date.UTC(year, month - 1, day, hour, minute, second, Number((found[7] ?? '0').padEnd(3, '0')))
}

export function writeTime(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)
}
