import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { syncFolder } from './folder-sync.ts'

test('many may sync a folder at once; all hear that it is gone, and once it is back it is synced again', async (t) => {
  const above = await mkdtemp(join(tmpdir(), 'landfall-sync-'))
  t.after(() => rm(above, { recursive: true, force: true }))
  const folder = join(above, 'in')
  const many = () => Promise.allSettled(Array.from({ length: 20 }, () => syncFolder(folder)))
  const codes = async () =>
    new Set((await many()).map((one) => (one.status === 'rejected' ? (one.reason as NodeJS.ErrnoException).code : 'synced')))

  assert.deepEqual(await codes(), new Set(['ENOENT']))
  await mkdir(folder)
  assert.deepEqual(await codes(), new Set(['synced']))
  await rm(folder, { recursive: true })
  assert.deepEqual(await codes(), new Set(['ENOENT']))
  await mkdir(folder)
  const open = async () => (process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0)
  const before = await open()
  assert.deepEqual(await codes(), new Set(['synced']))
  assert.equal(await open(), before)
})
