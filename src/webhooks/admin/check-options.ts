import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { dialectOf } from '../../dialects/index.ts'
import { checkTls } from '../../http/tls.ts'
import { invalid } from '../invalid.ts'
import { checkAlsoSign } from '../sign.ts'
import type { SecretOptions, WebhookAuth, WebhookOptions } from '../webhook.ts'
import type { Allowance } from './allowance.ts'
import { checkHeaders } from './check-headers.ts'
import type { StoredOptions } from './options-input.ts'

export const TIMEOUT_SECONDS_MIN = 0.1
/** Of any dialect; each has its own deadline, which is lower. */
export const TIMEOUT_SECONDS_MAX = 60
export const CONCURRENCY_MAX = 1_000
export const RATE_COUNT_MAX = 10_000
export const RATE_SECONDS_MAX = 3_600
export const EXPIRE_SECONDS_MAX = 30 * 86_400
/** Of a user name, a password, a token and everything else that proves who calls. */
export const CREDENTIAL_CHARACTERS_MAX = 4_096

/** Throws `invalid`, with field, bound and value, for the first thing that no request could be made with. Nothing is asked of the network. */
export function checkOptions(options: WebhookOptions, dialect: DialectName, { concurrencyMax, plan }: Allowance): void {
  const { alsoSign, cloudEventsMode, timeoutSeconds, concurrency, rate, expireAfterSeconds } = options
  if (alsoSign !== undefined) checkAlsoSign(dialect, alsoSign)
  if (cloudEventsMode !== undefined && dialect !== 'cloudevents')
    throw invalid('cloudEventsMode', `cloudEventsMode is for the dialect cloudevents, not ${dialect}`)
  if (timeoutSeconds !== undefined) checkTimeout(timeoutSeconds, dialect)
  if (concurrency !== undefined) checkCount('concurrency', concurrency, CONCURRENCY_MAX)
  if (concurrency !== undefined && concurrency > concurrencyMax)
    throw new AppError(
      'plan_refused',
      `concurrency is ${concurrency}; the plan ${plan} of the account allows ${concurrencyMax}`,
      {
        field: 'concurrency',
      },
    )
  if (rate !== undefined) {
    checkCount('rate.count', rate.count, RATE_COUNT_MAX)
    checkCount('rate.perSeconds', rate.perSeconds, RATE_SECONDS_MAX)
  }
  if (expireAfterSeconds !== undefined) checkCount('expireAfterSeconds', expireAfterSeconds, EXPIRE_SECONDS_MAX)
}

/** The same for those that hold secrets; `now` is for the validity of certificates. */
export function checkSecretOptions({ options, secrets }: StoredOptions, now: number): void {
  const { headers, auth, tls, proxy } = options
  if (headers !== undefined) checkHeaders(valuesOf(headers, secrets), auth !== undefined)
  if (auth !== undefined) checkAuth(auth, secrets.auth ?? '')
  if (tls !== undefined) checkTls({ ...tls, ...(secrets.tlsKey !== undefined && { key: secrets.tlsKey }) }, now)
  if (proxy?.username !== undefined) checkLogin('proxy', proxy.username, secrets.proxyPassword ?? '')
}

/** Headers as they are sent. */
function valuesOf(headers: NonNullable<WebhookOptions['headers']>, secrets: SecretOptions): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value ?? secrets.headers?.[name] ?? '']))
}

function checkTimeout(seconds: number, dialect: DialectName): void {
  const deadlineSeconds = dialectOf(dialect).retry.deadlineMs / SECOND_MS
  if (seconds >= TIMEOUT_SECONDS_MIN && seconds <= deadlineSeconds) return
  const bounds = `${TIMEOUT_SECONDS_MIN} to ${deadlineSeconds} seconds, the deadline of the dialect ${dialect}`
  throw invalid('timeoutSeconds', `timeoutSeconds must be ${bounds}, not ${seconds}`)
}

function checkCount(field: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw invalid(field, `${field} must be a whole number from 1 to ${max}, not ${value}`)
}

function checkAuth(auth: WebhookAuth, secret: string): void {
  if (auth.kind === 'basic') checkLogin('auth', auth.username, secret)
  if (auth.kind === 'bearer') checkCredential('auth.token', secret)
  if (auth.kind !== 'oauth2') return
  checkCredential('auth.clientId', auth.clientId)
  checkCredential('auth.clientSecret', secret)
  if (auth.scope !== undefined) checkCredential('auth.scope', auth.scope)
}

function checkLogin(field: string, username: string, password: string): void {
  checkCredential(`${field}.username`, username)
  // RFC 7617 section 2: the name ends at the first colon.
  if (username.includes(':'))
    throw invalid(`${field}.username`, `${field}.username has a colon, which ends the name in basic authentication`)
  checkCredential(`${field}.password`, password)
}

/** No message repeats a credential. */
function checkCredential(field: string, text: string): void {
  if (text.length < 1 || text.length > CREDENTIAL_CHARACTERS_MAX)
    throw invalid(field, `${field} must have 1 to ${CREDENTIAL_CHARACTERS_MAX} characters, not ${text.length}`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(text)) throw invalid(field, `${field} has a control character, such as the end of a line`)
}
