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

/** What the one line of facts in the answer to MLST says (RFC 3659 §7.2); undefined: there is none. */
export function readFacts(reply: string): FileFacts | undefined {
  const facts = factsIn(reply)
  if (facts === undefined) return undefined
  const kind = kindOf(facts)
  const size = Number(facts.get('size') ?? 0)
  return { kind, size: kind === 'file' && Number.isSafeInteger(size) ? size : 0, modifiedAt: readTime(facts.get('modify') ?? '') }
}

/** What no file may replace, for people, as MLST tells it; undefined: a file, a link, or nothing that it would tell. */
export function specialInFacts(reply: string): string | undefined {
  const facts = factsIn(reply)
  if (facts === undefined || /^os\.unix=s(?:ym)?link/i.test(facts.get('type') ?? '')) return undefined
  return { file: undefined, folder: 'a folder', other: 'a device or the like' }[kindOf(facts)]
}

/** The same as LIST tells it of this name, where its lines begin as those of `ls -l` do. */
export function specialInListing(listing: string, name: string): string | undefined {
  const lines = listing.split(/\r?\n/).filter((line) => line.endsWith(` ${name}`) || line.endsWith(`/${name}`))
  const [, letter = ''] = lines.map((line) => /^([bcps])[r-][w-]/.exec(line)).find((found) => found !== null) ?? []
  return SPECIAL_LETTERS[letter]
}

const SPECIAL_LETTERS: Readonly<Record<string, string>> = { b: 'a device', c: 'a device', p: 'a named pipe', s: 'a socket' }

function factsIn(reply: string): Map<string, string> | undefined {
  const line = reply.split('\n').find((one) => FACTS.test(one))
  return line === undefined
    ? undefined
    : new Map([...line.matchAll(FACT)].map(([, name, value]) => [name!.toLowerCase(), value!]))
}

function kindOf(facts: ReadonlyMap<string, string>): FileFacts['kind'] {
  const type = facts.get('type')?.toLowerCase()
  if (type === undefined || type === 'file') return 'file'
  return /^[cp]?dir$/.test(type) ? 'folder' : 'other'
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
