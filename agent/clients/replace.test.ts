import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReplaceable } from './replace.ts'

const kinds = [
  [0o100644, undefined],
  [0o120777, undefined],
  // A server that tells no type.
  [0o644, undefined],
  [0o040755, 'a folder'],
  [0o010644, 'a named pipe'],
  [0o140755, 'a socket'],
  [0o020666, 'a device'],
  [0o060660, 'a device'],
] as const
for (const [mode, kind] of kinds) {
  test(`mode ${mode.toString(8)}: ${kind ?? 'replaced'}`, () => {
    if (kind === undefined) checkReplaceable(mode, '/x')
    else assert.throws(() => checkReplaceable(mode, '/x'), { code: 'NOT_A_FILE', message: new RegExp(`“/x” is ${kind},`) })
  })
}
