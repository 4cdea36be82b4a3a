import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseInstant } from './instant.ts'

const NOON = Date.UTC(2026, 5, 8, 12)
const cases = [
  { text: '2026-06-08T12:00:00Z', at: NOON },
  { text: '2026-06-08T12:00Z', at: NOON },
  { text: '2026-06-08T12:00:00.5Z', at: NOON + 500 },
  { text: '2026-06-08T14:00:00+02:00', at: NOON },
  { text: '2026-06-07T23:30:00-12:30', at: NOON },
  { text: '2028-02-29T00:00:00+14:00', at: Date.UTC(2028, 1, 28, 10) },
]
for (const { text, at } of cases) test(`${text} is a time`, () => assert.equal(parseInstant(text), at))

for (const text of [
  ...['2026-02-30T00:00:00Z', '2026-02-29T00:00Z', '2026-06-31T23:59:59.999+02:00', '2026-00-01T00:00Z', '2026-13-01T00:00Z'],
  ...['2026-06-08T24:00:00Z', '2026-06-08T12:60Z', '2026-06-08T12:00:60Z', '2026-06-08T12:00:00+24:00'],
  ...['2026-06-08', '2026-06-08T12:00:00', '2026-06-08 12:00:00Z', '2026-06-08T12:00.5Z', ' 2026-06-08T12:00Z', '1780963200', ''],
]) {
  test(`'${text}' is no time`, () => assert.equal(parseInstant(text), undefined))
}

test('what a Date says is read as that Date', () => {
  const range = { min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }
  fc.assert(fc.property(fc.date(range), (date) => assert.equal(parseInstant(date.toISOString()), date.getTime())))
})
