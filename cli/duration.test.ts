import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationBetween, durationSeconds } from './duration.ts'

const cases: readonly [text: string, seconds: number | null][] = [
  ['0', 0],
  ['0s', 0],
  ['90s', 90],
  ['30m', 1800],
  ['24h', 86_400],
  ['7d', 604_800],
  ['', null],
  ['24', null],
  ['-1h', null],
  ['1.5h', null],
  ['1w', null],
  ['9999999999s', null],
]
for (const [text, seconds] of cases) {
  test(`duration: ${JSON.stringify(text)}`, () => {
    if (seconds === null) assert.throws(() => durationSeconds('overlap', text), /--overlap is a duration such as 90s/)
    else assert.equal(durationSeconds('overlap', text), seconds)
  })
}

for (const [text, seconds] of [
  ['59s', null],
  ['60s', 60],
  ['1h', 3_600],
  ['61m', null],
] as const) {
  test(`duration from 1m to 1h: ${text}`, () => {
    const between = () => durationBetween('overlap', text, '1m', '1h')
    if (seconds === null) assert.throws(between, { message: `--overlap is 1m to 1h, not ${text}` })
    else assert.equal(between(), seconds)
  })
}
