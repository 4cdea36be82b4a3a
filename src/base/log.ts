import { destination, pino } from 'pino'

/** Structured log. Members named in REDACTED are replaced wherever they stand, so that no secret reaches a log. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Log
}

const SECRET_MEMBERS = ['password', 'secret', 'token', 'authorization', 'privateKey', 'masterKey', 'passwordHash']
const REDACTED = SECRET_MEMBERS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/** A log to stderr (stdout carries the ready line only), one JSON object a line. */
export function openLog(level: 'debug' | 'info' | 'warn' | 'error' | 'silent'): Log {
  return pino({ level, redact: { paths: REDACTED, censor: '[secret]' }, base: null }, destination({ fd: 2, sync: true }))
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}
