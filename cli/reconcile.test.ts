import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseIds } from './reconcile.ts'

const [EVENT, DELIVERY, OTHER] = ['whevt_mq55sao01a2b3c4d', 'dlv_mq55sao0zzzzzzzz', 'whevt_mq55sao099999999']

const lists = [
  { name: 'lines', text: `${EVENT}\r\n\n  ${DELIVERY} \n`, ids: [EVENT, DELIVERY] },
  { name: 'a JSON array', text: `\n ["${EVENT}", "${DELIVERY}", "${EVENT}"]`, ids: [EVENT, DELIVERY] },
  { name: 'CSV that begins with ids', text: `\uFEFF"${EVENT}","a, b",1\n'${DELIVERY}';x\n`, ids: [EVENT, DELIVERY] },
  { name: 'one line', text: `${EVENT}, ${DELIVERY},"${OTHER}"`, ids: [EVENT, DELIVERY, OTHER] },
  { name: 'nothing', text: '\n', ids: [] },
]
for (const { name, text, ids } of lists) test(`ids as ${name}`, () => assert.deepEqual([...parseIds(text)], ids))

const refused = [
  { text: '[', says: /no JSON/ },
  { text: '[1]', says: /something else than texts/ },
  { text: '[["a"]]', says: /something else than texts/ },
  { text: `["${EVENT}", "a"]`, says: /entry 2 is not the id .*: a$/ },
  { text: 'a,b,c', says: /line 1 is not the id of an event .*: a,b,c$/ },
  { text: `${EVENT}\nid\u001b[2J`, says: /line 2 .*: id\\x1b\[2J$/ },
  { text: `id,at\n${EVENT},1`, says: /line 1 .* head line is to be left out: id,at$/ },
  { text: `{"id":"${EVENT}"}`, says: /line 1/ },
  { text: `1,${EVENT}`, says: /line 1/ },
  { text: 'wh_mq55sao01a2b3c4d', says: /line 1/ },
  { text: `${EVENT}x`, says: /line 1/ },
  { text: `"${EVENT}`, says: /line 1/ },
]
for (const { text, says } of refused) {
  test(`ids refused: ${JSON.stringify(text)}`, () =>
    assert.throws(() => parseIds(text), { name: 'CommandError', message: new RegExp(`^--ids.*${says.source}`) }))
}

test('both forms mean the same', () => {
  const someId = fc.stringMatching(/^(whevt|dlv)_[0-9a-z]{16}$/)
  fc.assert(fc.property(fc.array(someId), (ids) => assert.deepEqual(parseIds(ids.join('\n')), parseIds(JSON.stringify(ids)))))
})
