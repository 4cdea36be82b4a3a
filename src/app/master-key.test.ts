import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import { openDataFolder } from './data-folder.ts'
import { openMasterKeys, TAKE_AWAY_BEFORE } from './master-key.ts'

const PLAIN = { masterKey: '', masterKeyBefore: '' }
const base64 = (key: Uint8Array) => Buffer.from(key).toString('base64')

async function folderOf(t: TestContext) {
  const path = await mkdtemp(join(tmpdir(), 'landfall-keys-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  const folder = await openDataFolder(path)
  const file = join(path, 'master.key')
  return {
    file,
    lines: async () => (await readFile(file, 'utf8')).trim().split('\n'),
    open: (settings = PLAIN, nodes = 0) => openMasterKeys(folder, settings, async () => nodes),
  }
}

test('the key is made once, in a file that only its owner reads', async (t) => {
  const { open, file, lines } = await folderOf(t)
  const { ring } = await open()
  assert.deepEqual(await lines(), [base64(ring.keys[0]!)])
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.deepEqual((await open()).ring.keys, ring.keys)
})

test('a rotation: both keys in the file, the newest first, then the new one alone', async (t) => {
  const { open, file, lines } = await folderOf(t)
  const keys = await open()
  const [old] = keys.ring.keys
  const sealed = keys.ring.seal('a secret', 'p')
  assert.deepEqual(await keys.begin(), { made: true })
  assert.equal(keys.ring.open(sealed, 'p'), 'a secret')
  assert.ok(!keys.ring.isOfFirst(sealed, 'p'))
  assert.deepEqual(await lines(), keys.ring.keys.map(base64))
  assert.deepEqual(keys.ring.keys[1], old)
  assert.equal((await stat(file)).mode & 0o777, 0o600)

  const afterCrash = await open()
  assert.deepEqual(afterCrash.ring.keys, keys.ring.keys)
  assert.deepEqual(await afterCrash.begin(), { made: false }, 'the rotation goes on; no third key')
  assert.equal(await afterCrash.finish(), null)
  assert.deepEqual(await lines(), [base64(keys.ring.keys[0]!)])
  assert.equal(afterCrash.ring.keys.length, 1)
  assert.throws(() => afterCrash.ring.open(sealed, 'p'))
})

test('a key is not made while other nodes use the database', async (t) => {
  const { open, lines } = await folderOf(t)
  const keys = await open(PLAIN, 2)
  await assert.rejects(keys.begin(), { code: 'conflict', message: /2 other nodes .* LANDFALL_MASTER_KEY_BEFORE/ })
  assert.equal((await lines()).length, 1)
})

test('given keys: none is made; the one before opens, and the rest is the operator’s', async (t) => {
  const { open, file } = await folderOf(t)
  const [first, second] = [randomBytes(MASTER_KEY_BYTES), randomBytes(MASTER_KEY_BYTES)]
  const alone = await open({ masterKey: base64(first), masterKeyBefore: '' })
  await assert.rejects(alone.begin(), { code: 'conflict', message: /restart with a new one .* LANDFALL_MASTER_KEY_BEFORE/ })
  const sealed = alone.ring.seal('a secret', 'p')

  const keys = await open({ masterKey: base64(second), masterKeyBefore: base64(first) })
  assert.equal(keys.ring.open(sealed, 'p'), 'a secret')
  assert.deepEqual(await keys.begin(), { made: false })
  assert.equal(await keys.finish(), TAKE_AWAY_BEFORE)
  await assert.rejects(stat(file), { code: 'ENOENT' })
})

test('a key before opens beside the key of the file too, and no third one is made', async (t) => {
  const { open, lines } = await folderOf(t)
  const lost = randomBytes(MASTER_KEY_BYTES)
  const keys = await open({ masterKey: '', masterKeyBefore: base64(lost) })
  assert.equal(keys.ring.open(createSeal(lost).seal('a secret', 'p'), 'p'), 'a secret')
  assert.deepEqual(await keys.begin(), { made: false })
  assert.equal(await keys.finish(), TAKE_AWAY_BEFORE)
  assert.deepEqual(await lines(), [base64(keys.ring.keys[0]!)])
})

test('a key that is none is refused with where it comes from and its length', async (t) => {
  const { open, file } = await folderOf(t)
  await assert.rejects(open({ masterKey: 'AAAA', masterKeyBefore: '' }), {
    field: 'masterKey',
    message: /LANDFALL_MASTER_KEY .* holds 3/,
  })
  await assert.rejects(open({ masterKey: '', masterKeyBefore: 'AAAA' }), {
    field: 'masterKeyBefore',
    message: /_BEFORE .* holds 3/,
  })
  await writeFile(file, `${base64(randomBytes(MASTER_KEY_BYTES))}\nAAAA\n`)
  await assert.rejects(open(), { code: 'setting_invalid', message: /master.key in the data folder .* holds 3/ })
})
