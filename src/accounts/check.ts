import { AppError } from '../base/error.ts'
import { faultOfLabel } from '../base/label.ts'
import { PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN } from './password.ts'
import { PERMISSIONS, type Permission, SCOPES, type Scope } from './permission.ts'
import { PLANS, type PlanName } from './plan.ts'
import { parseSshKey } from './ssh-key.ts'
import type { UserKey } from './user.ts'

/**
 * What accounts, users and keys may be made of. Each check returns the value or throws `invalid` with a message that
 * begins with the field and names the bound and the value (a password's length, never the password).
 */
const SLUG_PATTERN = '^[a-z0-9](-?[a-z0-9])*$'
export const SLUG_CHARS_MAX = 32
const USER_NAME_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9._-]*$'
export const USER_NAME_CHARS_MAX = 64
/** Of accounts, keys and tokens: for people. */
export const LABEL_CHARS_MAX = 100
export const HOME_BYTES_MAX = 1_024
/** Longest name in common file systems (NAME_MAX of Linux). */
const HOME_PART_BYTES_MAX = 255
export const USER_KEYS_MAX = 20
export const HOURLY_LIMIT_MAX = 1_000_000
/** A given administrator token: long enough not to be guessed, short enough for a header. */
const ADMIN_TOKEN_CHARS_MIN = 16
export const ADMIN_TOKEN_CHARS_MAX = 256
/** The server's own folder in the storage; no home may lie in it. */
const RESERVED_HOME = '/.landfall'

export function checkSlug(slug: string): string {
  checkLength('slug', slug, SLUG_CHARS_MAX)
  if (!new RegExp(SLUG_PATTERN).test(slug))
    refuse('slug', `is ${quote(slug)}, not lower-case letters and digits with single hyphens between them`)
  return slug
}

export function checkUserName(name: string): string {
  checkLength('name', name, USER_NAME_CHARS_MAX)
  if (!new RegExp(USER_NAME_PATTERN).test(name)) {
    refuse('name', `is ${quote(name)}, not letters, digits, ".", "_" and "-" with a letter, digit or "_" first`)
  }
  return name
}

export function checkLabel(name: string): string {
  checkLength('name', name, LABEL_CHARS_MAX)
  const fault = faultOfLabel(name)
  if (fault !== undefined) refuse('name', fault)
  if (name.trim() !== name) refuse('name', `is ${quote(name)}, which begins or ends with a space`)
  return name
}

export function checkPlan(plan: string): PlanName {
  if (!Object.hasOwn(PLANS, plan)) refuse('plan', `is ${quote(plan)}, not one of ${Object.keys(PLANS).join(', ')}`)
  return plan as PlanName
}

export function checkPassword(password: string): string {
  const bytes = Buffer.byteLength(password)
  if (bytes < PASSWORD_BYTES_MIN || bytes > PASSWORD_BYTES_MAX) {
    refuse('password', `has ${bytes} bytes, not ${PASSWORD_BYTES_MIN} to ${PASSWORD_BYTES_MAX}`)
  }
  if (!password.isWellFormed()) refuse('password', 'is not well-formed Unicode')
  return password
}

export function checkPermissions(permissions: readonly string[]): Permission[] {
  return checkChoices('permissions', permissions, PERMISSIONS)
}

export function checkScopes(scopes: readonly string[]): Scope[] {
  return checkChoices('scopes', scopes, SCOPES)
}

/** `within` is the folder that it must be or lie in, where the caller is bound to an account. */
export function checkHome(home: string, within: string | null): string {
  const bytes = Buffer.byteLength(home)
  if (bytes > HOME_BYTES_MAX) refuse('home', `has ${bytes} bytes, at most ${HOME_BYTES_MAX} are taken`)
  if (!home.startsWith('/') || home === '/') refuse('home', `is ${quote(home)}, not an absolute path below "/"`)
  for (const part of home.slice(1).split('/')) {
    if (part === '' || part === '.' || part === '..') refuse('home', `is ${quote(home)}, which has an empty part, "." or ".."`)
    if (/[\p{Cc}\\]/u.test(part) || !part.isWellFormed())
      refuse('home', `is ${quote(home)}, which has a control character or a backslash`)
    const partBytes = Buffer.byteLength(part)
    if (partBytes > HOME_PART_BYTES_MAX)
      refuse('home', `has a part of ${partBytes} bytes, at most ${HOME_PART_BYTES_MAX} are taken`)
  }
  // Some file systems do not tell upper from lower case.
  if (isWithin(home.toLowerCase(), RESERVED_HOME))
    refuse('home', `is ${quote(home)}, in ${RESERVED_HOME}, which the server keeps for itself`)
  if (within !== null && !isWithin(home, within)) refuse('home', `is ${quote(home)}, not ${within} or below it`)
  return home
}

export function checkPublicKeys(lines: readonly string[]): Omit<UserKey, 'id'>[] {
  if (lines.length > USER_KEYS_MAX) refuse('publicKeys', `has ${lines.length} keys, at most ${USER_KEYS_MAX} are taken`)
  const keys = lines.map((line, index) => parseSshKey(line, `publicKeys[${index}]`))
  for (const [index, { blob }] of keys.entries()) {
    const first = keys.findIndex((key) => key.blob === blob)
    if (first !== index) refuse(`publicKeys[${index}]`, `is the same key as publicKeys[${first}]`)
  }
  return keys
}

export function checkHourlyLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > HOURLY_LIMIT_MAX) {
    refuse('hourlyLimit', `is ${limit}, not a whole number from 1 to ${HOURLY_LIMIT_MAX}`)
  }
  return limit
}

export function checkAdminToken(token: string): string {
  if (token.length < ADMIN_TOKEN_CHARS_MIN || token.length > ADMIN_TOKEN_CHARS_MAX || !/^[\x21-\x7e]+$/.test(token)) {
    refuse(
      'adminToken',
      `has ${token.length} characters; it needs ${ADMIN_TOKEN_CHARS_MIN} to ${ADMIN_TOKEN_CHARS_MAX} visible ASCII ones without spaces`,
    )
  }
  return token
}

/** Each at least once, none twice, in the order of the table. */
function checkChoices<Choice extends string>(field: string, given: readonly string[], known: readonly Choice[]): Choice[] {
  const strange = given.find((choice) => !known.includes(choice as Choice))
  if (strange !== undefined) refuse(field, `has ${quote(strange)}, not one of ${known.join(', ')}`)
  if (given.length === 0) refuse(field, `is empty; it needs at least one of ${known.join(', ')}`)
  return known.filter((choice) => given.includes(choice))
}

function checkLength(field: string, text: string, max: number): void {
  if (text.length < 1 || text.length > max) refuse(field, `has ${text.length} characters, not 1 to ${max}`)
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

function refuse(field: string, why: string): never {
  throw new AppError('invalid', `${field} ${why}`, { field })
}

/** What was given, short enough for a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

/** @throws AppError `invalid` */
export function checkQuota(bytes: number | null): number | null {
  if (bytes === null || (Number.isSafeInteger(bytes) && bytes >= 0)) return bytes
  throw new AppError(
    'invalid',
    `quotaBytes is null or a whole number of bytes from 0 to ${Number.MAX_SAFE_INTEGER}, not ${bytes}`,
    { field: 'quotaBytes' },
  )
}
