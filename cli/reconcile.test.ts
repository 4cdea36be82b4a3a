import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseIds } from './reconcile.ts'

const lists = [
  { name: 'lines', text: 'whevt_1\r\n\n  dlv_2 \n', ids: ['whevt_1', 'dlv_2'] },
  { name: 'a JSON array', text: '\n ["whevt_1", "dlv_2", "whevt_1"]', ids: ['whevt_1', 'dlv_2'] },
  { name: 'nothing', text: '', ids: [] },
]
for (const { name, text, ids } of lists) test(`ids as ${name}`, () => assert.deepEqual([...parseIds(text)], ids))

for (const text of ['[', '[1]', '[["a"]]']) {
  test(`ids refused: ${text}`, () => assert.throws(() => parseIds(text), { name: 'CommandError', message: /^--ids/ }))
}

test('both forms mean the same', () => {
  const someId = fc.stringMatching(/^(whevt|dlv)_[0-9a-z]{16}$/)
  fc.assert(fc.property(fc.array(someId), (ids) => assert.deepEqual(parseIds(ids.join('\n')), parseIds(JSON.stringify(ids)))))
})
