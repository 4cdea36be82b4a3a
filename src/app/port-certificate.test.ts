import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type CertificateAuthority, createAuthority } from '../agents/authority.ts'
import { makeRequest } from '../api/agents/testing.ts'
import { createSeal } from '../base/seal.ts'
import { movingClock } from '../base/testing.ts'
import { DAY_MS } from '../base/units.ts'
import { keepingCertificate } from './port-certificate.ts'

const NOW = 1_800_000_000_000
const time = movingClock(NOW)
let folder: string
let authority: CertificateAuthority
let issues = 0
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-port-certificate-'))
  authority = await anAuthority()
})
after(() => rm(folder, { recursive: true, force: true }))

async function anAuthority(): Promise<CertificateAuthority> {
  const none = { findAuthority: async () => undefined, replaceAuthority: async () => assert.fail() }
  const store = { ...none, ensureAuthority: async <One>(one: One) => one }
  const made = await createAuthority({ store, seal: createSeal(new Uint8Array(32)), clock: time.clock })
  return {
    ...made,
    issueToServer() {
      issues++
      return made.issueToServer()
    },
  }
}

/** What a start of the server gets, and how many certificates were issued for it. */
async function start(name: string, of = authority) {
  const before = issues
  const got = await keepingCertificate(of, join(folder, name), time.clock).issueToServer()
  return { got, issued: issues - before }
}

test('a restart has the certificate of the start before, which only its owner can read', async () => {
  const first = await start('kept')
  assert.equal(first.issued, 1)
  assert.equal((await stat(join(folder, 'kept'))).mode & 0o777, 0o600)
  const second = await start('kept')
  assert.deepEqual(second, { got: first.got, issued: 0 })
})

test('one that comes near its end is issued anew, and so it is kept', async () => {
  await start('ages')
  await time.pass(59 * DAY_MS)
  assert.equal((await start('ages')).issued, 0)
  await time.pass(2 * DAY_MS)
  assert.equal((await start('ages')).issued, 1)
  assert.equal((await start('ages')).issued, 0)
})

test('one that is not valid yet, by a clock that was set back, is issued anew', async () => {
  await start('early')
  const then = { now: () => time.clock.now() - DAY_MS }
  const before = issues
  await keepingCertificate(authority, join(folder, 'early'), then).issueToServer()
  assert.equal(issues, before + 1)
})

const SPOILED: Record<string, (kept: string) => Promise<string> | string> = {
  'a file of another authority': async () => {
    const { key, certificate } = await (await anAuthority()).issueToServer()
    return key + certificate
  },
  'a certificate of an agent': async () => {
    const { csr, key } = makeRequest()
    return key + (await authority.issueToAgent(csr, 'agent_1')).certificate
  },
  'the key of another one': async (kept) => makeRequest().key + kept.slice(kept.indexOf('-----BEGIN CERTIFICATE')),
  'half a file': (kept) => kept.slice(0, -300),
  'a certificate without its key': (kept) => kept.slice(kept.indexOf('-----BEGIN CERTIFICATE')),
  'an empty file': () => '',
  garbage: () => 'not a certificate',
}
for (const [name, spoil] of Object.entries(SPOILED)) {
  test(`${name} is not taken, and replaced`, async () => {
    await start(name)
    const file = join(folder, name)
    await writeFile(file, await spoil(await readFile(file, 'utf8')))
    assert.equal((await start(name)).issued, 1)
    assert.equal((await start(name)).issued, 0)
  })
}
