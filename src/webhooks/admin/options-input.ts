import { invalid } from '../invalid.ts'
import { MASKED } from '../redact.ts'
import type { SecretOptions, WebhookAuth, WebhookOptions } from '../webhook.ts'

/** What a person may say about the requests of a webhook. Left out: stays; null: back to the default. */
export interface OptionsInput {
  readonly alsoSign?: readonly string[] | null
  readonly cloudEventsMode?: 'structured' | 'binary' | null
  readonly timeoutSeconds?: number | null
  readonly concurrency?: number | null
  readonly rate?: { readonly count: number; readonly perSeconds: number } | null
  readonly expireAfterSeconds?: number | null
  /** Replaces all headers that were. */
  readonly headers?: Readonly<Record<string, HeaderInput>> | null
  readonly auth?: AuthInput | null
  readonly tls?: { readonly certificate?: string; readonly key?: string; readonly ca?: string } | null
  readonly proxy?: { readonly url: string; readonly username?: string; readonly password?: string } | null
}

/** A value that anybody may read, or one that is never shown again. */
export type HeaderInput = string | { readonly secret: string }

export type AuthInput =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | {
      readonly kind: 'oauth2'
      readonly tokenUrl: string
      readonly clientId: string
      readonly clientSecret: string
      readonly scope?: string
    }

/** Options as a webhook stores them: what may be shown, and what is sealed. */
export interface StoredOptions {
  readonly options: WebhookOptions
  readonly secrets: SecretOptions
}

/** The same with the secrets masked, in the shape of the input. */
export interface ShownOptions extends Omit<WebhookOptions, 'headers' | 'auth' | 'tls' | 'proxy'> {
  readonly headers?: Readonly<Record<string, HeaderInput>>
  readonly auth?: AuthInput
  readonly tls?: NonNullable<OptionsInput['tls']>
  readonly proxy?: NonNullable<OptionsInput['proxy']>
}

/** Whether the input says anything that touches secrets. */
export function namesSecretOptions(input: OptionsInput): boolean {
  return SECRET_MEMBERS.some((name) => input[name] !== undefined)
}

/**
 * The options after the part of an input that touches secrets. Throws `invalid` for a masked value where nothing is stored that it
 * could stand for: a secret that was given for one token endpoint or proxy is not sent to another one.
 */
export function applySecret(before: StoredOptions, input: OptionsInput): StoredOptions {
  return [withHeaders, withAuth, withTls, withProxy].reduce((stored, apply) => apply(stored, input), before)
}

/**
 * What the receiver of a webhook gets to see is not sent to another one either: with a url of another origin it is given again, or given up with null.
 * Whoever may change a webhook could read every secret otherwise.
 */
export function checkGivenAgain({ headers = {}, auth }: WebhookOptions, input: OptionsInput, origin: string): void {
  const secretHeader = Object.keys(headers).find((name) => headers[name] === null)
  if (secretHeader !== undefined && input.headers === undefined)
    throw givenElsewhere('headers', `the header ${secretHeader}`, origin)
  if (auth !== undefined && input.auth === undefined) throw givenElsewhere('auth', `auth (${auth.kind})`, origin)
}

function givenElsewhere(field: 'headers' | 'auth', what: string, origin: string): Error {
  return invalid(field, `${field}: ${what} was given for ${origin}; with a url elsewhere, give it again, or ${field}: null`)
}

/** Without what was for its receiver to see. */
export function withoutReceiver({ headers: _headers, auth: _auth, ...others }: SecretOptions): SecretOptions {
  return others
}

/** Options as they are told. */
export function shownOptions({ headers, auth, tls, proxy, ...plain }: WebhookOptions): ShownOptions {
  return {
    ...plain,
    ...(headers && { headers: mapped(headers, (value) => value ?? { secret: MASKED }) }),
    ...(auth && { auth: shownAuth(auth) }),
    ...(tls && { tls: { ...tls, ...(tls.certificate !== undefined && { key: MASKED }) } }),
    ...(proxy && { proxy: { ...proxy, ...(proxy.username !== undefined && { password: MASKED }) } }),
  }
}

function shownAuth(auth: WebhookAuth): AuthInput {
  if (auth.kind === 'basic') return { ...auth, password: MASKED }
  return auth.kind === 'bearer' ? { ...auth, token: MASKED } : { ...auth, clientSecret: MASKED }
}

const PLAIN_MEMBERS = ['alsoSign', 'cloudEventsMode', 'timeoutSeconds', 'concurrency', 'rate', 'expireAfterSeconds'] as const
const SECRET_MEMBERS = ['headers', 'auth', 'tls', 'proxy'] as const

/** The options after the part of an input that says nothing secret. */
export function applyPlain(options: WebhookOptions, input: OptionsInput): WebhookOptions {
  const merged: Record<string, unknown> = { ...options }
  for (const name of PLAIN_MEMBERS) if (input[name] !== undefined) merged[name] = input[name]
  // `alsoSign: []` asks for the default as null does.
  const said = Object.entries(merged).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
  return Object.fromEntries(said)
}

function withHeaders({ options, secrets }: StoredOptions, { headers: input }: OptionsInput): StoredOptions {
  if (input === undefined) return { options, secrets }
  const { headers: _headers, ...others } = options
  const { headers: storedHeaders = {}, ...otherSecrets } = secrets
  if (input === null || Object.keys(input).length === 0) return { options: others, secrets: otherSecrets }
  // Names of headers mean the same in any case (RFC 9110 section 5.1).
  const stored = new Map(Object.entries(storedHeaders).map(([name, value]) => [name.toLowerCase(), value]))
  const sealed = Object.entries(input).flatMap(([name, value]) => {
    const secret = secretIn(value)
    return secret === null ? [] : [[name, unmasked('headers', `headers: ${name}`, secret, stored.get(name.toLowerCase()))]]
  })
  return {
    options: { ...others, headers: mapped(input, (value) => (secretIn(value) === null ? String(value) : null)) },
    secrets: sealed.length === 0 ? otherSecrets : { ...otherSecrets, headers: Object.fromEntries(sealed) },
  }
}

/** Null: the value is for everybody to read. A mask stands for a secret, in whichever form it comes back. */
function secretIn(value: HeaderInput): string | null {
  if (typeof value !== 'string') return value.secret
  return value === MASKED ? value : null
}

function withAuth({ options, secrets }: StoredOptions, { auth: input }: OptionsInput): StoredOptions {
  if (input === undefined) return { options, secrets }
  const { auth: before, ...others } = options
  const { auth: stored, ...otherSecrets } = secrets
  if (input === null) return { options: others, secrets: otherSecrets }
  const { auth, field, secret } = splitAuth(input)
  const kept = before !== undefined && secretGoesTo(before) === secretGoesTo(auth) ? stored : undefined
  return {
    options: { ...others, auth },
    secrets: { ...otherSecrets, auth: unmasked(`auth.${field}`, `auth.${field}`, secret, kept) },
  }
}

function splitAuth(input: AuthInput): { auth: WebhookAuth; field: string; secret: string } {
  if (input.kind === 'basic') {
    const { password, ...auth } = input
    return { auth, field: 'password', secret: password }
  }
  if (input.kind === 'bearer') return { auth: { kind: 'bearer' }, field: 'token', secret: input.token }
  const { clientSecret, ...auth } = input
  return { auth, field: 'clientSecret', secret: clientSecret }
}

/** Who gets to see the secret. */
function secretGoesTo(auth: WebhookAuth): string {
  return auth.kind === 'oauth2' ? `oauth2 ${auth.tokenUrl}` : auth.kind
}

function withTls({ options, secrets }: StoredOptions, { tls: input }: OptionsInput): StoredOptions {
  if (input === undefined) return { options, secrets }
  const { tls: _tls, ...others } = options
  const { tlsKey: stored, ...otherSecrets } = secrets
  const { certificate, key, ca } = input ?? {}
  if ((certificate === undefined) !== (key === undefined))
    throw invalid('tls', `tls: ${certificate === undefined ? 'certificate' : 'key'} is missing; a client certificate needs both`)
  const tls = { ...(certificate !== undefined && { certificate }), ...(ca !== undefined && { ca }) }
  return {
    options: Object.keys(tls).length === 0 ? others : { ...others, tls },
    secrets: key === undefined ? otherSecrets : { ...otherSecrets, tlsKey: unmasked('tls.key', 'tls.key', key, stored) },
  }
}

function withProxy({ options, secrets }: StoredOptions, { proxy: input }: OptionsInput): StoredOptions {
  if (input === undefined) return { options, secrets }
  const { proxy: before, ...others } = options
  const { proxyPassword: stored, ...otherSecrets } = secrets
  if (input === null) return { options: others, secrets: otherSecrets }
  const { password, ...proxy } = input
  if ((proxy.username === undefined) !== (password === undefined))
    throw invalid('proxy', `proxy: ${password === undefined ? 'password' : 'username'} is missing; a login needs both`)
  const kept = before?.url === proxy.url ? stored : undefined
  return {
    options: { ...others, proxy },
    secrets:
      password === undefined
        ? otherSecrets
        : { ...otherSecrets, proxyPassword: unmasked('proxy.password', 'proxy.password', password, kept) },
  }
}

/** The secret itself: the given one, or the stored one that its mask stands for. */
function unmasked(field: string, what: string, given: string, stored: string | undefined): string {
  if (given !== MASKED) return given
  if (stored === undefined)
    throw invalid(field, `${what} is masked, but no value is stored that was given for the same receiver; give it again`)
  return stored
}

function mapped<Value, Result>(values: Readonly<Record<string, Value>>, map: (value: Value) => Result): Record<string, Result> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]))
}
