import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aRemote, aTransfer, HOST_KEY, OTHER_HOST_KEY } from '../../transfers/testing.ts'
import type { Remote } from '../../transfers/transfer.ts'
import type { World } from '../conformance.ts'
import { anAudit, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }

export function remoteCases(world: World): void {
  async function made(more: Partial<Remote> = {}): Promise<Remote> {
    const remote = aRemote(tick(), more)
    await world.store.createRemote(remote, anAudit('remote.create'))
    return remote
  }
  const update = (remote: Remote, before: Remote) => world.store.updateRemote(remote, before, anAudit('remote.update'))

  test('a remote comes back as it was made; its name is one of a kind', async () => {
    const remote = await made({ protocol: 's3', username: null, options: { bucket: 'b', pathStyle: true }, sealedSecrets: null })
    assert.deepEqual(await world.store.findRemote(remote.id), remote)
    assert.equal(await world.store.findRemote('rmt_none'), undefined)
    const { rows, total } = await world.store.listRemotes(PAGE)
    assert.deepEqual(rows.find(({ id }) => id === remote.id), remote) // biome-ignore format: one line
    assert.equal(total, rows.length)
    await assert.rejects(made({ name: remote.name }), { code: 'already_exists', field: 'name' })
  })

  test('a change names what it has seen', async () => {
    const remote = await made()
    const next = { ...remote, host: 'other.example', options: {}, updatedAt: tick() }
    await update(next, remote)
    assert.deepEqual(await world.store.findRemote(remote.id), next)
    await assert.rejects(update({ ...next, port: 23 }, remote), { code: 'conflict' })
    await assert.rejects(update({ ...next, id: 'rmt_none' }, remote), { code: 'not_found' })
    const other = await made()
    await assert.rejects(update({ ...next, name: other.name }, next), { code: 'already_exists', field: 'name' })
  })

  test('one that an open transfer needs stays', async () => {
    const remote = await made()
    const transfer = aTransfer(tick(), { remoteId: remote.id })
    await world.store.createTransfers([transfer], [], null)
    const remove = () => world.store.removeRemote(remote.id, anAudit('remote.remove'))
    await assert.rejects(remove(), { code: 'conflict', message: new RegExp(transfer.id) })
    assert.deepEqual(await world.store.findRemote(remote.id), remote)
    const after = { ...transfer, status: 'cancelled' as const }
    await world.store.changeTransfers([{ basis: transfer, after, events: [], entry: null }])
    await remove()
    assert.equal(await world.store.findRemote(remote.id), undefined)
    await assert.rejects(remove(), { code: 'not_found' })
  })

  test('the first host key is pinned where that is asked for, and only the first', async () => {
    const pin = (remote: Remote, key: string) => world.store.pinHostKey(remote.id, key, tick())
    const trusting = await made({ options: { trustFirstHostKey: true } })
    const tries = await Promise.all([pin(trusting, HOST_KEY), pin(trusting, OTHER_HOST_KEY)])
    assert.deepEqual(tries.sort(), [false, true])
    const found = (await world.store.findRemote(trusting.id))!
    const [pinned] = found.options.hostKeys!
    assert.deepEqual(found.options, { trustFirstHostKey: true, hostKeys: [pinned] })
    assert.ok(found.updatedAt > trusting.updatedAt)
    assert.equal(await pin(trusting, pinned!), true)
    assert.equal(await pin(trusting, pinned === HOST_KEY ? OTHER_HOST_KEY : HOST_KEY), false)

    // Two agents meet the same server for the first time.
    const both = await made({ options: { trustFirstHostKey: true } })
    assert.deepEqual(await Promise.all(Array.from({ length: 4 }, () => pin(both, HOST_KEY))), [true, true, true, true])

    const strict = await made({ options: {} })
    assert.equal(await pin(strict, HOST_KEY), false)
    assert.equal(await pin({ ...strict, id: 'rmt_none' }, HOST_KEY), false)
  })

  test('sealed secrets are listed page by page, and replaced where they are still the same', async () => {
    const [first, second] = [await made(), await made()]
    const open = await made({ sealedSecrets: null })
    const listed = await world.store.listSealedRemotes('', 1_000)
    assert.ok(listed.some(({ id }) => id === first.id) && !listed.some(({ id }) => id === open.id))
    assert.deepEqual((await world.store.listSealedRemotes(first.id, 1)).map(({ id }) => id), [second.id]) // biome-ignore format: one line
    await world.store.resealRemote(first.id, 'v1.other', 'v1.wrong')
    assert.equal((await world.store.findRemote(first.id))!.sealedSecrets, first.sealedSecrets)
    await world.store.resealRemote(first.id, first.sealedSecrets!, 'v1.new')
    assert.deepEqual(await world.store.findRemote(first.id), { ...first, sealedSecrets: 'v1.new' })
  })
}
