import type { AccountStore } from '../../accounts/port.ts'
import type { User } from '../../accounts/user.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import { fromAudit, fromUserKey, textOf, toAccount, toAdminToken, toApiKey, toUser } from '../rows.ts'
import { countOf, found, ONE, orTaken, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import type { Units } from './units.ts'

/** Accounts, users, keys and tokens. */
export const accountUnits: Units<AccountStore> = {
  async createAccount(work, account, audit) {
    const { id, slug, name, plan, egressAllow, quotaBytes, createdAt, updatedAt } = account
    const own = { egress_allow: textOf(egressAllow), quota_bytes: quotaBytes }
    const row = { id, slug, name, plan, ...own, created_at: createdAt, updated_at: updatedAt }
    await orTaken(work.db.insertInto('account').values(row).execute(), `slug: the account "${slug}" exists already.`, 'slug')
    await note(work, audit)
  },

  async updateAccount(work, id, changes, audit) {
    const { updatedAt, webhooksOff, egressAllow, quotaBytes, ...rest } = changes
    const quota = quotaBytes === undefined ? {} : { quota_bytes: quotaBytes }
    const egress = egressAllow === undefined ? {} : { egress_allow: textOf(egressAllow) }
    // In turn with whoever makes a webhook, or turns one on, under the account as it was.
    if (changes.plan !== undefined || egressAllow !== undefined) await work.changeWebhooks()
    const row = await work.db
      .updateTable('account')
      .set({ ...rest, ...egress, ...quota, updated_at: updatedAt })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    const account = toAccount(found(row, 'account'))
    if (egressAllow !== undefined) await work.db.updateTable('webhook').set(egress).where('account_id', '=', id).execute()
    if (webhooksOff !== undefined) await turnOffWebhooks(work, id, webhooksOff, updatedAt)
    await note(work, audit)
    return account
  },

  async findAccount({ db }, by) {
    const query = db.selectFrom('account').selectAll()
    const row = await ('id' in by ? query.where('id', '=', by.id) : query.where('slug', '=', by.slug)).executeTakeFirst()
    return row && toAccount(row)
  },

  listAccounts({ db }, page) {
    const query = db.selectFrom('account')
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toAccount,
    )
  },

  async accountUsage({ db }, accountId) {
    const row = await db
      .selectFrom('account_usage')
      .select(['bytes', 'files'])
      .where('account_id', '=', accountId)
      .executeTakeFirst()
    return { bytes: row?.bytes ?? 0, files: row?.files ?? 0 }
  },

  async createUser(work, user, { usersMax }, event, audit) {
    await lockAccount(work, user.accountId)
    const { total } = await work.db
      .selectFrom('user')
      .select((e) => e.fn.countAll().as('total'))
      .where('account_id', '=', user.accountId)
      .executeTakeFirstOrThrow()
    if (Number(total) >= usersMax)
      throw new AppError('limit_reached', `The account has ${total} users; its plan allows ${usersMax}.`)
    const row = { id: user.id, account_id: user.accountId, created_at: user.createdAt, ...userColumns(user) }
    await orTaken(work.db.insertInto('user').values(row).execute(), `name: the user "${user.name}" exists already.`, 'name')
    await insertUserKeys(work, user)
    await work.recordEvent(event)
    await note(work, audit)
  },

  async updateUser(work, user, audit) {
    const update = work.db.updateTable('user').set(userColumns(user)).where('id', '=', user.id).returning('id').executeTakeFirst()
    found(await orTaken(update, `name: the user "${user.name}" exists already.`, 'name'), 'user')
    await work.db.deleteFrom('user_key').where('user_id', '=', user.id).execute()
    await insertUserKeys(work, user)
    await note(work, audit)
  },

  async removeUser(work, id, audit) {
    found(await work.db.deleteFrom('user').where('id', '=', id).returning('id').executeTakeFirst(), 'user')
    await note(work, audit)
  },

  async findUser(work, by) {
    const query = users(work)
    const row = await ('id' in by
      ? query.where('user.id', '=', by.id)
      : query.where('account.slug', '=', by.accountSlug).where('user.name', '=', by.name)
    ).executeTakeFirst()
    if (row === undefined) return undefined
    return toUser(row, await keysOf(work, [row.id]))
  },

  async listUsers(work, accountId, page) {
    const { total } = await work.db
      .selectFrom('user')
      .select((e) => e.fn.countAll().as('total'))
      .where('account_id', '=', accountId)
      .executeTakeFirstOrThrow()
    const rows = await users(work)
      .where('account_id', '=', accountId)
      .orderBy('user.id')
      .limit(page.limit)
      .offset(page.offset)
      .execute()
    const keys = await keysOf(work, rows.map((row) => row.id)) // biome-ignore format: one line
    return { rows: rows.map((row) => toUser(row, keys.filter((key) => key.user_id === row.id))), total: Number(total) } // biome-ignore format: one line
  },

  async createApiKey(work, key, tokenHash, { apiKeysMax }, audit) {
    await lockAccount(work, key.accountId)
    const { total } = await work.db
      .selectFrom('api_key')
      .select((e) => e.fn.countAll().as('total'))
      .where('account_id', '=', key.accountId)
      .where('revoked_at', 'is', null)
      .executeTakeFirstOrThrow()
    if (Number(total) >= apiKeysMax)
      throw new AppError('limit_reached', `The account has ${total} keys; its plan allows ${apiKeysMax}.`)
    const row = {
      id: key.id,
      account_id: key.accountId,
      name: key.name,
      token_hash: tokenHash,
      scopes: JSON.stringify(key.scopes),
      hourly_limit: key.hourlyLimit,
      created_at: key.createdAt,
      revoked_at: key.revokedAt,
    }
    await orTaken(work.db.insertInto('api_key').values(row).execute(), 'A key with this id or token exists already.')
    await note(work, audit)
  },

  async findApiKey({ db }, tokenHash) {
    const row = await db.selectFrom('api_key').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
    return row && toApiKey(row)
  },

  listApiKeys({ db }, accountId, page) {
    const query = db.selectFrom('api_key').where('account_id', '=', accountId)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toApiKey,
    )
  },

  async revokeApiKey(work, accountId, id, at, audit) {
    const row = await work.db
      .updateTable('api_key')
      .set((e) => ({ revoked_at: e.fn.coalesce('revoked_at', e.val(at)) }))
      .where('id', '=', id)
      .where('account_id', '=', accountId)
      .returning('id')
      .executeTakeFirst()
    found(row, 'key')
    await note(work, audit)
  },

  async createAdminToken(work, token, tokenHash, audit) {
    await insertAdminToken(work, token, tokenHash)
    await note(work, audit)
  },

  async replaceAdminToken(work, token, tokenHash, audit) {
    await work.db.deleteFrom('admin_token').where('name', '=', token.name).execute()
    await insertAdminToken(work, token, tokenHash)
    await note(work, audit)
  },

  async findAdminToken({ db }, tokenHash) {
    const row = await db.selectFrom('admin_token').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
    return row && toAdminToken(row)
  },

  listAdminTokens({ db }, page) {
    const query = db.selectFrom('admin_token')
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toAdminToken,
    )
  },

  async revokeAdminToken(work, id, at, audit) {
    const row = await work.db
      .updateTable('admin_token')
      .set((e) => ({ revoked_at: e.fn.coalesce('revoked_at', e.val(at)) }))
      .where('id', '=', id)
      .returning('id')
      .executeTakeFirst()
    found(row, 'token')
    await note(work, audit)
  },
}

async function turnOffWebhooks({ db }: Work, accountId: string, reason: string, at: number): Promise<void> {
  await db
    .updateTable('webhook')
    .set({ state: 'inactive', inactive_reason: reason, off_since: at, updated_at: at })
    .where('account_id', '=', accountId)
    .where('removed_at', 'is', null)
    .where('state', '=', 'active')
    .execute()
}

export async function note({ db }: Work, audit: AuditEntry): Promise<void> {
  await db.insertInto('audit').values(fromAudit(audit)).execute()
}

/** Two who count the same account's things wait for each other: an update that changes nothing locks the row in both databases. */
async function lockAccount({ db }: Work, id: string): Promise<void> {
  const row = await db
    .updateTable('account')
    .set((e) => ({ updated_at: e.ref('updated_at') }))
    .where('id', '=', id)
    .returning('id')
    .executeTakeFirst()
  found(row, 'account')
}

function users({ db }: Work) {
  return db
    .selectFrom('user')
    .innerJoin('account', 'account.id', 'user.account_id')
    .selectAll('user')
    .select('account.slug as account_slug')
}

async function keysOf({ db }: Work, userIds: string[]) {
  if (userIds.length === 0) return []
  return db.selectFrom('user_key').selectAll().where('user_id', 'in', userIds).orderBy('user_id').orderBy('position').execute()
}

function userColumns(user: User) {
  return {
    name: user.name,
    password_hash: user.passwordHash,
    home: user.home,
    permissions: JSON.stringify(user.permissions),
    disabled: user.disabled ? 1 : 0,
    updated_at: user.updatedAt,
  }
}

async function insertUserKeys({ db }: Work, user: User): Promise<void> {
  if (user.publicKeys.length === 0) return
  const rows = user.publicKeys.map((key, position) => fromUserKey(user.id, key, position))
  await orTaken(db.insertInto('user_key').values(rows).execute(), 'A public key with this id exists already.')
}

async function insertAdminToken({ db }: Work, token: Parameters<AccountStore['createAdminToken']>[0], tokenHash: string) {
  const row = { id: token.id, name: token.name, token_hash: tokenHash, created_at: token.createdAt, revoked_at: token.revokedAt }
  await orTaken(db.insertInto('admin_token').values(row).execute(), 'A token with this id or value exists already.')
}
