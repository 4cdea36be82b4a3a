import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVER_CALLER } from '../../audit/caller.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import { silentLog } from '../../base/log.ts'
import { createSeal, type KeyRing, MASTER_KEY_BYTES } from '../../base/seal.ts'
import { NOW } from '../testing.ts'
import { webhookOptionsPurpose, webhookSecretPurpose } from '../webhook.ts'
import { checkMasterKey, createMasterKeyAdmin, type MasterKeys } from './reseal.ts'
import { type SealedWebhook, sealedWebhooks } from './sealed.ts'

const key = (byte: number) => Buffer.alloc(MASTER_KEY_BYTES, byte)
const OLD = key(1)
const NEW = key(2)

/** What outlives a process: the rows, and the keys as they lie on the disk. */
interface Disk {
  readonly rows: Map<string, SealedWebhook>
  keys: readonly Buffer[]
}

function sealedRow(id: string, ring: KeyRing, changes: Partial<SealedWebhook> = {}): SealedWebhook {
  return {
    id,
    sealedSecret: ring.seal(`secret of ${id}`, webhookSecretPurpose(id)),
    sealedSecretBefore: ring.seal(`secret of ${id} before`, webhookSecretPurpose(id)),
    sealedOptions: ring.seal(`{"auth":"${id}"}`, webhookOptionsPurpose(id)),
    ...changes,
  }
}

function diskWith(webhooks: number): Disk {
  const ring = createSeal(OLD)
  const ids = Array.from({ length: webhooks }, (_, number) => `wh_${String(number).padStart(4, '0')}`)
  return { rows: new Map(ids.map((id) => [id, sealedRow(id, ring)])), keys: [OLD] }
}

/** One life of a process on this disk. `step` is called before and after whatever changes the disk, and may throw: the process dies there. */
function lifeOn(disk: Disk, step: (name: string) => void = () => {}) {
  const ring = createSeal(...disk.keys)
  const audits: AuditEntry[] = []
  const writtenKeys = (keys: readonly Buffer[]) => {
    step('before the keys are written')
    disk.keys = keys
    step('after the keys were written')
    ring.use(keys)
  }
  const keys: MasterKeys = {
    ring,
    async begin() {
      const made = disk.keys.length === 1
      if (made) writtenKeys([NEW, ...disk.keys])
      return { made }
    },
    async finish() {
      writtenKeys([disk.keys[0]!])
      return null
    },
  }
  const store = {
    async listSealed(after: string, limit: number) {
      return [...disk.rows.values()].filter(({ id }) => id > after).slice(0, limit)
    },
    async reseal(changes: readonly { before: SealedWebhook; after: SealedWebhook }[]) {
      step('before secrets are written')
      for (const { before, after } of changes) {
        assert.deepEqual(disk.rows.get(before.id), before)
        disk.rows.set(after.id, after)
      }
      step('after secrets were written')
    },
    async appendAudit(entries: readonly AuditEntry[]) {
      step('audit')
      audits.push(...entries)
    },
  }
  const admin = createMasterKeyAdmin({ store, kinds: [sealedWebhooks(store)], keys, clock: { now: () => NOW }, log: silentLog })
  return { admin, ring, store, audits }
}

function assertOpens(disk: Disk, keys: readonly Buffer[]): void {
  const ring = createSeal(...keys)
  for (const { id, sealedSecret, sealedSecretBefore, sealedOptions } of disk.rows.values()) {
    assert.equal(ring.open(sealedSecret!, webhookSecretPurpose(id)), `secret of ${id}`)
    assert.equal(ring.open(sealedSecretBefore!, webhookSecretPurpose(id)), `secret of ${id} before`)
    assert.equal(ring.open(sealedOptions!, webhookOptionsPurpose(id)), `{"auth":"${id}"}`)
  }
}

test('a rotation seals everything anew, then the old key is gone', async () => {
  const disk = diskWith(250)
  const { admin, ring, audits } = lifeOn(disk)
  const answer = await admin.rotate(SERVER_CALLER)
  assert.deepEqual(answer, { made: true, resealed: 250, unreadable: [], next: null })
  assert.deepEqual(disk.keys, [NEW])
  assert.deepEqual(ring.keys, [NEW])
  assertOpens(disk, [NEW])
  assert.deepEqual(
    audits.map(({ action, detail }) => [action, detail]),
    [
      ['master_key.rotate', 'begun with a new key'],
      ['master_key.rotate', 'done: 250 sealed anew, 0 unreadable'],
    ],
  )
})

test('a process that dies at any step starts again with keys that open everything, and ends the rotation', async () => {
  let died = 0
  for (let deadly = 1; ; deadly++) {
    const disk = diskWith(250)
    let steps = 0
    const first = lifeOn(disk, (name) => {
      if (++steps === deadly) throw new Error(`killed ${name}`)
    })
    const killed = await first.admin.rotate(SERVER_CALLER).then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (killed === undefined) break
    died++
    assertOpens(disk, disk.keys as Buffer[])
    const second = lifeOn(disk)
    await checkMasterKey([sealedWebhooks(second.store)], second.ring, silentLog)
    const hadBoth = disk.keys.length === 2
    assert.equal((await second.admin.rotate(SERVER_CALLER)).made, !hadBoth, killed)
    assert.deepEqual(disk.keys, [NEW], killed)
    assertOpens(disk, [NEW])
  }
  // Keys twice, three batches, each before and after; the audit twice.
  assert.equal(died, 2 * 2 + 3 * 2 + 2)
})

test('what is written under the old key while a pass runs is found by the next one', async () => {
  const disk = diskWith(150)
  const { admin, store } = lifeOn(disk)
  const { reseal } = store
  let late = 0
  store.reseal = async (changes) => {
    await reseal(changes)
    if (late++ === 0) disk.rows.set('wh_0000', sealedRow('wh_0000', createSeal(OLD)))
  }
  await admin.rotate(SERVER_CALLER)
  assertOpens(disk, [NEW])
})

test('a secret that no key opens is told, and the others of its webhook are saved', async () => {
  const disk = diskWith(2)
  disk.rows.set('wh_0001', sealedRow('wh_0001', createSeal(OLD), { sealedOptions: createSeal(key(9)).seal('{}', 'p') }))
  const { admin, ring } = lifeOn(disk)
  assert.deepEqual((await admin.rotate(SERVER_CALLER)).unreadable, ['wh_0001'])
  assert.equal(ring.open(disk.rows.get('wh_0001')!.sealedSecret!, webhookSecretPurpose('wh_0001')), 'secret of wh_0001')
})

test('two rotations at once: the second one is refused', async () => {
  const { admin } = lifeOn(diskWith(3))
  const first = admin.rotate(SERVER_CALLER)
  await assert.rejects(admin.rotate(SERVER_CALLER), { code: 'conflict' })
  await first
  await admin.rotate(SERVER_CALLER)
})

test('at the start a key that opens nothing is refused in one sentence, one that opens something is not', async () => {
  const disk = diskWith(3)
  const check = (ring: KeyRing) => checkMasterKey([sealedWebhooks(lifeOn(disk).store)], ring, silentLog)
  await check(createSeal(OLD))
  await check(createSeal(NEW, OLD))
  await assert.rejects(check(createSeal(NEW)), { code: 'setting_invalid', field: 'masterKey', message: /none of 3 webhooks/ })
  disk.rows.set('wh_0002', sealedRow('wh_0002', createSeal(NEW)))
  await check(createSeal(NEW))
  disk.rows.clear()
  await check(createSeal(NEW))
})
