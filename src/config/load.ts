import { AppError } from '../base/error.ts'
import { nearest } from '../base/nearest.ts'
import { type Address, flagOf, SETTINGS, type SettingName, type SettingSpec, type Settings, variableOf } from './settings.ts'

/** A variable that belongs to the command line, not to the server's table. */
const OTHER_VARIABLES = ['LANDFALL_SERVER']

/**
 * Settings from flags and the environment; a flag wins. Refuses unknown names with the nearest known one, and values
 * out of bounds with the bound. Never repeats the value of a secret.
 * @throws AppError `setting_invalid`
 */
export function loadSettings(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Settings {
  const names = Object.keys(SETTINGS) as SettingName[]
  refuseUnknown(Object.keys(flags), names.map(flagOf))
  refuseUnknown(
    Object.keys(environment).filter((name) => name.startsWith('LANDFALL_')),
    [...names.map(variableOf), ...OTHER_VARIABLES],
  )
  const values: Partial<Record<SettingName, unknown>> = {}
  for (const name of names) {
    const flag = flags[flagOf(name)]
    const written = flag ?? environment[variableOf(name)]
    const origin = flag === undefined ? variableOf(name) : flagOf(name)
    values[name] = parse(origin, SETTINGS[name], written === undefined || written === '' ? undefined : written)
  }
  const settings = values as Settings
  refusePlacesNotOffered(settings)
  refuseMailThatCannotBeSent(settings)
  return settings
}

/** An address that nobody here speaks must not become the name of a folder or of a file. The database's may hold a password: it is not repeated. */
function refusePlacesNotOffered({ storage, database }: Settings): void {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(storage)) {
    const message = `${variableOf('storage')} is a folder; other storages are not offered yet, so not ${JSON.stringify(storage)}`
    throw new AppError('setting_invalid', message, { field: 'storage' })
  }
  if (database !== '' && !/^postgres(ql)?:\/\//.test(database)) {
    throw new AppError('setting_invalid', `${variableOf('database')} is a postgres:// address, or empty for SQLite`, {
      field: 'database',
    })
  }
}

/** Addresses of one mail. */
const MAIL_ADDRESSES_MAX = 50
/** RFC 5321 section 4.5.3.1.3, less the angle brackets. */
const MAIL_ADDRESS_CHARACTERS_MAX = 254

/** A mistake here would be found only when the first alert is raised. The address of the mail server holds a password: it is not repeated. */
function refuseMailThatCannotBeSent({ publicUrl, smtpUrl, alertEmail, alertFrom }: Settings): void {
  if (publicUrl !== '' && !/^https?:$/.test(urlOf(publicUrl)?.protocol ?? ''))
    refuse(variableOf('publicUrl'), 'is an http:// or https:// address', publicUrl)
  if (smtpUrl !== '' && !isMailServer(smtpUrl)) {
    const message = `${variableOf('smtpUrl')} is smtp://user:password@host:port or smtps://…, with nothing behind the port; characters such as @ and / in user and password are written as %40 and %2F`
    throw new AppError('setting_invalid', message, { field: 'smtpUrl' })
  }
  if (alertEmail.length > MAIL_ADDRESSES_MAX)
    refuse(variableOf('alertEmail'), `has at most ${MAIL_ADDRESSES_MAX} addresses`, alertEmail.length)
  const wrong = alertEmail.find((address) => !isMailAddress(address))
  if (wrong !== undefined) refuse(variableOf('alertEmail'), 'is a list of mail addresses, separated by commas', wrong)
  if (alertFrom !== '' && !isMailAddress(alertFrom)) refuse(variableOf('alertFrom'), 'is one mail address', alertFrom)
  if ((smtpUrl === '') !== (alertEmail.length === 0)) {
    const [given, missing] = smtpUrl === '' ? (['alertEmail', 'smtpUrl'] as const) : (['smtpUrl', 'alertEmail'] as const)
    const message = `${variableOf(given)} is given without ${variableOf(missing)}: mails about alerts need both`
    throw new AppError('setting_invalid', message, { field: missing })
  }
}

function isMailServer(text: string): boolean {
  const url = urlOf(text)
  if (url === undefined || !/^smtps?:$/.test(url.protocol) || url.hostname === '') return false
  return /^\/?$/.test(url.pathname) && url.search === '' && url.hash === '' && isDecodable(url.username + url.password)
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function isMailAddress(text: string): boolean {
  return text.length <= MAIL_ADDRESS_CHARACTERS_MAX && /^[^\s@<>()[\],;:\\"]+@[^\s@<>()[\],;:\\"]+$/.test(text)
}

function refuseUnknown(written: readonly string[], known: readonly string[]): void {
  const unknown = written.find((name) => !known.includes(name))
  if (unknown === undefined) return
  const close = nearest(unknown, known)
  const hint = close === undefined ? 'docs/settings.md lists all' : `did you mean ${close}?`
  throw new AppError('setting_invalid', `${unknown} is not a setting: ${hint}`, { field: unknown })
}

function parse(origin: string, spec: SettingSpec, written: string | undefined): unknown {
  const value = written ?? spec.fallback
  switch (spec.kind) {
    case 'text':
      return value
    case 'list':
      return String(value)
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    case 'choice':
      if (!spec.choices.includes(String(value))) refuse(origin, `is one of ${spec.choices.join(', ')}`, value)
      return value
    case 'address':
      return parseAddress(origin, String(value))
    case 'count':
    case 'span': {
      const number = Number(value)
      const unit = spec.kind === 'span' ? ' ms' : ''
      if (!Number.isInteger(number) || number < spec.min || number > spec.max) {
        refuse(origin, `is a whole number from ${spec.min} to ${spec.max}${unit}`, value)
      }
      return number
    }
  }
}

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`. */
function parseAddress(origin: string, value: string): Address {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(value)
  const port = Number(parts?.[3])
  const host = parts?.[1] ?? parts?.[2]
  if (host === undefined || !(port <= 65_535)) refuse(origin, 'is host:port with a port from 0 to 65535', value)
  return { host, port }
}

function refuse(origin: string, bound: string, value: unknown): never {
  throw new AppError('setting_invalid', `${origin} ${bound}, not ${JSON.stringify(value)}`, { field: origin })
}
