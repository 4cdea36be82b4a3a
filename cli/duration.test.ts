import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationSeconds } from './duration.ts'

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
