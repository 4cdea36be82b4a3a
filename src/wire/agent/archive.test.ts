import assert from 'node:assert/strict'
import { test } from 'node:test'
import { besideTaken } from './archive.ts'

const cases = [
  ['/done/data.csv', '/done/data.trf_1.csv'],
  ['/done/data', '/done/data.trf_1'],
  ['/done/.hidden', '/done/.hidden.trf_1'],
  ['/done/a.tar.gz', '/done/a.tar.trf_1.gz'],
  ['/data.', '/data.trf_1.'],
  [`/a.${'x'.repeat(30)}`, `/a.${'x'.repeat(30)}.trf_1`],
  [`/${'ü'.repeat(120)}.csv`, `/${'ü'.repeat(90)}.trf_1.csv`],
  [`/x${'ü'.repeat(120)}.csv`, `/x${'ü'.repeat(89)}.trf_1.csv`],
] as const
for (const [to, beside] of cases) {
  test(`beside ${to.slice(0, 40)}: ${beside.slice(-20)}`, () => assert.equal(besideTaken(to, 'trf_1'), beside))
}
