import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ranges } from './ranges.ts'

const SIZE = 64
const position = fc.integer({ min: 0, max: SIZE })
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), start: position, end: position }),
  fc.record({ kind: fc.constant('cut' as const), start: position, end: position }),
)

test('ranges: agree with one flag a byte', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ranges = new Ranges()
      const bytes = new Array<boolean>(SIZE).fill(false)
      for (const { kind, start, end } of steps) {
        if (kind === 'add') {
          ranges.add(start, end)
          if (end > start) bytes.fill(true, start, end)
        } else {
          ranges.cut(start)
          bytes.fill(false, start)
        }
        const hole = bytes.indexOf(false)
        assert.equal(ranges.prefix(), hole < 0 ? SIZE : hole)
        // A range begins wherever a written byte follows one that is not.
        assert.equal(ranges.count, bytes.filter((written, n) => written && bytes[n - 1] !== true).length)
      }
    }),
  )
})

test('ranges: an empty file is covered', () => {
  assert.equal(new Ranges().covers(0), true)
  assert.equal(new Ranges().covers(1), false)
})
