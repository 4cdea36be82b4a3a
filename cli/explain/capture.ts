import { CommandError } from '../command.ts'
import { printable } from '../terminal.ts'

/** One delivery as somebody wrote it down: its headers and the bytes of its body. */
export interface Capture {
  readonly headers: Record<string, string[]>
  readonly body: Buffer
  /** What was left out of the text to get there, for people. */
  readonly notes: readonly string[]
}

/**
 * Reads what people have at hand: an HTTP request (headers, a blank line, the body), the output of `curl -v`, or JSON with
 * the members `headers` and `body`, as the server's own API answers for a delivery.
 */
export function parseCapture(bytes: Buffer): Capture {
  const fromJson = parseJson(bytes)
  if (fromJson !== undefined) return fromJson
  const text = isCurl(bytes) ? ofCurl(bytes) : bytes
  // The first blank line ends the headers; its line ends may be LF or CRLF.
  const end = /\r?\n\r?\n/.exec(text.toString('latin1'))
  if (end === null) throw new CommandError('the capture has no blank line, which stands between the headers and the body')
  const headers = parseHeaders(text.subarray(0, end.index).toString('utf8'))
  return { headers, ...asSent(headers, text.subarray(end.index + end[0].length)) }
}

/**
 * `Name: value` a line, also as `curl -v` marks them; the first line of a request or an answer, and what HTTP/2 has in its place, are
 * passed over. A JSON object is taken too.
 */
export function parseHeaders(text: string): Record<string, string[]> {
  const json = parsedOrUndefined(text)
  if (json !== undefined) return headersOf(json)
  const headers: Record<string, string[]> = {}
  for (const [index, line] of unmarked(text.split(/\r?\n/)).entries()) {
    if (line.trim() === '' || /^([A-Z]+ \S+( HTTP\/[\d.]+)?|HTTP\/[\d.]+ \d{3}.*)$/.test(line.trim()) || line.startsWith(':'))
      continue
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) {
      throw new CommandError(`line ${index + 1} is no header: ${printable(line.slice(0, SHOWN_CHARACTERS))}`)
    }
    headers[name.toLowerCase()] = [...(headers[name.toLowerCase()] ?? []), value.trim()]
  }
  return headers
}

/** Of what `curl -v` marked, one side: what was sent (`>`), or what was got (`<`) where nothing was sent. Its remarks are left out. */
function unmarked(lines: readonly string[]): readonly string[] {
  const mark = ['>', '<'].find((one) => lines.some((line) => line.startsWith(`${one} `)))
  if (mark === undefined) return lines
  return lines.map((line) => (line.startsWith(mark) ? line.slice(1).trimStart() : line.replace(/^[*<>{}].*$/, '')))
}

/** Of a line that is not understood, characters. */
const SHOWN_CHARACTERS = 40

/** The body without what an editor or a terminal put behind it. */
export function asSent(headers: Capture['headers'], body: Buffer): Pick<Capture, 'body' | 'notes'> {
  const declared = declaredBytes(headers)
  if (declared !== undefined && body.length <= declared) return { body, notes: [] }
  const notes: string[] = []
  if (declared !== undefined) {
    const sent = body.subarray(0, declared)
    // Every body of the server is one object, and no part of an object is one: if this is none, the body was written anew and got longer.
    if (parsedOrUndefined(sent.toString('utf8')) !== undefined)
      return { body: sent, notes: [`${body.length - declared} bytes behind Content-Length were left out`] }
    notes.push(`Content-Length says ${declared} bytes, and ${body.length} are here`)
  }
  // No body of the server ends in a line end, and whatever is pasted or saved does.
  const end = /\r?\n$/.exec(body.subarray(-2).toString('latin1'))
  if (end === null) return { body, notes }
  return { body: body.subarray(0, body.length - end[0].length), notes: [...notes, 'the line end behind the body was left out'] }
}

function declaredBytes(headers: Capture['headers']): number | undefined {
  const declared = headers['content-length']?.[0]
  return declared !== undefined && /^\d+$/.test(declared) ? Number(declared) : undefined
}

function isCurl(bytes: Buffer): boolean {
  return /^> \S+/m.test(bytes.toString('latin1')) && /^>\s*$/m.test(bytes.toString('latin1'))
}

/** `curl -v` marks what it sent with `>`, what it got with `<`, and its own remarks with `*`, `{` or `}`. */
function ofCurl(bytes: Buffer): Buffer {
  const lines = bytes.toString('latin1').split('\n')
  const blank = lines.findIndex((line) => /^>\s*$/.test(line))
  const head = lines.slice(0, blank).filter((line) => line.startsWith('> '))
  const behind = lines.slice(blank + 1)
  const isRemark = (line: string) => /^([*<] |<\s*$|[{}] \[)/.test(line)
  const start = behind.findIndex((line) => !isRemark(line))
  const body = start < 0 ? [] : behind.slice(start)
  const end = body.findIndex(isRemark)
  const kept = end < 0 ? body : [...body.slice(0, end), '']
  return Buffer.from(`${head.map((line) => line.slice(2).trimEnd()).join('\n')}\n\n${kept.join('\n')}`, 'latin1')
}

function parseJson(bytes: Buffer): Capture | undefined {
  const parsed = parsedOrUndefined(bytes.toString('utf8'))
  if (parsed === undefined) return undefined
  const inner = [parsed, parsed.request, parsed.delivery, parsed.data].find(
    (one) => isRecord(one) && 'headers' in one && 'body' in one,
  )
  if (!isRecord(inner) || !isRecord(inner.headers)) throw new CommandError('the JSON has no members headers and body')
  if (typeof inner.body !== 'string') {
    throw new CommandError('body is no text: a body that was parsed before it was saved cannot be verified any more')
  }
  return { headers: headersOf(inner.headers), body: Buffer.from(inner.body), notes: [] }
}

function headersOf(given: Record<string, unknown>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), [value].flat().map(String)]))
}

function parsedOrUndefined(text: string): Record<string, unknown> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined
  try {
    const parsed: unknown = JSON.parse(text)
    return isRecord(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
