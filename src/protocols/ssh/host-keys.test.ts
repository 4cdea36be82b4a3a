import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadHostKeys, newPrivateKey } from './host-keys.ts'

const folder = await mkdtemp(join(tmpdir(), 'landfall-keys-'))
after(() => rm(folder, { recursive: true, force: true }))

test('made at the first start with mode 0600, loaded later', async () => {
  const [first, again] = await Promise.all([loadHostKeys(folder), loadHostKeys(folder)])
  assert.deepEqual(
    first.map(({ type }) => type),
    ['ssh-ed25519', 'ssh-rsa'],
  )
  assert.deepEqual(again, first)
  assert.deepEqual(await loadHostKeys(folder), first)
  for (const { fingerprint, publicLine } of first) {
    assert.match(fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/)
    assert.match(publicLine, /^ssh-(ed25519|rsa) AAAA/)
  }
  assert.deepEqual((await readdir(folder)).sort(), ['ssh_host_ed25519_key', 'ssh_host_rsa_key'])
  for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600)
})

test('a key that others may read is refused', async () => {
  const path = join(folder, 'ssh_host_ed25519_key')
  await chmod(path, 0o644)
  await assert.rejects(loadHostKeys(folder), { code: 'setting_invalid', message: /mode 644/ })
  await chmod(path, 0o600)
})

test('a file that is no key is refused and stays', async () => {
  const path = join(folder, 'ssh_host_ed25519_key')
  await writeFile(path, 'not a key')
  await assert.rejects(loadHostKeys(folder), { code: 'setting_invalid', message: /ssh_host_ed25519_key cannot be read/ })
})

test('a key that cannot be read again is made anew, not stored', async () => {
  const good = await newPrivateKey('ed25519', {})
  const made = ['-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', 'no key at all', good]
  assert.equal(await newPrivateKey('ed25519', {}, async () => ({ private: made.shift()! })), good)
  await assert.rejects(
    newPrivateKey('ed25519', {}, async () => ({ private: 'no key at all' })),
    /no readable ed25519 key in 10 tries/,
  )
})
