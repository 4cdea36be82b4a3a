import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultOfLabel } from './label.ts'

const control = (codePoint: string) => `has a control character (U+${codePoint})`
const cases: readonly [text: string, fault: string | undefined][] = [
  ['', undefined],
  ['Acme, Inc. – Köln ☎ 日本 مرحبا', undefined],
  // A family is joined by U+200D, and a right-to-left mark turns nothing but itself.
  ['👨\u200d👩\u200d👧 \u200fשלום', undefined],
  ['a\0b', control('0000')],
  ['a\nb', control('000A')],
  ['a\u007fb', control('007F')],
  ['a\u0085b', control('0085')],
  ['a\u2028b', control('2028')],
  ['invoice\u202efdp.exe', control('202E')],
  ['\u202aa', control('202A')],
  ['a\u2066', control('2066')],
  ['a\u2069', control('2069')],
  ['a\ud800', 'has half of a surrogate pair'],
]
for (const [text, fault] of cases) test(`a label: ${JSON.stringify(text)}`, () => assert.equal(faultOfLabel(text), fault))
