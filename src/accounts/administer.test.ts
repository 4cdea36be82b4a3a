import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { createRecorder } from '../events/record.ts'
import { type AccountInput, createAccountAdmin, type UserInput } from './administer.ts'
import { createAuthenticator } from './authenticate.ts'
import type { ApiKeyInput } from './issue.ts'
import { createPasswords } from './password.ts'
import { createAccountStoreDouble } from './testing.ts'

const NOW = Date.UTC(2026, 5, 8, 12)
const clock: Clock = { now: () => NOW, monotonic: () => 0, after: () => () => {} }
const root: Caller = { actor: 'first-admin', address: '203.0.113.5', door: 'api', accountId: null }
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBu+jzjgAEu7NMt//Uw2JUAAwJ4TiY4bRFVO0udpV/H work'
const passwords = createPasswords()

async function setUp() {
  const double = createAccountStoreDouble()
  const changedUsers: string[] = []
  const admin = createAccountAdmin({
    store: double.store,
    recorder: createRecorder(clock),
    clock,
    passwords,
    checkEgressAllow: (networks) => {
      if (networks.includes('nonsense')) throw new AppError('invalid', 'egressAllow: nonsense', { field: 'egressAllow' })
      return networks
    },
    onUserChanged: (id) => changedUsers.push(id),
  })
  const account = await admin.ensureDefaultAccount()
  const tenant: Caller = { actor: 'ci', address: '198.51.100.7', door: 'api', accountId: account.id }
  return { ...double, admin, account, tenant, changedUsers }
}

/** Passes when the work is refused with this code, and a message that begins with the field and says this. */
async function assertRefused(work: Promise<unknown>, code: string, field: string | undefined, says: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof AppError, String(error))
    assert.equal(error.code, code)
    assert.equal(error.field, field)
    assert.match(error.message, says)
    if (field !== undefined && code === 'invalid') assert.ok(error.message.startsWith(field), error.message)
    return true
  })
}

test('the default account is made once, on a plan with webhooks', async () => {
  const { admin, account, audit } = await setUp()
  assert.deepEqual(await admin.ensureDefaultAccount(), account)
  assert.equal(account.slug, 'default')
  assert.equal(account.plan, 'business')
  assert.equal(audit.length, 1)
  assert.equal(audit[0]?.door, 'server')
})

const accountRefusals: { input: AccountInput; field: string; says: RegExp }[] = [
  { input: { slug: '' }, field: 'slug', says: /has 0 characters, not 1 to 32/ },
  { input: { slug: 'a'.repeat(33) }, field: 'slug', says: /has 33 characters, not 1 to 32/ },
  { input: { slug: 'Acme' }, field: 'slug', says: /is "Acme", not lower-case/ },
  { input: { slug: 'a--b' }, field: 'slug', says: /"a--b"/ },
  { input: { slug: '-a' }, field: 'slug', says: /"-a"/ },
  { input: { slug: '.landfall' }, field: 'slug', says: /".landfall"/ },
  { input: { slug: 'acme', plan: 'gold' }, field: 'plan', says: /is "gold", not one of starter, team, business/ },
  { input: { slug: 'acme', plan: 'toString' }, field: 'plan', says: /"toString"/ },
  { input: { slug: 'acme', name: 'x'.repeat(101) }, field: 'name', says: /has 101 characters, not 1 to 100/ },
  { input: { slug: 'acme', name: 'a\nb' }, field: 'name', says: /has a control character \(U\+000A\)/ },
  { input: { slug: 'acme', name: '\u202ea' }, field: 'name', says: /\(U\+202E\)/ },
  { input: { slug: 'acme', name: 'a ' }, field: 'name', says: /"a ".*begins or ends with a space/ },
]
for (const { input, field, says } of accountRefusals) {
  test(`createAccount refuses ${JSON.stringify(input).slice(0, 60)}`, async () => {
    const { admin, accounts } = await setUp()
    await assertRefused(admin.createAccount(root, input), 'invalid', field, says)
    assert.equal(accounts.size, 1)
  })
}

test('accounts are found by id and by slug, changed, and a taken slug is refused', async () => {
  const { admin } = await setUp()
  const acme = await admin.createAccount(root, { slug: 'acme' })
  assert.deepEqual(await admin.getAccount(root, 'acme'), acme)
  assert.deepEqual(await admin.getAccount(root, acme.id), acme)
  assert.equal((await admin.updateAccount(root, 'acme', { name: 'Acme Ltd', plan: 'starter' })).plan, 'starter')
  assert.equal((await admin.listAccounts(root, { limit: 10, offset: 0 })).total, 2)
  await assertRefused(admin.createAccount(root, { slug: 'acme' }), 'already_exists', 'name', /./)
})

test('a plan without webhooks turns off those of the account; another one leaves them as they are', async () => {
  const { admin, changes } = await setUp()
  await admin.createAccount(root, { slug: 'acme' })
  await admin.updateAccount(root, 'acme', { plan: 'team' })
  await admin.updateAccount(root, 'acme', { plan: 'starter' })
  await admin.updateAccount(root, 'acme', { name: 'Acme' })
  const off = changes.map(({ webhooksOff }) => webhooksOff)
  assert.deepEqual(off, [undefined, 'the plan of the account does not include webhooks; it is starter', undefined])
})

test('updateAccount: networks are checked, null gives those of the server back, a tenant may not', async () => {
  const { admin, account, tenant, audit } = await setUp()
  assert.equal(account.egressAllow, null)
  const update = (egressAllow: string[] | null, caller = root) => admin.updateAccount(caller, account.id, { egressAllow })
  assert.deepEqual((await update(['10.0.0.0/8'])).egressAllow, ['10.0.0.0/8'])
  assert.equal(audit.at(-1)?.detail, 'egressAllow')
  await assertRefused(update(['nonsense']), 'invalid', 'egressAllow', /^egressAllow/)
  await assertRefused(update(['10.0.0.0/8'], tenant), 'forbidden', undefined, /only an administrator/)
  assert.deepEqual((await admin.getAccount(root, account.id)).egressAllow, ['10.0.0.0/8'])
  assert.equal((await update(null)).egressAllow, null)
})

const good: UserInput = { name: 'pipeline', password: 'correct horse' }
const userRefusals: { input: UserInput; field: string; says: RegExp }[] = [
  { input: { ...good, name: '' }, field: 'name', says: /has 0 characters, not 1 to 64/ },
  { input: { ...good, name: 'x'.repeat(65) }, field: 'name', says: /has 65 characters, not 1 to 64/ },
  ...['-x', '.', '..', 'a b', 'a:b', 'a/b', 'ä'].map((name) => ({
    input: { ...good, name },
    field: 'name',
    says: /is ".*", not letters/,
  })),
  { input: { ...good, password: 'short' }, field: 'password', says: /^password has 5 bytes, not 8 to 1024$/ },
  { input: { ...good, password: 'ä'.repeat(513) }, field: 'password', says: /^password has 1026 bytes, not 8 to 1024$/ },
  { input: { name: 'pipeline' }, field: 'password', says: /needs a password or at least one public key/ },
  {
    input: { ...good, permissions: ['read', 'admin'] },
    field: 'permissions',
    says: /has "admin", not one of list, read, write, delete/,
  },
  { input: { ...good, permissions: [] }, field: 'permissions', says: /is empty/ },
  { input: { ...good, publicKeys: [KEY, 'ssh-dss AAAA'] }, field: 'publicKeys[1]', says: /DSA/ },
  { input: { ...good, publicKeys: [KEY, `${KEY} again`] }, field: 'publicKeys[1]', says: /same key as publicKeys\[0\]/ },
  { input: { ...good, publicKeys: Array(21).fill(KEY) }, field: 'publicKeys', says: /has 21 keys, at most 20/ },
  ...[
    '',
    '/',
    'default/x',
    '/a//b',
    '/a/',
    '/a/./b',
    '/a/../b',
    '/..',
    '/a\u0000b',
    '/a\\b',
    '/a\nb',
    '/.landfall',
    '/.Landfall/uploads',
  ].map((home) => ({ input: { ...good, home }, field: 'home', says: /is "/ })),
  { input: { ...good, home: `/${'a'.repeat(1_024)}` }, field: 'home', says: /has 1025 bytes, at most 1024/ },
  { input: { ...good, home: `/${'a'.repeat(256)}` }, field: 'home', says: /part of 256 bytes, at most 255/ },
]
for (const { input, field, says } of userRefusals) {
  test(`createUser refuses ${JSON.stringify(input).slice(0, 90)}`, async () => {
    const { admin, users, events, audit } = await setUp()
    await assertRefused(admin.createUser(root, 'default', input), 'invalid', field, says)
    assert.equal(users.size + events.length, 0)
    assert.equal(audit.length, 1)
  })
}

test('a new user has its defaults, its event and its audit entry', async () => {
  const { admin, account, users, events, audit } = await setUp()
  const user = await admin.createUser(root, 'default', { ...good, publicKeys: [KEY] })
  assert.deepEqual(users.get(user.id), user)
  assert.equal(user.home, '/default/pipeline')
  assert.deepEqual(user.permissions, ['list', 'read', 'write', 'delete'])
  assert.match(user.passwordHash ?? '', /^\$argon2id\$/)
  assert.match(user.publicKeys[0]?.id ?? '', /^ukey_/)
  assert.equal(events.length, 1)
  assert.equal(events[0]?.type, 'ftp_user.created')
  assert.equal(events[0]?.accountId, account.id)
  assert.deepEqual(events[0]?.data, {
    username: 'pipeline',
    user_id: user.id,
    home_directory: '/default/pipeline',
    permissions: ['list', 'read', 'write', 'delete'],
    client_ip: '203.0.113.5',
  })
  const { action, actor, address, door, target } = audit.at(-1)!
  assert.deepEqual(
    { action, actor, address, door, target },
    { action: 'user.create', actor: 'first-admin', address: '203.0.113.5', door: 'api', target: user.id },
  )
})

test('an update changes what it names, keeps the ids of keys, and ends live sessions', async () => {
  const { admin, store, changedUsers } = await setUp()
  const user = await admin.createUser(root, 'default', { ...good, publicKeys: [KEY], permissions: ['delete', 'list', 'list'] })
  assert.deepEqual(user.permissions, ['list', 'delete'])
  const changed = await admin.updateUser(root, 'default', user.id, { disabled: true, publicKeys: [`${KEY} and home`] })
  assert.equal(changed.disabled, true)
  assert.equal(changed.passwordHash, user.passwordHash)
  assert.equal(changed.publicKeys[0]?.id, user.publicKeys[0]?.id)
  assert.deepEqual(changedUsers, [user.id])

  await admin.updateUser(root, 'default', user.id, { disabled: false, password: 'new password' })
  const authenticator = createAuthenticator({ store, passwords })
  const found = await authenticator.findUser('pipeline')
  assert.equal(await authenticator.checkPassword(found, 'new password'), true)
  assert.equal(await authenticator.checkPassword(found, 'correct horse'), false)

  await admin.updateUser(root, 'default', user.id, { password: null })
  await assertRefused(admin.updateUser(root, 'default', user.id, { publicKeys: [] }), 'invalid', 'password', /needs a password/)
  await admin.removeUser(root, 'default', user.id)
  assert.equal(changedUsers.length, 4)
  await assertRefused(admin.getUser(root, 'default', user.id), 'not_found', undefined, /no such user/)
})

test('two changes at the same time both hold', async () => {
  const { admin } = await setUp()
  const user = await admin.createUser(root, 'default', good)
  await Promise.all([
    admin.updateUser(root, 'default', user.id, { password: 'other password' }),
    admin.updateUser(root, 'default', user.id, { disabled: true }),
    admin.updateUser(root, 'default', user.id, { home: '/elsewhere' }),
  ])
  const { disabled, home, passwordHash } = await admin.getUser(root, 'default', user.id)
  assert.deepEqual({ disabled, home }, { disabled: true, home: '/elsewhere' })
  assert.notEqual(passwordHash, user.passwordHash)
})

test('the users of a plan are bounded', async () => {
  const { admin } = await setUp()
  await admin.createAccount(root, { slug: 'small', plan: 'starter' })
  for (let index = 0; index < 5; index += 1) await admin.createUser(root, 'small', { name: `u${index}`, publicKeys: [KEY] })
  await assertRefused(admin.createUser(root, 'small', { name: 'u5', publicKeys: [KEY] }), 'limit_reached', undefined, /./)
})

test('a caller of an account sees and reaches nothing of another', async () => {
  const { admin, tenant } = await setUp()
  const acme = await admin.createAccount(root, { slug: 'acme' })
  const user = await admin.createUser(root, 'acme', good)
  const page = { limit: 10, offset: 0 }
  const tries: (() => Promise<unknown>)[] = [
    () => admin.getAccount(tenant, 'acme'),
    () => admin.accountUsage(tenant, acme.id),
    () => admin.createUser(tenant, 'acme', { ...good, name: 'x' }),
    () => admin.getUser(tenant, 'acme', user.id),
    () => admin.getUser(tenant, 'default', user.id),
    () => admin.updateUser(tenant, 'default', user.id, { disabled: true }),
    () => admin.removeUser(tenant, 'default', user.id),
    () => admin.listUsers(tenant, 'acme', page),
    () => admin.createApiKey(tenant, 'acme', { name: 'x', scopes: ['read'] }),
    () => admin.listApiKeys(tenant, 'acme', page),
    () => admin.listAdminTokens(tenant, page),
    () => admin.createAdminToken(tenant, { name: 'x' }),
  ]
  for (const attempt of tries) await assert.rejects(attempt(), (error) => codeOf(error) === 'not_found')
  await assert.rejects(admin.createAccount(tenant, { slug: 'mine' }), (error) => codeOf(error) === 'forbidden')
  assert.deepEqual(
    (await admin.listAccounts(tenant, page)).rows.map(({ slug }) => slug),
    ['default'],
  )

  await assertRefused(
    admin.createUser(tenant, 'default', { ...good, home: '/acme/pipeline' }),
    'invalid',
    'home',
    /not \/default or below it/,
  )
  await assertRefused(
    admin.createUser(tenant, 'default', { ...good, home: '/default2' }),
    'invalid',
    'home',
    /not \/default or below/,
  )
  assert.equal((await admin.createUser(tenant, 'default', { ...good, home: '/default/shared' })).home, '/default/shared')
})

test('an account key is shown once, stored hashed, found until revoked', async () => {
  const { admin, apiKeys } = await setUp()
  const { key, token } = await admin.createApiKey(root, 'default', { name: 'ci', scopes: ['write', 'read'] })
  assert.match(token, /^tftp_[0-9a-z]{32}$/)
  assert.deepEqual(key.scopes, ['read', 'write'])
  assert.equal(key.hourlyLimit, 1_000)
  assert.ok(!JSON.stringify([...apiKeys]).includes(token))
  assert.equal((await admin.findApiKey(token))?.id, key.id)
  assert.equal(await admin.findApiKey(`${token}x`), undefined)
  await admin.revokeApiKey(root, 'default', key.id)
  assert.equal(await admin.findApiKey(token), undefined)
})

const keyRefusals: { input: ApiKeyInput; field: string; says: RegExp }[] = [
  { input: { name: '', scopes: ['read'] }, field: 'name', says: /0 characters/ },
  { input: { name: 'ci', scopes: [] }, field: 'scopes', says: /is empty/ },
  { input: { name: 'ci', scopes: ['admin'] }, field: 'scopes', says: /has "admin", not one of read, write/ },
  {
    input: { name: 'ci', scopes: ['read'], hourlyLimit: 0 },
    field: 'hourlyLimit',
    says: /is 0, not a whole number from 1 to 1000000/,
  },
  { input: { name: 'ci', scopes: ['read'], hourlyLimit: 1_000_001 }, field: 'hourlyLimit', says: /is 1000001/ },
  { input: { name: 'ci', scopes: ['read'], hourlyLimit: 1.5 }, field: 'hourlyLimit', says: /is 1.5/ },
]
for (const { input, field, says } of keyRefusals) {
  test(`createApiKey refuses ${JSON.stringify(input)}`, async () => {
    const { admin, apiKeys } = await setUp()
    await assertRefused(admin.createApiKey(root, 'default', input), 'invalid', field, says)
    assert.equal(apiKeys.size, 0)
  })
}

/** Keeps nothing: each token is shown as soon as it is made. */
const unshown = { read: async () => undefined, keep: async () => {} }

test('the first start makes a token; later ones do not; a given one replaces it', async () => {
  const { admin, audit } = await setUp()
  await admin.renewLocalToken()
  const first = await admin.ensureAdminToken('', unshown)
  assert.match(first ?? '', /^lfadm_[0-9a-z]{32}$/)
  assert.equal(await admin.ensureAdminToken('', unshown), undefined)
  assert.equal((await admin.findAdminToken(first!))?.name, 'first-admin')

  const given = 'a-token-of-the-settings'
  assert.equal(await admin.ensureAdminToken(given, unshown), undefined)
  assert.equal(await admin.findAdminToken(first!), undefined)
  assert.equal((await admin.findAdminToken(given))?.name, 'first-admin')
  const entries = audit.length
  await admin.ensureAdminToken(given, unshown)
  assert.equal(audit.length, entries)
  await assertRefused(admin.ensureAdminToken('too short', unshown), 'invalid', 'adminToken', /has 9 characters/)
})

test('a token that was not shown is answered again, whatever a start died of', async () => {
  const { admin } = await setUp()
  let kept: string | undefined
  const keep = async (token: string) => {
    kept = token
  }
  const keeping = { read: async () => kept, keep }
  const dying = async (token: string) => {
    await keep(token)
    throw new Error('the process dies before the token counts')
  }
  await assert.rejects(admin.ensureAdminToken('', { ...keeping, keep: dying }), /dies/)
  const lost = kept!
  assert.equal(await admin.findAdminToken(lost), undefined)

  const made = await admin.ensureAdminToken('', keeping)
  assert.equal((await admin.findAdminToken(made!))?.name, 'first-admin')
  assert.equal(kept, made, 'kept before it counts')
  assert.equal(await admin.ensureAdminToken('', keeping), made, 'it counts, and nobody has seen it')

  assert.equal(await admin.ensureAdminToken('a-token-of-the-settings', keeping), undefined)
  assert.equal(await admin.ensureAdminToken('', keeping), undefined, 'a given one has replaced it')
})

test('the local token changes at each start; made ones are revoked', async () => {
  const { admin } = await setUp()
  const before = await admin.renewLocalToken()
  const after = await admin.renewLocalToken()
  assert.equal(await admin.findAdminToken(before), undefined)
  assert.equal((await admin.findAdminToken(after))?.name, 'local')

  const { adminToken, token } = await admin.createAdminToken(root, { name: 'ops' })
  assert.equal((await admin.findAdminToken(token))?.id, adminToken.id)
  await admin.revokeAdminToken(root, adminToken.id)
  assert.equal(await admin.findAdminToken(token), undefined)
  await assertRefused(admin.createAdminToken(root, { name: 'local' }), 'invalid', 'name', /keeps for itself/)
})
