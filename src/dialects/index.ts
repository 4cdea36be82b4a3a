import type { Dialect, DialectName } from './dialect.ts'
import { mftplus } from './mftplus.ts'
import { trueftp } from './trueftp.ts'

const DIALECTS = { mftplus, trueftp } satisfies Record<DialectName, Dialect>

export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly DialectName[]

export function isDialectName(text: string): text is DialectName {
  return Object.hasOwn(DIALECTS, text)
}

export function dialectOf(name: DialectName): Dialect {
  return DIALECTS[name]
}
