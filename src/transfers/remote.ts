import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { AppError } from '../base/error.ts'
import { faultOfLabel } from '../base/label.ts'
import type { Endpoint } from '../wire/agent/work.ts'
import { DEFAULT_PORTS, IMPLICIT_FTPS_PORT } from './locate.ts'
import type { Remote, RemoteOptions, RemoteProtocol, RemoteSecrets } from './transfer.ts'

// What a remote of each protocol is made of, how it is checked, and what an agent is told of it.

export const REMOTE_PROTOCOLS = ['sftp', 'ftp', 'ftps', 'http', 'https', 's3'] as const satisfies readonly RemoteProtocol[]

/** Everything that may be said of a remote, all protocols together. Null takes away what was there. */
export type RemoteInput = { readonly name: string; readonly protocol: string } & {
  readonly [Field in keyof RemoteFields]?: RemoteFields[Field] | null
}

export interface RemoteFields extends Present<Omit<RemoteOptions, 'tls'>>, Present<RemoteSecrets> {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly tls: string
}

type Present<Plain> = { readonly [Field in keyof Plain]-?: NonNullable<Plain[Field]> }
type Field = keyof RemoteFields

export const SECRET_FIELDS = [
  ...(['password', 'privateKey', 'passphrase', 'bearer', 'accessKeyId', 'secretAccessKey'] as const),
] as const satisfies readonly (keyof RemoteSecrets)[]
const OPTION_FIELDS = [
  ...(['hostKeys', 'trustFirstHostKey', 'tls', 'ca', 'certificates', 'endpoint', 'region', 'bucket', 'pathStyle'] as const),
] as const satisfies readonly (keyof RemoteOptions)[]

const FIELDS: Readonly<Record<RemoteProtocol, { readonly needed: readonly Field[]; readonly others: readonly Field[] }>> = {
  sftp: {
    needed: ['host', 'username'],
    others: ['port', 'password', 'privateKey', 'passphrase', 'hostKeys', 'trustFirstHostKey'],
  },
  ftp: { needed: ['host', 'username', 'password'], others: ['port'] },
  ftps: { needed: ['host', 'username', 'password'], others: ['port', 'tls', 'ca', 'certificates'] },
  http: { needed: ['host'], others: ['port', 'username', 'password', 'bearer'] },
  https: { needed: ['host'], others: ['port', 'username', 'password', 'bearer', 'ca'] },
  s3: { needed: ['bucket', 'accessKeyId', 'secretAccessKey'], others: ['region', 'endpoint', 'pathStyle', 'ca'] },
}

export const NAME_CHARACTERS_MAX = 100
export const USERNAME_CHARACTERS_MAX = 255
export const SECRET_CHARACTERS_MAX = 4_096
/** A private key or certificates in PEM. */
export const PEM_CHARACTERS_MAX = 64 * 1024
/** Pinned keys or certificates of one remote: more than one only while one takes over from another. */
export const PINS_MAX = 10
const REGION_DEFAULT = 'us-east-1'

/** The parts of a remote that are stored in the open, and those that are sealed. */
export interface CheckedRemote {
  readonly name: string
  readonly protocol: RemoteProtocol
  readonly host: string
  readonly port: number
  readonly username: string | null
  readonly options: RemoteOptions
  readonly secrets: RemoteSecrets
}

/** Throws `invalid` with field, bound and value (never that of a secret) for what its protocol does not know, lacks or cannot have. */
export function checkRemote(input: RemoteInput): CheckedRemote {
  const protocol = checkProtocol(input.protocol)
  const { needed, others } = FIELDS[protocol]
  const given = Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== null && value !== undefined),
  ) as RemoteInput
  const known: readonly string[] = ['name', 'protocol', ...needed, ...others]
  for (const field of Object.keys(given)) {
    if (!known.includes(field)) throw wrong(field, `${field} is nothing that a remote of ${protocol} has`)
  }
  for (const field of needed)
    if (given[field] === undefined) throw wrong(field, `${field} is missing; a remote of ${protocol} needs it`)
  const options = withDefaults(protocol, optionsIn(given))
  const checked = {
    name: checkText('name', given.name, NAME_CHARACTERS_MAX),
    protocol,
    ...addressOf(protocol, given, options),
    username: given.username == null ? null : checkText('username', given.username, USERNAME_CHARACTERS_MAX),
    options,
    secrets: secretsIn(given),
  }
  checkWhole(checked)
  return checked
}

function checkProtocol(text: string): RemoteProtocol {
  const protocol = REMOTE_PROTOCOLS.find((known) => known === text)
  if (protocol === undefined) throw wrong('protocol', `protocol is one of ${REMOTE_PROTOCOLS.join(', ')}, not ${text}`)
  return protocol
}

function addressOf(protocol: RemoteProtocol, given: RemoteInput, options: RemoteOptions): { host: string; port: number } {
  if (protocol !== 's3') {
    const implicit = options.tls === 'implicit' ? IMPLICIT_FTPS_PORT : undefined
    return { host: checkHost(given.host!), port: checkPort(given.port ?? implicit ?? DEFAULT_PORTS[protocol]) }
  }
  if (options.endpoint === undefined) return { host: `s3.${options.region}.amazonaws.com`, port: DEFAULT_PORTS.s3 }
  const { hostname, port, protocol: scheme } = new URL(options.endpoint)
  const usual = scheme === 'http:' ? DEFAULT_PORTS.http : DEFAULT_PORTS.https
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? usual : Number(port) }
}

/** Labels (RFC 1123 §2.1, underscores too), and a dot at the end of one that is complete. */
const HOST = /^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i

function checkHost(host: string): string {
  if (isIP(host) !== 0 || HOST.test(host)) return host
  throw wrong(
    'host',
    `host is a name or an address, without scheme, port, user or path, of at most 253 characters; it is ${host}`,
  )
}

function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw wrong('port', `port is between 1 and 65535, not ${port}`)
}

/** What only shows when all is known. */
function checkWhole({ protocol, username, options, secrets }: CheckedRemote): void {
  if (secrets.passphrase !== undefined && secrets.privateKey === undefined)
    throw wrong('passphrase', 'passphrase is that of privateKey, which is missing')
  if (protocol === 'sftp') {
    if (secrets.password === undefined && secrets.privateKey === undefined)
      throw wrong('password', 'password or privateKey is missing; a remote of sftp needs one of them')
    if ((options.hostKeys ?? []).length === 0 && options.trustFirstHostKey !== true)
      throw wrong(
        'hostKeys',
        'hostKeys is missing: give what `ssh-keyscan HOST | ssh-keygen -lf -` prints (SHA256:…), or set trustFirstHostKey to take and pin the first key that is shown',
      )
  }
  if (protocol === 'http' || protocol === 'https') {
    if ((username === null) !== (secrets.password === undefined)) throw wrong('username', 'username and password go together')
    if (username !== null && secrets.bearer !== undefined)
      throw wrong('bearer', 'bearer takes the place of username and password; give one of them')
  }
}

function optionsIn(given: RemoteInput): RemoteOptions {
  const checks = CHECKS as { readonly [Name in OptionField]: (value: unknown) => unknown }
  const options = OPTION_FIELDS.flatMap((field) => (given[field] == null ? [] : [[field, checks[field](given[field])]]))
  return Object.fromEntries(options)
}

function secretsIn(given: RemoteInput): RemoteSecrets {
  const secrets = SECRET_FIELDS.flatMap((field) => (given[field] == null ? [] : [[field, checkSecret(field, given[field])]]))
  return Object.fromEntries(secrets)
}

function withDefaults(protocol: RemoteProtocol, options: RemoteOptions): RemoteOptions {
  if (protocol === 'ftps') return { ...options, tls: options.tls ?? 'explicit' }
  if (protocol !== 's3') return options
  return { ...options, region: options.region ?? REGION_DEFAULT, pathStyle: options.pathStyle ?? options.endpoint !== undefined }
}

const HOST_KEY = /^SHA256:[A-Za-z0-9+/]{43}$/
const FINGERPRINT = /^[0-9a-f]{64}$/
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/
const REGION = /^[a-z0-9-]{1,32}$/

type OptionField = (typeof OPTION_FIELDS)[number]
const CHECKS: { readonly [Name in OptionField]: (value: never) => RemoteFields[Name] } = {
  hostKeys: (keys: readonly string[]) =>
    checkPins('hostKeys', keys, (key) => HOST_KEY.test(key), 'SHA256: and 43 characters of base64, as `ssh-keygen -l` prints'),
  trustFirstHostKey: (trusts: boolean) => trusts,
  tls: (tls: string) => {
    if (tls === 'implicit' || tls === 'explicit') return tls
    throw wrong('tls', `tls is implicit or explicit, not ${tls}`)
  },
  ca: checkCa,
  certificates: (all: readonly string[]) =>
    checkPins('certificates', all, (each) => FINGERPRINT.test(each), 'the SHA-256 of a certificate in 64 lower-case hex digits'),
  endpoint: checkEndpoint,
  region: (region: string) => checkForm('region', region, REGION, '1 to 32 of a-z, 0-9 and -'),
  bucket: (bucket: string) => checkForm('bucket', bucket, BUCKET, '3 to 63 of a-z, 0-9, dot, - and _'),
  pathStyle: (isInPath: boolean) => isInPath,
}

function checkPins(field: string, pins: readonly string[], isPin: (pin: string) => boolean, form: string): readonly string[] {
  if (pins.length > PINS_MAX) throw wrong(field, `${field} has at most ${PINS_MAX} entries, not ${pins.length}`)
  const other = pins.find((pin) => !isPin(pin))
  if (other !== undefined) throw wrong(field, `each of ${field} is ${form}, not ${other}`)
  return pins
}

function checkCa(pem: string): string {
  checkText('ca', pem, PEM_CHARACTERS_MAX, /[^\P{Cc}\r\n\t]/u)
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    for (const block of blocks) new X509Certificate(block)
  } catch {
    throw wrong('ca', 'ca has a certificate in PEM that cannot be read')
  }
  if (blocks.length === 0) throw wrong('ca', 'ca is one or more certificates in PEM (-----BEGIN CERTIFICATE-----)')
  return pem
}

function checkEndpoint(text: string): string {
  const url = URL.parse(checkText('endpoint', text, 2_048))
  const isPlain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (isPlain && ['http:', 'https:'].includes(url.protocol) && url.pathname === '/') return url.origin
  throw wrong('endpoint', 'endpoint is http(s)://HOST[:PORT], without user, path or query')
}

function checkForm(field: string, text: string, form: RegExp, said: string): string {
  if (form.test(text)) return text
  throw wrong(field, `${field} has ${said}; it is ${text}`)
}

function checkText(field: string, text: string, charactersMax: number, refused?: RegExp): string {
  if (text.length === 0 || text.length > charactersMax)
    throw wrong(field, `${field} has 1 to ${charactersMax} characters, not ${text.length}`)
  const fault = refused === undefined ? faultOfLabel(text) : refused.test(text) ? 'has a control character' : undefined
  if (fault !== undefined) throw wrong(field, `${field} ${fault}`)
  return text
}

/** Messages say nothing of what it is. */
function checkSecret(field: (typeof SECRET_FIELDS)[number], secret: string): string {
  if (field === 'privateKey') {
    checkText(field, secret, PEM_CHARACTERS_MAX, /\0/)
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(secret)) return secret
    throw wrong(field, 'privateKey is a private key of OpenSSH or in PEM (-----BEGIN … PRIVATE KEY-----)')
  }
  return checkText(field, secret, SECRET_CHARACTERS_MAX, /[\0\r\n]/)
}

function wrong(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}

/** What the agent needs to go there. */
export function endpointOf({ protocol, host, port, username, options }: Remote, secrets: RemoteSecrets): Endpoint {
  const { password, bearer } = secrets
  const ca = options.ca === undefined ? {} : { ca: options.ca }
  switch (protocol) {
    case 'sftp':
      return {
        ...{ protocol, host, port, username: username ?? '' },
        ...picked(secrets, 'password', 'privateKey', 'passphrase'),
        ...{ hostKeys: options.hostKeys ?? [], trustsFirstKey: options.trustFirstHostKey === true },
      }
    case 'ftp':
      return { protocol, host, port, username: username ?? '', password: password ?? '', tls: 'none' }
    case 'ftps':
      return {
        ...{ protocol, host, port, username: username ?? '', password: password ?? '', tls: options.tls ?? 'explicit' },
        ...ca,
        ...(options.certificates === undefined ? {} : { certificates: options.certificates }),
      }
    case 'http':
    case 'https': {
      const login = username === null ? {} : { username, password: password ?? '' }
      return { protocol, host, port, ...login, ...(bearer === undefined ? {} : { bearer }), ...ca }
    }
    case 's3':
      return {
        ...{ protocol, region: options.region ?? REGION_DEFAULT, bucket: options.bucket ?? '' },
        ...{ accessKeyId: secrets.accessKeyId ?? '', secretAccessKey: secrets.secretAccessKey ?? '' },
        pathStyle: options.pathStyle === true,
        ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
        ...ca,
      }
  }
}

function picked<Name extends keyof RemoteSecrets>(secrets: RemoteSecrets, ...names: readonly Name[]): Pick<RemoteSecrets, Name> {
  return Object.fromEntries(names.flatMap((name) => (secrets[name] === undefined ? [] : [[name, secrets[name]]]))) as Pick<
    RemoteSecrets,
    Name
  >
}
