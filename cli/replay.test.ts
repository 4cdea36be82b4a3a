import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instantOf } from './replay.ts'

test('--since is a time, or a duration before now', () => {
  assert.equal(instantOf('since', '2026-06-08T14:00:00+02:00'), Date.UTC(2026, 5, 8, 12))
  const before = Date.now()
  const at = instantOf('since', '2h')
  assert.ok(at >= before - 7_200_000 && at <= Date.now() - 7_200_000)
  assert.equal(instantOf('since', '999999999d'), 0)
})

for (const text of ['2026-02-30T00:00:00Z', '2026-06-08', '2026-06-08T12:00:00', 'soon', '']) {
  test(`--since '${text}' is refused`, () => {
    const message = `--since is a time such as 2026-06-08T12:00:00Z, or a duration before now such as 2h, not "${text}"`
    assert.throws(() => instantOf('since', text), { name: 'CommandError', message })
  })
}
