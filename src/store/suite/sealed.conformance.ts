import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SealedWebhook } from '../../webhooks/secrets/sealed.ts'
import type { World } from '../conformance.ts'
import { anAccount, anAudit, aWebhook, tick } from '../testing.ts'

/** Secrets sealed anew while others write. */
export function sealedCases(world: World): void {
  async function webhook(more = {}) {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const made = aWebhook({ accountId: account.id, sealedSecret: null, ...more })
    await world.store.createWebhook(made, { webhooksMax: 5 }, anAudit())
    return made
  }

  const allSealed = { sealedSecret: 'a', sealedSecretBefore: 'b', secretBeforeUntil: 5, sealedOptions: 'c' }

  test('webhooks with anything sealed are listed by id, page by page, removed ones too', async () => {
    await webhook()
    const made = []
    for (const more of [{ sealedSecret: 'a' }, { sealedSecretBefore: 'b', secretBeforeUntil: 5 }, { sealedOptions: 'c' }])
      made.push((await webhook(more)).id)
    await world.store.removeWebhook(made[2]!, anAudit())
    const listed: SealedWebhook[] = []
    for (let after = ''; ; ) {
      const page = await world.store.listSealed(after, 2)
      listed.push(...page)
      if (page.length < 2) break
      after = page.at(-1)!.id
    }
    assert.deepEqual(
      listed.map(({ id }) => id),
      made.toSorted(),
    )
    const sealedOf = (id: string) => listed.find((row) => row.id === id)
    assert.deepEqual(sealedOf(made[0]!), { id: made[0], sealedSecret: 'a', sealedSecretBefore: null, sealedOptions: null })
    assert.deepEqual(sealedOf(made[1]!), { id: made[1], sealedSecret: null, sealedSecretBefore: 'b', sealedOptions: null })
    assert.deepEqual(sealedOf(made[2]!), { id: made[2], sealedSecret: null, sealedSecretBefore: null, sealedOptions: 'c' })
  })

  test('secrets sealed anew are seen by everybody, and nobody writes the old ones back', async () => {
    const made = await webhook(allSealed)
    const before = { id: made.id, sealedSecret: 'a', sealedSecretBefore: 'b', sealedOptions: 'c' }
    const after = { id: made.id, sealedSecret: 'A', sealedSecretBefore: 'B', sealedOptions: 'C' }
    assert.equal((await world.store.targets([made.id]))[0]?.sealedSecret, 'a')
    await world.store.reseal([{ before, after }])
    const expected = { ...made, ...after, updatedAt: made.updatedAt + 1 }
    assert.deepEqual(await world.store.findWebhook(made.id), expected)
    assert.deepEqual(await world.store.targets([made.id]), [expected])
    const late = world.store.updateWebhook({ ...made, name: 'late', updatedAt: tick() }, made, anAudit())
    await assert.rejects(late, { code: 'conflict' })
  })

  test('a secret that was changed in between is left alone', async () => {
    const made = await webhook(allSealed)
    const before = { id: made.id, sealedSecret: 'a', sealedSecretBefore: 'b', sealedOptions: 'c' }
    for (const changed of [{ sealedSecret: null }, { sealedSecretBefore: 'x' }, { sealedOptions: 'y' }]) {
      await world.store.reseal([{ before: { ...before, ...changed }, after: { ...before, sealedSecret: 'lost' } }])
      assert.deepEqual(await world.store.findWebhook(made.id), made)
    }
  })

  test('other nodes are those that have beaten since', async () => {
    const at = tick()
    for (const [id, beatAt] of [
      ['node_own', at],
      ['node_alive', at],
      ['node_silent', at - 1],
    ] as const)
      await world.store.beat({ id, startedAt: at }, beatAt)
    assert.equal(await world.store.countOtherNodes('node_own', at), 1)
    assert.equal(await world.store.countOtherNodes('node_own', at - 1), 2)
  })
}
