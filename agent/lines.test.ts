import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLines } from './lines.ts'

async function linesOf(chunks: readonly Uint8Array[], bytesMax = 1_000): Promise<string[]> {
  const stream = (async function* () {
    yield* chunks
  })()
  return Array.fromAsync(readLines(stream, bytesMax))
}

test('lines come out as they went in, however the bytes were cut', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('\n'))
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.nat(30)), async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
      const chunks: Buffer[] = []
      let from = 0
      for (const length of [...cuts, bytes.length]) {
        chunks.push(bytes.subarray(from, from + length))
        from += length
      }
      assert.deepEqual(await linesOf(chunks), lines)
    }),
  )
})

test('what is not ended is no line', async () => {
  assert.deepEqual(await linesOf([Buffer.from('one\ntw')]), ['one'])
})

test('a line is as long as is allowed, and no longer', async () => {
  assert.deepEqual(await linesOf([Buffer.from('1234'), Buffer.from('5\n')], 5), ['12345'])
  await assert.rejects(linesOf([Buffer.from('1234'), Buffer.from('56')], 5), /more than 5 bytes/)
})
