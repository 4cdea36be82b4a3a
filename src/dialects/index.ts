import { cloudevents } from './cloudevents.ts'
import type { Dialect, DialectName } from './dialect.ts'
import { mftplus } from './mftplus.ts'
import { standard } from './standard.ts'
import { trueftp } from './trueftp.ts'

const DIALECTS = { mftplus, trueftp, standard, cloudevents } satisfies Record<DialectName, Dialect>

export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly DialectName[]

export function isDialectName(text: string): text is DialectName {
  return Object.hasOwn(DIALECTS, text)
}

export function dialectOf(name: DialectName): Dialect {
  return DIALECTS[name]
}
