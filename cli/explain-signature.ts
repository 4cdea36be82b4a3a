import { readFile } from 'node:fs/promises'
import type { Dialect } from '../sdk/verify.ts'
import { parseInstant } from '../src/base/instant.ts'
import { type Call, type Command, CommandError, optional } from './command.ts'
import { asSent, type Capture, parseCapture, parseHeaders } from './explain/capture.ts'
import { DIALECTS, dialectsOf, judge, spanText, type Verdict } from './explain/judge.ts'
import { type HiddenInput, parseSecrets, readHidden, type Secrets } from './explain/secret.ts'
import { paint, printable } from './terminal.ts'

/** More than the greatest body that the server sends, twice; bytes. */
const CAPTURE_BYTES_MAX = 4 * 1024 * 1024
const SECRETS_BYTES_MAX = 64 * 1024
/** What receivers usually allow, and the sdk unless told otherwise. */
const TOLERANCE_SECONDS = 300

export const explainSignature: Command = {
  name: 'explain-signature',
  summary: 'say why a delivery does or does not verify',
  usage: 'explain-signature [FILE] [--headers FILE --body FILE] [--dialect NAME] [--secret-stdin]',
  words: { min: 0, max: 1 },
  options: {
    headers: { type: 'string', meaning: 'file with the headers alone, `Name: value` a line or JSON' },
    body: { type: 'string', meaning: 'file with the bytes of the body alone, as they arrived' },
    dialect: { type: 'string', meaning: `${DIALECTS.join(', ')} (default: what headers and body say)` },
    'secret-stdin': { type: 'boolean', meaning: 'read the secret from standard input, old ones on lines behind it' },
    now: { type: 'string', meaning: 'judge the time as if it were then: ISO 8601 or Unix seconds' },
    tolerance: { type: 'string', meaning: `seconds that the time may be off (default ${TOLERANCE_SECONDS})` },
  },
  async run(call) {
    checkSources(call)
    const secrets = await secretsOf(call)
    const capture = await captureOf(call)
    if (isMasked(capture)) {
      throw new CommandError('the signature is masked, as in the log of the server: take the headers as the receiver got them')
    }
    const found = dialectsOf(capture)
    const dialect = dialectGiven(call) ?? found[0]
    if (dialect === undefined)
      throw new CommandError(`no header of any dialect is there: name it with --dialect ${DIALECTS.join('|')}`)
    const verdict = judge(capture, { dialect, secrets, now: timeOf(call), toleranceSeconds: toleranceOf(call) })
    const others = found.filter((one) => one !== dialect)
    call.terminal.out(call.json ? JSON.stringify({ ...verdict, otherDialects: others }) : page(call, verdict, capture, others))
    return verdict.genuine ? 0 : 1
  },
}

function isMasked({ headers }: Capture): boolean {
  return Object.entries(headers).some(
    ([name, values]) => name.endsWith('-signature') && values.some((one) => one.includes('****')),
  )
}

function page(call: Call, verdict: Verdict, { headers, body }: Capture, others: readonly Dialect[]): string {
  const title = verdict.genuine ? paint(call.terminal, 'green', 'genuine') : paint(call.terminal, 'red', 'not genuine')
  const at = verdict.timestamp
  const rows = [
    ['dialect', `${verdict.dialect}${dialectGiven(call) === undefined ? ' (as headers and body say)' : ''}`],
    ['headers', String(Object.keys(headers).length)],
    ['body', `${body.length} bytes`],
    verdict.event === null ? undefined : ['event', `${verdict.event} ${verdict.id}`],
    at === null
      ? undefined
      : ['time', `${at.at}, ${at.offSeconds < 0 ? `${spanText(-at.offSeconds)} ahead` : `${spanText(at.offSeconds)} ago`}`],
    verdict.genuine && verdict.dialect === 'mftplus'
      ? ['time', 'not signed in mftplus: drop duplicates by id against replays']
      : undefined,
    ...verdict.notes.map((note) => ['note', note]),
    ...others.map((one) => ['note', `it is also signed in ${one}: judge that with --dialect ${one}`]),
  ].filter((row) => row !== undefined)
  return [
    `${title}: ${printable(verdict.message)}`,
    '',
    ...rows.map(([name, text]) => `  ${name!.padEnd(8)} ${printable(text!)}`),
  ].join('\n')
}

async function secretsOf(call: Call): Promise<Secrets> {
  if (call.flags['secret-stdin'] === true) {
    if (readsStdin(call)) throw new CommandError('--secret-stdin leaves no room for the capture: name its file')
    return parseSecrets((await readAll(process.stdin, SECRETS_BYTES_MAX, '--secret-stdin')).toString('utf8'))
  }
  const given = process.env.LANDFALL_WEBHOOK_SECRET
  // Whole, a line end at its end too: it may be what is wrong.
  if (given !== undefined && given !== '')
    return { current: given.startsWith('{') ? parseSecrets(given).current : given, old: [] }
  if (process.stdin.isTTY !== true) throw new CommandError('the secret is needed: --secret-stdin, or LANDFALL_WEBHOOK_SECRET')
  return parseSecrets(await readHidden(process.stdin as HiddenInput, (text) => void process.stderr.write(text)))
}

/** Before anything is read: which of the ways to give a capture is meant. */
function checkSources(call: Call): void {
  const [headers, body] = [optional(call, 'headers'), optional(call, 'body')]
  if (headers !== undefined && body === undefined)
    throw new CommandError('--body is missing, the file with the bytes of the body: --headers and --body go together')
  if (headers === undefined && body !== undefined)
    throw new CommandError('--headers is missing, the file with the headers: --headers and --body go together')
  if (headers !== undefined && call.words.length > 0) throw new CommandError('a capture is one file, or --headers and --body')
}

function readsStdin(call: Call): boolean {
  const [word] = call.words
  return word === '-' || (word === undefined && optional(call, 'headers') === undefined)
}

async function captureOf(call: Call): Promise<Capture> {
  const [headersPath, bodyPath, [word]] = [optional(call, 'headers'), optional(call, 'body'), call.words]
  if (headersPath !== undefined && bodyPath !== undefined) {
    const headers = parseHeaders((await readBounded(headersPath)).toString('utf8'))
    return { headers, ...asSent(headers, await readBounded(bodyPath)) }
  }
  if (!readsStdin(call)) return parseCapture(await readBounded(word!))
  if (process.stdin.isTTY === true) call.terminal.note('Paste the headers, a blank line and the body; end with Ctrl-D.')
  return parseCapture(await readAll(process.stdin, CAPTURE_BYTES_MAX, 'the capture'))
}

async function readBounded(path: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((error: Error) => {
    throw new CommandError(`cannot read ${path}: ${error.message}`)
  })
  if (bytes.length > CAPTURE_BYTES_MAX) throw new CommandError(`${path} has ${bytes.length} bytes, over ${CAPTURE_BYTES_MAX}`)
  return bytes
}

async function readAll(input: AsyncIterable<Buffer>, bytesMax: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new CommandError(`${what} takes at most ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function dialectGiven(call: Call): Dialect | undefined {
  const given = optional(call, 'dialect')
  if (given === undefined) return undefined
  const found = DIALECTS.find((one) => one === given)
  if (found === undefined) throw new CommandError(`--dialect is one of ${DIALECTS.join(', ')}, not ${printable(given)}`)
  return found
}

function timeOf(call: Call): number {
  const given = optional(call, 'now')
  if (given === undefined) return Date.now()
  const time = /^\d+$/.test(given) ? Number(given) * 1000 : parseInstant(given)
  if (time === undefined)
    throw new CommandError(`--now is ISO 8601 such as 2026-06-08T12:00:00Z, or Unix seconds, not ${printable(given)}`)
  return time
}

function toleranceOf(call: Call): number {
  const given = optional(call, 'tolerance')
  if (given === undefined) return TOLERANCE_SECONDS
  if (!/^\d+$/.test(given)) throw new CommandError(`--tolerance is a number of seconds, not ${printable(given)}`)
  return Number(given)
}
