import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockDataFolder } from './lock.ts'

const HOLDER = `
const { lockDataFolder } = await import(process.argv[1])
lockDataFolder(process.argv[2])
console.log('locked')
setInterval(() => {}, 1000)
`

test('a data folder belongs to one process, until that ends however it ends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-lock-'))
  const lock = new URL('./lock.ts', import.meta.url).href
  const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, lock, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  assert.throws(() => lockDataFolder(folder), { code: 'data_folder_locked', message: /^[^\n]+$/ })
  const ended = once(holder, 'exit')
  holder.kill('SIGKILL')
  await ended
  const ours = lockDataFolder(folder)
  assert.throws(() => lockDataFolder(folder), { code: 'data_folder_locked' })
  await ours.stop()
  await ours.stop()
  await lockDataFolder(folder).stop()
  rmSync(folder, { recursive: true, force: true })
})
