import { readFile } from 'node:fs/promises'
import { type Call, CommandError, listOf, many, optional } from './command.ts'
import { durationSeconds } from './duration.ts'
import { filterOf } from './filter-flags.ts'
import { readPassword } from './stdin.ts'

/** Flags that shape a webhook and its requests. A SOURCE of something secret is `stdin`, `env:NAME` or `file:PATH`. */
export const SHAPING_OPTIONS = {
  filter: {
    type: 'string',
    multiple: true,
    meaning: 'data.path=/in/**/*.csv, data.size:gte=1, data.username!=a; repeatable, all must hold',
  },
  'filter-json': { type: 'string', member: 'filter', meaning: 'the filter as JSON' },
  order: { type: 'string', meaning: 'none, webhook, or key: one after the other of each path, transfer or job' },
  'also-sign': { type: 'string', meaning: 'dialects whose signatures go along, separated by commas' },
  'cloudevents-mode': { type: 'string', member: 'cloudEventsMode', meaning: 'structured or binary (dialect cloudevents)' },
  timeout: { type: 'string', member: 'timeoutSeconds', meaning: 'time for the whole answer, such as 5s' },
  concurrency: { type: 'string', meaning: 'posts at once' },
  rate: { type: 'string', meaning: 'posts in a time, such as 100/60s' },
  expire: { type: 'string', member: 'expireAfterSeconds', meaning: 'give up what is not delivered after, such as 1h' },
  retry: { type: 'string', meaning: 'delays before the 2nd, 3rd, … attempt, such as 30s,5m,1h' },
  header: {
    type: 'string',
    member: 'headers',
    multiple: true,
    meaning: "a header of every request: 'X-Team: orders'; repeatable",
  },
  'secret-header': {
    type: 'string',
    member: 'headers',
    multiple: true,
    meaning: "the same with a SOURCE of its value: 'X-Api-Key: env:KEY'",
  },
  basic: { type: 'string', member: 'auth.username', meaning: 'user name for basic authentication' },
  'basic-password': { type: 'string', member: 'auth.password', meaning: 'SOURCE of its password: stdin, env:NAME or file:PATH' },
  bearer: { type: 'string', member: 'auth.token', meaning: 'SOURCE of a bearer token' },
  'oauth2-token-url': {
    type: 'string',
    member: 'auth.tokenUrl',
    meaning: 'where access tokens are asked for (client credentials)',
  },
  'oauth2-client-id': { type: 'string', member: 'auth.clientId', meaning: 'the client' },
  'oauth2-client-secret': { type: 'string', member: 'auth.clientSecret', meaning: 'SOURCE of its secret' },
  'oauth2-scope': { type: 'string', member: 'auth.scope', meaning: 'the scope asked for' },
  'client-certificate': { type: 'string', member: 'tls.certificate', meaning: 'file of the client certificate, PEM' },
  'client-key': { type: 'string', member: 'tls.key', meaning: 'file of its key, PEM' },
  ca: { type: 'string', member: 'tls.ca', meaning: 'file of authorities trusted for this receiver, PEM' },
  proxy: { type: 'string', member: 'proxy.url', meaning: 'url of an HTTP proxy' },
  'proxy-user': { type: 'string', member: 'proxy.username', meaning: 'where the proxy asks for a login' },
  'proxy-password': { type: 'string', member: 'proxy.password', meaning: 'SOURCE of its password' },
} as const

export const RESET_OPTION = {
  reset: {
    type: 'string',
    meaning: 'back to the default: filter, order, rate, headers, auth, tls, proxy, …; separated by commas',
  },
} as const

/** What the flags say, as members of a body; `before` is the webhook as it is shown, on a change. */
export async function shapeOf(call: Call, before: Shown = {}): Promise<object> {
  const shape = {
    filter: filterFlag(call),
    order: optional(call, 'order'),
    alsoSign: listOf(optional(call, 'also-sign')),
    cloudEventsMode: optional(call, 'cloudevents-mode'),
    timeoutSeconds: seconds(call, 'timeout'),
    concurrency: whole(call, 'concurrency'),
    rate: rateFlag(call),
    expireAfterSeconds: seconds(call, 'expire'),
    retry: retryFlag(call),
    headers: await headersFlag(call, before),
    auth: await authFlag(call, before),
    tls: await tlsFlag(call, before),
    proxy: await proxyFlag(call, before),
  }
  // What no flag says must not hide what --reset does.
  return { ...resetOf(call), ...said(shape) }
}

function said(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** Of a webhook as it is shown: secrets masked, and a mask sent back keeps what is stored. */
export interface Shown {
  readonly headers?: Record<string, unknown> | null
  readonly auth?: { readonly kind: string } | null
  readonly tls?: Record<string, string> | null
  readonly proxy?: { readonly url: string; readonly username?: string; readonly password?: string } | null
}

const RESETTABLE = [
  ...['filter', 'order', 'alsoSign', 'cloudEventsMode', 'timeoutSeconds', 'concurrency', 'rate', 'expireAfterSeconds', 'retry'],
  ...['headers', 'auth', 'tls', 'proxy', 'secret'],
]

function resetOf(call: Call): Record<string, null> {
  const names = listOf(optional(call, 'reset')) ?? []
  const unknown = names.find((name) => !RESETTABLE.includes(name))
  if (unknown !== undefined) throw new CommandError(`--reset knows ${RESETTABLE.join(', ')}, not ${JSON.stringify(unknown)}`)
  return Object.fromEntries(names.map((name) => [name, null]))
}

function filterFlag(call: Call): unknown {
  const json = optional(call, 'filter-json')
  const flags = many(call, 'filter')
  if (json === undefined) return flags.length === 0 ? undefined : filterOf(flags)
  if (flags.length > 0) throw new CommandError('--filter and --filter-json: give one or the other')
  try {
    return JSON.parse(json)
  } catch {
    throw new CommandError('--filter-json is no JSON, such as {"data.path": {"glob": "/in/**"}}')
  }
}

function seconds(call: Call, name: string): number | undefined {
  const value = optional(call, name)
  return value === undefined ? undefined : durationSeconds(name, value)
}

function whole(call: Call, name: string): number | undefined {
  const value = optional(call, name)
  if (value !== undefined && !/^\d{1,9}$/.test(value))
    throw new CommandError(`--${name} is a whole number, not ${JSON.stringify(value)}`)
  return value === undefined ? undefined : Number(value)
}

function rateFlag(call: Call) {
  const value = optional(call, 'rate')
  if (value === undefined) return undefined
  const [, count, span] = /^(\d{1,9})\/(\w+)$/.exec(value) ?? []
  if (count === undefined || span === undefined)
    throw new CommandError(`--rate is posts in a time such as 100/60s, not ${JSON.stringify(value)}`)
  return { count: Number(count), perSeconds: durationSeconds('rate', span) }
}

function retryFlag(call: Call) {
  const delays = listOf(optional(call, 'retry'))
  return delays && { delaysSeconds: delays.map((delay) => durationSeconds('retry', delay)) }
}

async function headersFlag(call: Call, { headers }: Shown) {
  const plain = many(call, 'header').map((header) => headerIn('header', header))
  const secret = many(call, 'secret-header').map((header) => headerIn('secret-header', header))
  if (plain.length + secret.length === 0) return undefined
  const given = [
    ...plain,
    ...(await inTurn(secret, async ([name, source]) => [name, { secret: await secretFrom('secret-header', source) }] as const)),
  ]
  const replaced = new Set(given.map(([name]) => name.toLowerCase()))
  const kept = Object.entries(headers ?? {}).filter(([name]) => !replaced.has(name.toLowerCase()))
  return Object.fromEntries([...kept, ...given])
}

function headerIn(flag: string, header: string): readonly [name: string, value: string] {
  const [, name, value] = /^([^\s:]+):\s*(.+)$/s.exec(header) ?? []
  // The header may hold a secret that was meant for --secret-header.
  if (name === undefined || value === undefined)
    throw new CommandError(`--${flag} is 'Name: ${flag === 'header' ? 'value' : 'SOURCE'}'`)
  return [name, value]
}

/** The option that chooses a kind of authentication, and those that go with it. */
const AUTH_FLAGS = {
  basic: { chosenBy: 'basic', parts: ['basic-password'] },
  bearer: { chosenBy: 'bearer', parts: [] },
  oauth2: { chosenBy: 'oauth2-token-url', parts: ['oauth2-client-id', 'oauth2-client-secret', 'oauth2-scope'] },
} as const

async function authFlag(call: Call, { auth: before }: Shown) {
  const chosen = Object.entries(AUTH_FLAGS).filter(([, { chosenBy }]) => optional(call, chosenBy) !== undefined)
  if (chosen.length > 1) throw new CommandError('--basic, --bearer and --oauth2-token-url: give one of them')
  const kind = chosen[0]?.[0]
  refuseStray(call, kind ?? before?.kind)
  const [clientId, scope] = [optional(call, 'oauth2-client-id'), optional(call, 'oauth2-scope')]
  if (kind === 'basic') return { kind, username: optional(call, 'basic'), password: await secretFlag(call, 'basic-password') }
  if (kind === 'bearer') return { kind, token: await secretFlag(call, 'bearer') }
  if (kind === 'oauth2') {
    const clientSecret = await secretFlag(call, 'oauth2-client-secret')
    return { kind, tokenUrl: optional(call, 'oauth2-token-url'), clientId, clientSecret, scope }
  }
  // Parts alone change what the webhook has.
  const [password, clientSecret] = [
    await secretIfGiven(call, 'basic-password'),
    await secretIfGiven(call, 'oauth2-client-secret'),
  ]
  const parts = said({ clientId, clientSecret, scope, password })
  return Object.keys(parts).length === 0 ? undefined : { ...before, ...parts }
}

function refuseStray(call: Call, kind: string | undefined): void {
  for (const [owner, { chosenBy, parts }] of Object.entries(AUTH_FLAGS)) {
    const stray = parts.find((part) => optional(call, part) !== undefined)
    if (stray !== undefined && owner !== kind) throw new CommandError(`--${stray} goes with --${chosenBy}`)
  }
}

async function tlsFlag(call: Call, { tls }: Shown) {
  const files = { certificate: optional(call, 'client-certificate'), key: optional(call, 'client-key'), ca: optional(call, 'ca') }
  const given = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined)
  if (given.length === 0) return undefined
  return { ...tls, ...Object.fromEntries(await inTurn(given, async ([name, path]) => [name, await textOf(path)] as const)) }
}

async function proxyFlag(call: Call, { proxy: before }: Shown) {
  const [url, user] = [optional(call, 'proxy'), optional(call, 'proxy-user')]
  const isPassword = optional(call, 'proxy-password') !== undefined
  if (url === undefined && user === undefined && !isPassword) return undefined
  // A login alone is for the proxy that the webhook has.
  const proxy = url === undefined ? before : { url }
  if (!proxy) throw new CommandError(`--${user === undefined ? 'proxy-password' : 'proxy-user'} goes with --proxy`)
  const username = user ?? proxy.username
  if (username === undefined && isPassword) throw new CommandError('--proxy-password goes with --proxy-user')
  if (username === undefined) return proxy
  const password = isPassword || proxy.password === undefined ? await secretFlag(call, 'proxy-password') : proxy.password
  return { ...proxy, username, password }
}

async function secretFlag(call: Call, flag: string): Promise<string> {
  const source = optional(call, flag)
  if (source === undefined) throw new CommandError(`--${flag} is needed: stdin, env:NAME or file:PATH`)
  return secretFrom(flag, source)
}

async function secretIfGiven(call: Call, flag: string): Promise<string | undefined> {
  const source = optional(call, flag)
  return source === undefined ? undefined : secretFrom(flag, source)
}

/** Never the secret itself on the command line, where every user of the machine can read it. */
async function secretFrom(flag: string, source: string): Promise<string> {
  const [, kind, name] = /^(stdin|env|file)(?::(.+))?$/s.exec(source) ?? []
  if (kind === 'stdin' && name === undefined) return readPassword()
  if (kind === 'file' && name !== undefined) return (await textOf(name)).replace(/\r?\n$/, '')
  const value = kind === 'env' && name !== undefined ? process.env[name] : undefined
  if (value !== undefined) return value
  throw new CommandError(
    kind === 'env' && name !== undefined
      ? `--${flag}: the variable ${name} is not set`
      : `--${flag} names where its value is: stdin, env:NAME or file:PATH`,
  )
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw new CommandError(`cannot read ${path}: ${(cause as NodeJS.ErrnoException).code}`)
  })
}

async function inTurn<Value, Result>(values: readonly Value[], work: (value: Value) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  for (const value of values) results.push(await work(value))
  return results
}
