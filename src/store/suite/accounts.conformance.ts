import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiKey } from '../../accounts/key.ts'
import { newId } from '../../base/id.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, anEvent, aUser, aWebhook, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const LIMITS = { usersMax: 10 }
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected

export function accountCases(world: World): void {
  async function account(more = {}) {
    const made = anAccount(more)
    await world.store.createAccount(made, anAudit('account.create', { accountId: made.id }))
    return made
  }

  test('an account is found by id and by slug, as it was made', async () => {
    const made = await account({ name: 'Zoë & Söhne ✓' })
    assert.deepEqual(await world.store.findAccount({ id: made.id }), made)
    assert.deepEqual(await world.store.findAccount({ slug: made.slug }), made)
    assert.equal(await world.store.findAccount({ slug: 'nobody' }), undefined)
    const { rows, total } = await world.store.listAccounts(PAGE)
    assert.equal(total, rows.length)
    assert.deepEqual(rows.find((row) => row.id === made.id), made) // biome-ignore format: one line
  })

  test('a slug that is taken is refused, and leaves no audit entry', async () => {
    const made = await account()
    const audit = anAudit('account.create', { actor: 'twice' })
    await assert.rejects(world.store.createAccount(anAccount({ slug: made.slug }), audit), code('already_exists'))
    assert.equal((await world.store.listAudit({ actor: 'twice' }, PAGE)).total, 0)
  })

  test('an account is updated in part; an unknown one is not found', async () => {
    const made = await account()
    const at = tick()
    const changed = await world.store.updateAccount(made.id, { plan: 'starter', updatedAt: at }, anAudit('account.update'))
    assert.deepEqual(changed, { ...made, plan: 'starter', updatedAt: at })
    assert.deepEqual(await world.store.findAccount({ id: made.id }), changed)
    await assert.rejects(world.store.updateAccount('acc_x', { updatedAt: at }, anAudit()), code('not_found'))
  })

  test('a quota bounds what the files of an account take together, whoever stores them at once', async () => {
    const made = await account({ quotaBytes: 10 })
    const store = (path: string, bytes: number) =>
      world.store.recordChange(aChange(made, { path }, { usage: { bytes, files: 1 } }))
    await store('/a', 4)
    const both = await Promise.allSettled([store('/b', 4), store('/c', 4)])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const refused = both.find((each) => each.status === 'rejected')
    assert.equal(refused?.reason.code, 'quota_exceeded')
    assert.match(refused?.reason.message, /would take 12 bytes; its quota is 10/)
    assert.deepEqual(await world.store.accountUsage(made.id), { bytes: 8, files: 2 }, 'nothing of what was refused is left')
    await assert.rejects(store('/d', 3), code('quota_exceeded'))
    await store('/e', 2)
    // Making room is always allowed, and so is everything once there is no quota.
    const shrunk = await world.store.updateAccount(made.id, { quotaBytes: 1, updatedAt: tick() }, anAudit('account.update'))
    assert.equal(shrunk.quotaBytes, 1)
    await store('/f', -5)
    await world.store.updateAccount(made.id, { quotaBytes: null, updatedAt: tick() }, anAudit('account.update'))
    await store('/g', 1_000)
    assert.equal((await world.store.accountUsage(made.id)).bytes, 1_005)
  })

  test('where the webhooks of an account may go is said by the account, and by nothing else', async () => {
    const [made, other] = [await account({ egressAllow: ['10.1.0.0/16'] }), await account()]
    const networks = async (id: string) => {
      const [target] = await world.store.targets([id])
      assert.deepEqual(target?.egressAllow, (await world.store.findWebhook(id))!.egressAllow)
      return target?.egressAllow
    }
    const update = (egressAllow: string[] | null) =>
      world.store.updateAccount(made.id, { egressAllow, updatedAt: tick() }, anAudit('account.update'))
    // What the webhook itself says is not asked.
    const mine = aWebhook({ accountId: made.id, egressAllow: ['192.168.0.0/16'] })
    const foreign = aWebhook({ accountId: other.id, egressAllow: ['192.168.0.0/16'] })
    const server = aWebhook({ accountId: null, egressAllow: ['192.168.0.0/16'] })
    for (const webhook of [mine, foreign, server]) await world.store.createWebhook(webhook, { webhooksMax: 100 }, anAudit())
    assert.deepEqual(await networks(mine.id), ['10.1.0.0/16'])
    for (const { id } of [foreign, server]) assert.equal(await networks(id), null)

    assert.deepEqual((await update(['10.2.0.0/16'])).egressAllow, ['10.2.0.0/16'])
    assert.deepEqual(await networks(mine.id), ['10.2.0.0/16'])
    const stale = (await world.store.findWebhook(mine.id))!
    await update([])
    await world.store.updateWebhook({ ...stale, name: 'renamed', updatedAt: tick() }, stale, anAudit('webhook.update'))
    assert.deepEqual(await networks(mine.id), [], 'a change of the webhook that was read before does not bring them back')
    assert.equal((await update(null)).egressAllow, null)
    for (const { id } of [mine, foreign, server]) assert.equal(await networks(id), null)
  })

  test('a plan without webhooks turns off the active ones of the account, and no other', async () => {
    const [made, other] = [await account(), await account()]
    const state = async (id: string) => {
      const { state, inactiveReason, offSince } = (await world.store.findWebhook(id))!
      return { state, inactiveReason, offSince }
    }
    const active = aWebhook({ accountId: made.id })
    const inactive = aWebhook({ accountId: made.id, state: 'inactive', offSince: 5 })
    const foreign = aWebhook({ accountId: other.id })
    for (const webhook of [active, inactive, foreign]) await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const at = tick()
    await world.store.updateAccount(made.id, { plan: 'starter', webhooksOff: 'no webhooks', updatedAt: at }, anAudit())
    assert.deepEqual(await state(active.id), { state: 'inactive', inactiveReason: 'no webhooks', offSince: at })
    assert.deepEqual(await state(inactive.id), { state: 'inactive', inactiveReason: null, offSince: 5 })
    assert.deepEqual(await state(foreign.id), { state: 'active', inactiveReason: null, offSince: null })
    const event = anEvent(made.id)
    await world.store.recordEvents([event])
    assert.equal((await world.store.listDeliveries({ webhookId: active.id }, PAGE)).total, 0)
  })

  test('a webhook is not made or changed under a plan that the account no longer has', async () => {
    const made = await account({ plan: 'business' })
    const webhook = aWebhook({ accountId: made.id })
    await world.store.createWebhook(webhook, { webhooksMax: 5, plan: 'business' }, anAudit())
    await world.store.updateAccount(made.id, { plan: 'starter', updatedAt: tick() }, anAudit())
    const late = { webhooksMax: 5, plan: 'business' }
    await assert.rejects(world.store.createWebhook(aWebhook({ accountId: made.id }), late, anAudit()), code('conflict'))
    await assert.rejects(world.store.updateWebhook(webhook, { ...webhook, plan: 'business' }, anAudit()), code('conflict'))
    await world.store.updateWebhook(webhook, { ...webhook, plan: 'starter' }, anAudit())
  })

  test('a user is made with its keys, its event and its deliveries in one', async () => {
    const made = await account()
    const webhook = aWebhook({ events: ['ftp_user.created'], accountId: made.id, dialect: 'trueftp' })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit('webhook.create'))
    const key = { id: newId('userKey', tick()), type: 'ssh-ed25519', blob: 'AAAA', comment: 'me@host', fingerprint: 'SHA256:x' }
    const user = aUser(made, { publicKeys: [key, { ...key, id: newId('userKey', tick()) }], passwordHash: null, disabled: true })
    const event = anEvent(made.id, { type: 'ftp_user.created' })
    await world.store.createUser(user, LIMITS, event, anAudit('user.create', { accountId: made.id }))
    assert.deepEqual(await world.store.findUser({ id: user.id }), user)
    assert.deepEqual(await world.store.findUser({ accountSlug: made.slug, name: user.name }), user)
    assert.equal(await world.store.findUser({ accountSlug: 'elsewhere', name: user.name }), undefined)
    assert.deepEqual(await world.store.listUsers(made.id, PAGE), { rows: [user], total: 1 })
    assert.deepEqual(await world.store.findEvent(event.id), event)
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)).rows[0]?.eventId, event.id)
    assert.ok(world.nudged.includes(webhook.id))
  })

  test('a user over the limit, or of a taken name, records nothing', async () => {
    const made = await account()
    await world.store.createUser(aUser(made), LIMITS, anEvent(made.id), anAudit())
    for (const [user, limits, expected] of [
      [aUser(made), LIMITS, 'already_exists'],
      [aUser(made, { name: 'other' }), { usersMax: 1 }, 'limit_reached'],
      [aUser(anAccount()), LIMITS, 'not_found'],
    ] as const) {
      const event = anEvent(made.id)
      await assert.rejects(world.store.createUser(user, limits, event, anAudit()), code(expected))
      assert.equal(await world.store.findEvent(event.id), undefined)
    }
    assert.equal((await world.store.listUsers(made.id, PAGE)).total, 1)
  })

  test('the limit of users holds for those made at the same time', async () => {
    const made = await account()
    const users = Array.from({ length: 8 }, (_, index) => aUser(made, { name: `user${index}` }))
    const made8 = await Promise.allSettled(
      users.map((user) => world.store.createUser(user, { usersMax: 3 }, anEvent(made.id), anAudit())),
    )
    assert.equal(made8.filter((result) => result.status === 'fulfilled').length, 3)
    assert.equal((await world.store.listUsers(made.id, PAGE)).total, 3)
  })

  test('a user is replaced, keys as a whole, and removed', async () => {
    const made = await account()
    const key = { id: newId('userKey', tick()), type: 'ssh-rsa', blob: 'BBBB', comment: '', fingerprint: 'SHA256:y' }
    const user = aUser(made, { publicKeys: [key] })
    await world.store.createUser(user, LIMITS, anEvent(made.id), anAudit())
    const changed = {
      ...user,
      disabled: true,
      permissions: ['list'] as const,
      publicKeys: [{ ...key, comment: 'new' }],
      updatedAt: tick(),
    }
    await world.store.updateUser(changed, anAudit('user.update'))
    assert.deepEqual(await world.store.findUser({ id: user.id }), changed)
    await world.store.removeUser(user.id, anAudit('user.remove'))
    assert.equal(await world.store.findUser({ id: user.id }), undefined)
    await assert.rejects(world.store.updateUser(changed, anAudit()), code('not_found'))
    await assert.rejects(world.store.removeUser(user.id, anAudit()), code('not_found'))
  })

  test('an API key is found by its hash, also when revoked, and counts against the limit only until then', async () => {
    const made = await account()
    const key: ApiKey = {
      id: newId('apiKey', tick()),
      accountId: made.id,
      name: 'ci',
      scopes: ['read', 'write'],
      hourlyLimit: 1_000,
      createdAt: tick(),
      revokedAt: null,
    }
    const other = { ...key, id: newId('apiKey', tick()) }
    await world.store.createApiKey(key, `hash-${key.id}`, { apiKeysMax: 1 }, anAudit('key.create'))
    assert.deepEqual(await world.store.findApiKey(`hash-${key.id}`), key)
    await assert.rejects(world.store.createApiKey(other, `hash-${other.id}`, { apiKeysMax: 1 }, anAudit()), code('limit_reached'))
    const at = tick()
    await world.store.revokeApiKey(made.id, key.id, at, anAudit('key.revoke'))
    await world.store.revokeApiKey(made.id, key.id, tick(), anAudit('key.revoke'))
    assert.deepEqual(await world.store.findApiKey(`hash-${key.id}`), { ...key, revokedAt: at })
    await world.store.createApiKey(other, `hash-${other.id}`, { apiKeysMax: 1 }, anAudit())
    assert.equal((await world.store.listApiKeys(made.id, PAGE)).total, 2)
    await assert.rejects(world.store.revokeApiKey('acc_x', key.id, at, anAudit()), code('not_found'))
  })

  test('an admin token replaces the one of its name', async () => {
    const token = { id: newId('adminToken', tick()), name: 'settings', createdAt: tick(), revokedAt: null }
    const next = { ...token, id: newId('adminToken', tick()) }
    await world.store.createAdminToken(token, 'hash-1', anAudit('token.create'))
    assert.deepEqual(await world.store.findAdminToken('hash-1'), token)
    await world.store.replaceAdminToken(next, 'hash-2', anAudit('token.create'))
    assert.equal(await world.store.findAdminToken('hash-1'), undefined)
    assert.deepEqual((await world.store.listAdminTokens(PAGE)).rows, [next])
    const at = tick()
    await world.store.revokeAdminToken(next.id, at, anAudit('token.revoke'))
    assert.deepEqual(await world.store.findAdminToken('hash-2'), { ...next, revokedAt: at })
    await assert.rejects(world.store.revokeAdminToken('adm_x', at, anAudit()), code('not_found'))
  })

  test('the audit trail is listed newest first and filtered', async () => {
    const made = await account()
    const entries = [
      anAudit('login', { accountId: made.id }),
      anAudit('list', { accountId: made.id, actor: null, address: null }),
    ]
    await world.store.appendAudit(entries)
    const { rows } = await world.store.listAudit({ accountId: made.id }, PAGE)
    assert.deepEqual(rows.slice(0, 2), [entries[1], entries[0]])
    assert.equal((await world.store.listAudit({ accountId: made.id, action: 'login' }, PAGE)).total, 1)
    assert.deepEqual((await world.store.listAudit({ accountId: made.id }, { limit: 1, offset: 1 })).rows, [entries[0]])
    await world.store.appendAudit([])
  })
}
