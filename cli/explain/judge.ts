import { type Dialect, type EventIn, VerifyError, type VerifyProblem, verify } from '../../sdk/verify.ts'
import type { Capture } from './capture.ts'
import type { Secrets } from './secret.ts'

export const DIALECTS: readonly Dialect[] = ['mftplus', 'trueftp', 'standard', 'cloudevents']

export interface Verdict {
  /** The signature is right. Whether a receiver would take the delivery now is another matter: see `timestamp`. */
  readonly genuine: boolean
  readonly dialect: Dialect
  /** Null where there is none, or where it is only about the time. */
  readonly problem: VerifyProblem | null
  readonly message: string
  readonly event: string | null
  /** By which a receiver drops duplicates. */
  readonly id: string | null
  /** Null where the dialect does not sign it, or the delivery is not genuine. */
  readonly timestamp: { readonly at: string; readonly offSeconds: number; readonly accepted: boolean } | null
  readonly notes: readonly string[]
}

/** The dialects that the headers speak of; where several signatures go along, that of the body first. Empty: there is none. */
export function dialectsOf({ headers, body }: Pick<Capture, 'headers' | 'body'>): readonly Dialect[] {
  const isCloudEvent =
    'ce-specversion' in headers || headers['content-type']?.[0]?.startsWith('application/cloudevents+json') === true
  const found: (Dialect | false)[] = [
    ('x-trueftp-signature' in headers || 'x-trueftp-delivery' in headers) && 'trueftp',
    ('x-webhook-signature' in headers || 'x-webhook-id' in headers) && 'mftplus',
    ('webhook-signature' in headers || 'webhook-id' in headers) && (isCloudEvent ? 'cloudevents' : 'standard'),
  ]
  const all = found.filter((one) => one !== false)
  if (all.length < 2) return all
  const said = isCloudEvent ? 'cloudevents' : envelopeOf(body)
  return [...all.filter((one) => one === said), ...all.filter((one) => one !== said)]
}

/** By a member that only this dialect has, whether the body has been changed or not. */
function envelopeOf(body: Uint8Array): Dialect | undefined {
  const text = new TextDecoder().decode(body.subarray(0, ENVELOPE_BYTES))
  if (text.includes('"delivery_id"')) return 'trueftp'
  if (/^\s*\{\s*"type"/.test(text)) return 'standard'
  return text.includes('"event"') ? 'mftplus' : undefined
}

/** In which the members of an envelope stand, before `data`. */
const ENVELOPE_BYTES = 400

export interface Question {
  readonly dialect: Dialect
  readonly secrets: Secrets
  readonly now: number
  readonly toleranceSeconds: number
}

/** The signature and the time are judged apart: most captures are older than any receiver allows. */
export function judge({ headers, body, notes }: Capture, { dialect, secrets, now, toleranceSeconds }: Question): Verdict {
  const options = { dialect, now, toleranceSeconds, oldSecrets: secrets.old }
  const base = { dialect, event: null, id: null, timestamp: null, notes }
  const outcome = attempt(() => verify(headers, body, secrets.current, options))
  if (outcome instanceof VerifyError && !isSigned(outcome.code)) {
    return { ...base, genuine: false, problem: outcome.code, message: outcome.message }
  }
  const event = DIALECTS.map((envelope) =>
    attempt(() => verify(headers, body, secrets.current, { ...options, envelope, toleranceSeconds: Number.POSITIVE_INFINITY })),
  ).find((one) => !(one instanceof VerifyError)) as EventIn[Dialect] | undefined
  const { problem, message } =
    outcome instanceof VerifyError ? restOf(outcome) : { problem: null, message: 'The signature is right.' }
  return {
    ...base,
    genuine: true,
    problem,
    message,
    event: event === undefined ? null : 'event' in event ? event.event : event.type,
    id: event === undefined ? null : 'delivery_id' in event ? event.delivery_id : event.id,
    timestamp: timestampOf(headers, dialect, now, toleranceSeconds),
  }
}

function restOf({ code, message, offSeconds = 0 }: VerifyError): { problem: VerifyProblem | null; message: string } {
  if (code === 'body_not_event') return { problem: null, message }
  if (code === 'timestamp_too_old') {
    return {
      problem: code,
      message: `The signature is right; the delivery is ${spanText(offSeconds)} old, which a receiver refuses.`,
    }
  }
  if (code === 'timestamp_too_new') {
    return {
      problem: code,
      message: `The signature is right; the delivery is ${spanText(-offSeconds)} ahead of this clock, which a receiver refuses.`,
    }
  }
  return { problem: code, message }
}

/** What can only be found behind a right signature. */
function isSigned(code: VerifyProblem): boolean {
  return code.startsWith('timestamp_') ? code !== 'timestamp_missing' : code === 'body_not_event'
}

function timestampOf(headers: Capture['headers'], dialect: Dialect, now: number, toleranceSeconds: number): Verdict['timestamp'] {
  if (dialect === 'mftplus') return null
  const seconds = Number(headers[dialect === 'trueftp' ? 'x-trueftp-timestamp' : 'webhook-timestamp']?.[0])
  if (!(Math.abs(seconds) <= TIME_SECONDS_MAX)) return null
  const offSeconds = Math.round(now / 1000 - seconds)
  return { at: new Date(seconds * 1000).toISOString(), offSeconds, accepted: Math.abs(offSeconds) <= toleranceSeconds }
}

/** The last second that a Date can say. */
const TIME_SECONDS_MAX = 8.64e12

function attempt<Result>(verifying: () => Result): Result | VerifyError {
  try {
    return verifying()
  } catch (error) {
    if (error instanceof VerifyError) return error
    throw error
  }
}

/** 259200 → `3 days`, 301 → `5 min`: one unit, whole, rounded down. */
export function spanText(seconds: number): string {
  const [size, unit] = SPANS.find(([length]) => seconds >= 2 * length) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}

const SPANS: readonly (readonly [number, string])[] = [
  [86_400, 'days'],
  [3_600, 'h'],
  [60, 'min'],
]
