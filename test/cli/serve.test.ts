import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { startApp } from '../../src/app/start.ts'
import { silentLog } from '../../src/base/log.ts'
import { loadSettings } from '../../src/config/load.ts'
import { ENTRY, Growing } from './line.ts'

const FLAGS = {
  '--http-address': '127.0.0.1:0',
  '--sftp-address': '127.0.0.1:0',
  '--agent-address': '127.0.0.1:0',
  '--builtin-agent': 'off',
  '--log-level': 'silent',
}

test('the token of the administrator is printed by the first start that lives long enough, and by no later one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-serve-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const flags = { ...FLAGS, '--data': folder }
  const first = await startApp(loadSettings(flags, {}), { log: silentLog })
  await first.stop()

  const printed = async () => {
    const child = spawn(process.execPath, [ENTRY, 'serve', ...Object.entries(flags).flat()], { env: { PATH: process.env.PATH } })
    const ended = new Promise((resolve) => child.once('close', resolve))
    try {
      const notes = new Growing<string>()
      createInterface({ input: child.stderr }).on('line', (line) => notes.add(line))
      // What comes behind the token: by then it counts as shown.
      await notes.first('next commands', (line) => line === 'next:')
      return notes.all.filter((line) => line.includes('lfadm_'))
    } finally {
      child.kill('SIGTERM')
      await ended
    }
  }
  assert.deepEqual(await printed(), [`administrator token, shown only now: ${first.adminToken}`])
  assert.equal(existsSync(join(folder, 'first-admin-token')), false)
  assert.deepEqual(await printed(), [])
})
