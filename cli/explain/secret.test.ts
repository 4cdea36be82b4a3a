import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HiddenInput, parseSecrets, readHidden } from './secret.ts'

test('secrets: one a line, the one in use first', () => {
  assert.deepEqual(parseSecrets('new\nold\r\nolder\n'), { current: 'new', old: ['old', 'older'] })
  assert.deepEqual(parseSecrets(' with spaces \n'), { current: ' with spaces ', old: [] })
  assert.deepEqual(parseSecrets('{"kty":"OKP"}\n'), { current: { kty: 'OKP' }, old: [] })
  assert.throws(() => parseSecrets('\n'), /empty/)
  assert.throws(() => parseSecrets('{a secret'), /no JSON/)
})

/** A terminal at which these keys are pressed. */
function typed(...chunks: string[]) {
  const raw: boolean[] = []
  const kept: string[] = []
  const input: HiddenInput = {
    setRawMode: (on) => raw.push(on),
    unshift: (chunk) => kept.push(chunk.toString()),
    async *[Symbol.asyncIterator]() {
      for (const chunk of chunks) yield Buffer.from(chunk)
    },
  }
  return { input, raw, kept }
}

const cases = [
  { name: 'a line', keys: ['s3c', 'ret\r'], secret: 's3cret', kept: [] },
  { name: 'a mistake', keys: ['s3cx\u007fret\n'], secret: 's3cret', kept: [] },
  { name: 'beyond ASCII', keys: ['gehëim\n'], secret: 'gehëim', kept: [] },
  { name: 'a paste of more', keys: ['s3cret\nA: b\n\n{}'], secret: 's3cret', kept: ['A: b\n\n{}'] },
  { name: 'the end of the input', keys: ['s3cret'], secret: 's3cret', kept: [] },
]
for (const { name, keys, secret, kept } of cases) {
  test(`asked for: ${name}`, async () => {
    const terminal = typed(...keys)
    let shown = ''
    assert.equal(
      await readHidden(terminal.input, (text) => {
        shown += text
      }),
      secret,
    )
    assert.deepEqual([terminal.raw, terminal.kept], [[true, false], kept])
    assert.ok(!shown.includes(secret))
  })
}

test('asked for: Ctrl-C ends it and the terminal shows again', async () => {
  const terminal = typed('sec\u0003ret\n')
  await assert.rejects(
    readHidden(terminal.input, () => {}),
    /stopped/,
  )
  assert.deepEqual(terminal.raw, [true, false])
})
