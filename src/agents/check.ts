import { checkLabel, LABEL_CHARS_MAX } from '../accounts/check.ts'
import { AppError } from '../base/error.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { type AgentOs, CONCURRENCY_MAX } from './agent.ts'

/**
 * What agents and enrolment tokens may be made of. Each check returns the value or throws `invalid` with a message that begins with the
 * field and names the bound and the value.
 */
export const AGENT_OSES: readonly AgentOs[] = ['linux', 'windows', 'darwin']
/** Longest name of a host (RFC 1035 §2.3.4). */
export const HOSTNAME_CHARS_MAX = 253
export const VERSION_CHARS_MAX = 64
/** Memory of a machine, MiB: 1 PiB. */
export const MEMORY_MIB_MAX = 2 ** 30
/** Agents that one token may let in. */
export const TOKEN_USES_MAX = 10_000
export const TOKEN_SECONDS_MIN = MINUTE_MS / SECOND_MS
export const TOKEN_SECONDS_DEFAULT = DAY_MS / SECOND_MS
export const TOKEN_SECONDS_MAX = 30 * TOKEN_SECONDS_DEFAULT

/** What an agent says of itself when it registers. */
export interface Registration {
  readonly hostname: string
  readonly os: string
  /** Defaults to the name of its host. */
  readonly name?: string
  readonly version?: string
  /** A certificate request (PKCS #10, PEM); without it, the agent has its API key alone. */
  readonly csr?: string
  /** Runs inside this server. */
  readonly isBuiltin?: boolean
}

export interface CheckedRegistration {
  readonly hostname: string
  readonly os: AgentOs
  readonly name: string
  readonly version: string | null
}

export function checkRegistration({ hostname, os, name, version }: Registration): CheckedRegistration {
  if (!AGENT_OSES.includes(os as AgentOs)) refuse('os', `is ${JSON.stringify(os)}, not one of ${AGENT_OSES.join(', ')}`)
  return {
    hostname: checkVisible('hostname', hostname, HOSTNAME_CHARS_MAX),
    os: os as AgentOs,
    name: checkLabel(name ?? hostname.slice(0, LABEL_CHARS_MAX)),
    version: version === undefined ? null : checkVersion(version),
  }
}

export function checkVersion(version: string): string {
  return checkVisible('version', version, VERSION_CHARS_MAX)
}

export const checkConcurrency = (value: number) => checkWhole('concurrency', value, 1, CONCURRENCY_MAX)
export const checkUses = (value: number) => checkWhole('usesMax', value, 1, TOKEN_USES_MAX)
export const checkTokenSeconds = (value: number) => checkWhole('expiresInSeconds', value, TOKEN_SECONDS_MIN, TOKEN_SECONDS_MAX)

function checkWhole(field: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    refuse(field, `is ${value}, not a whole number from ${min} to ${max}`)
  return value
}

/** Visible ASCII: names of hosts and versions have nothing else. */
function checkVisible(field: string, text: string, charsMax: number): string {
  if (text.length < 1 || text.length > charsMax) refuse(field, `has ${text.length} characters, not 1 to ${charsMax}`)
  if (!/^[\x21-\x7e]+$/.test(text)) refuse(field, `is ${JSON.stringify(text)}, which has a character that is not visible ASCII`)
  return text
}

function refuse(field: string, why: string): never {
  throw new AppError('invalid', `${field} ${why}`, { field })
}
