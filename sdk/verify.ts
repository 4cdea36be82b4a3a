import { diagnosis } from './diagnose.ts'
import type { Dialect, Secret } from './dialect.ts'
import { type EventIn, eventOf, isRecord } from './envelope.ts'
import { VerifyError } from './error.ts'
import { type HeadersLike, type ReadHeader, readerOf } from './headers.ts'
import { isSigned, type Key, SCHEMES, type Scheme, signedOf } from './schemes.ts'

export type { Dialect, Jwk, Secret } from './dialect.ts'
export type { CloudEvent, EventIn, MftplusEvent, StandardEvent, TrueFtpEvent } from './envelope.ts'
export { VerifyError, type VerifyProblem } from './error.ts'
export type { EventData, EventType } from './events.ts'
export type { HeadersLike } from './headers.ts'

export interface VerifyOptions<D extends Dialect = Dialect, E extends Dialect = D> {
  /** Whose signature counts. */
  readonly dialect: D
  /** Whose envelope the body has, where a webhook also signs in another dialect than its own (`alsoSign`). */
  readonly envelope?: E
  /** How far the signed time of an attempt may be from now, either way. mftplus does not sign it, so there it is not asked. */
  readonly toleranceSeconds?: number
  /** Ms since 1970 UTC, as `Date.now()`. */
  readonly now?: number
  /** Secrets that no longer count, so that a delivery signed with one is told from a forged one. */
  readonly oldSecrets?: readonly string[]
}

/** What the Standard Webhooks libraries use too. */
const TOLERANCE_SECONDS = 300
/** In seconds this is the year 5138, in milliseconds 1973: what is greater counts milliseconds. */
const MILLISECONDS_MIN = 1e11

/**
 * The event of a genuine delivery; throws VerifyError for any other. `rawBody` must be the bytes as they arrived, before
 * any parsing. `secret` may be a list, the old and the new one during a rotation: one that fits is enough.
 */
export function verify<D extends Dialect, E extends Dialect = D>(
  headers: HeadersLike,
  rawBody: Uint8Array | ArrayBuffer | string,
  secret: Secret | readonly Secret[],
  options: VerifyOptions<D, E>,
): EventIn[E] {
  checkOptions(options)
  const read = readerOf(headers)
  const scheme = SCHEMES[options.dialect]
  const body = bytesOf(rawBody)
  const secrets = listOf(secret)
  const keys = keysOf(scheme, secrets)
  const facts = { dialect: options.dialect, read, body, secrets, oldSecrets: options.oldSecrets ?? [] }
  const signed = signedOf(scheme, read)
  if (signed === undefined || !isSigned(signed, keys, body)) throw diagnosis(facts, signed, keys)
  checkTime(scheme, read, options.now ?? Date.now(), options.toleranceSeconds ?? TOLERANCE_SECONDS)
  return eventOf(options.envelope ?? options.dialect, read, body) as EventIn[E]
}

/** The types say it already, but not to JavaScript, nor of what comes from the environment. */
function checkOptions(options: unknown): void {
  const given = isRecord(options) ? options : {}
  checkDialect('dialect', given.dialect)
  if (given.envelope !== undefined) checkDialect('envelope', given.envelope)
  if (given.oldSecrets !== undefined && !Array.isArray(given.oldSecrets))
    throw new VerifyError('options_malformed', 'The option oldSecrets is a list of secrets, also of one.')
  checkNumber('toleranceSeconds', given.toleranceSeconds, 'a number of seconds from 0 on', (number) => number >= 0)
  checkNumber('now', given.now, 'a time in milliseconds, as Date.now() has them', Number.isFinite)
}

/** NaN is what becomes of a variable that is not set or no number; every time would be off. */
function checkNumber(option: string, given: unknown, what: string, isRight: (number: number) => boolean): void {
  if (given === undefined || given === null || (typeof given === 'number' && isRight(given))) return
  const found = typeof given === 'number' ? String(given) : kindOf(given)
  throw new VerifyError('options_malformed', `The option ${option} is ${what}, and this is ${found}.`)
}

/** Longer names are cut in messages. */
const NAME_CHARACTERS_MAX = 40

function checkDialect(option: string, given: unknown): void {
  if (typeof given === 'string' && Object.hasOwn(SCHEMES, given)) return
  const found = typeof given === 'string' ? JSON.stringify(given.slice(0, NAME_CHARACTERS_MAX)) : kindOf(given)
  throw new VerifyError(
    'options_malformed',
    `The option ${option} is one of ${Object.keys(SCHEMES).join(', ')}, and this is ${found}: is the variable that holds it set?`,
  )
}

function kindOf(given: unknown): string {
  if (given === undefined || given === null) return String(given)
  return Array.isArray(given) ? 'a list' : `of the type ${typeof given}`
}

function bytesOf(rawBody: Uint8Array | ArrayBuffer | string): Uint8Array {
  if (typeof rawBody === 'string') return Buffer.from(rawBody)
  if (rawBody instanceof Uint8Array) return rawBody
  if (rawBody instanceof ArrayBuffer) return new Uint8Array(rawBody)
  const given =
    rawBody === null || rawBody === undefined ? String(rawBody) : `a parsed ${Array.isArray(rawBody) ? 'array' : typeof rawBody}`
  throw new VerifyError(
    'body_parsed',
    `The raw body is needed, and this is ${given}. A signature covers the bytes that were sent: take them before anything parses them ` +
      "(express.raw({ type: '*/*' }), fastify's addContentTypeParser with parseAs: 'buffer', await request.arrayBuffer()).",
  )
}

function listOf(secret: Secret | readonly Secret[]): readonly Secret[] {
  const secrets = Array.isArray(secret) ? (secret as readonly Secret[]) : [secret as Secret]
  // A variable that is not set must not turn into a key that anybody can guess.
  if (secrets.length === 0 || secrets.some((one) => one === undefined || one === null || one === '')) {
    throw new VerifyError('secret_malformed', 'The secret is empty: is the variable that holds it set?')
  }
  const wrong = secrets.find((one: unknown) => typeof one !== 'string' && !isRecord(one))
  if (wrong !== undefined)
    throw new VerifyError('secret_malformed', `A secret is text or a JSON Web Key (set), and this is ${kindOf(wrong)}.`)
  return secrets
}

function keysOf(scheme: Scheme, secrets: readonly Secret[]): readonly Key[] {
  return secrets.flatMap((secret) => scheme.keys(secret))
}

/** Asked after the signature, so that it can be said that only the time is wrong. */
function checkTime(scheme: Scheme, read: ReadHeader, now: number, toleranceSeconds: number): void {
  if (scheme.timestampHeader === undefined) return
  const text = read(scheme.timestampHeader) ?? ''
  const right = `The signature is right, but ${scheme.timestampHeader}`
  if (!/^\d+$/.test(text)) throw new VerifyError('timestamp_malformed', `${right} is not a whole number of seconds since 1970.`)
  const at = Number(text)
  const offSeconds = Math.round(now / 1000 - at)
  if (Math.abs(now / 1000 - at) <= toleranceSeconds) return
  if (at > MILLISECONDS_MIN) {
    throw new VerifyError('timestamp_in_milliseconds', `${right} is in milliseconds; this dialect has seconds.`)
  }
  if (now < MILLISECONDS_MIN) {
    throw new VerifyError(
      'timestamp_in_milliseconds',
      '`now` was given in seconds; it takes milliseconds, as Date.now() has them.',
    )
  }
  const [code, direction] = offSeconds > 0 ? (['timestamp_too_old', 'ago'] as const) : (['timestamp_too_new', 'ahead'] as const)
  throw new VerifyError(
    code,
    `${right} is ${Math.abs(offSeconds)} s ${direction}, and ${toleranceSeconds} s are tolerated. ` +
      (offSeconds > 0
        ? 'The request was replayed or held back on its way, or this clock is fast: check that it is synchronised.'
        : 'This clock is slow, or that of the sender fast: check that both are synchronised.'),
    offSeconds,
  )
}
