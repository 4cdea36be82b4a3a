import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { FileFacts } from './client.ts'
import { checkReplaceable, renameOver } from './replace.ts'
import { failsWith } from './testing.ts'

const kinds = [
  [0o100644, undefined],
  [0o120777, undefined],
  // A server that tells no type.
  [0o644, undefined],
  [0o040755, 'a folder'],
  [0o010644, 'a named pipe'],
  [0o140755, 'a socket'],
  [0o020666, 'a device'],
  [0o060660, 'a device'],
] as const
for (const [mode, kind] of kinds) {
  test(`mode ${mode.toString(8)}: ${kind ?? 'replaced'}`, () => {
    if (kind === undefined) checkReplaceable(mode, '/x')
    else assert.throws(() => checkReplaceable(mode, '/x'), { code: 'NOT_A_FILE', message: new RegExp(`“/x” is ${kind},`) })
  })
}

test('what is there is replaced where a rename refuses to, and put back where that fails', async () => {
  const files = new Map([
    ['/from', 'new'],
    ['/to', 'old'],
  ])
  let refusals = 1
  const server = {
    stat: async (path: string): Promise<FileFacts | undefined> =>
      files.has(path) ? { kind: 'file', size: 3, modifiedAt: null } : undefined,
    async rename(from: string, to: string): Promise<void> {
      if (files.has(to) || (from === '/from' && refusals-- > 0)) throw new TransferFailure('PROTOCOL_ERROR', 'Failure')
      files.set(to, files.get(from)!)
      files.delete(from)
    },
    async remove(path: string): Promise<void> {
      files.delete(path)
    },
  }
  await failsWith('PROTOCOL_ERROR', renameOver(server, '/from', '/to'))
  assert.deepEqual([...files].sort(), [
    ['/from', 'new'],
    ['/to', 'old'],
  ])
  refusals = 0
  await renameOver(server, '/from', '/to')
  assert.deepEqual([...files], [['/to', 'new']])
})
