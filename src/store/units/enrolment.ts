import type { Agent, Authority, Certificate, EnrolmentToken } from '../../agents/agent.ts'
import type { AgentStore, CertificateEnding } from '../../agents/port.ts'
import { AppError } from '../../base/error.ts'
import { storable } from '../rows.ts'
import type { AuthorityTable, CertificateTable, EnrolmentTokenTable } from '../tables.ts'
import { countOf, found, ONE, orTaken, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import { fromAgent, later, toAgent } from './agents.ts'
import type { Units } from './units.ts'

export type EnrolmentStore = Pick<
  AgentStore,
  | 'findAuthority'
  | 'ensureAuthority'
  | 'replaceAuthority'
  | 'createEnrolmentToken'
  | 'listEnrolmentTokens'
  | 'revokeEnrolmentToken'
  | 'findEnrolmentToken'
  | 'registerAgent'
  | 'registerAgain'
  | 'findByFingerprint'
  | 'listCertificates'
  | 'addCertificate'
  | 'endingCertificates'
  | 'sayCertificateEnding'
>

/** The authority, what it has issued, and what lets agents in. */
export const enrolmentUnits: Units<EnrolmentStore> = {
  async findAuthority({ db }) {
    const row = await db.selectFrom('authority').selectAll().executeTakeFirst()
    return row && toAuthority(row)
  },

  async ensureAuthority(work, authority) {
    const { id, certificate, sealedKey, createdAt } = authority
    await work.db
      .insertInto('authority')
      .values({ id, is_current: 1, certificate, sealed_key: sealedKey, created_at: createdAt })
      .onConflict((current) => current.column('is_current').doNothing())
      .execute()
    return theAuthority(work)
  },

  async replaceAuthority(work, before, { id, certificate, sealedKey, createdAt }) {
    await work.db
      .updateTable('authority')
      .set({ id, certificate, sealed_key: sealedKey, created_at: createdAt })
      .where('id', '=', before.id)
      .where('sealed_key', '=', before.sealedKey)
      .execute()
    return theAuthority(work)
  },

  async createEnrolmentToken(work, token, audit) {
    await work.db.insertInto('enrolment_token').values(fromToken(token)).execute()
    await note(work, audit)
  },

  listEnrolmentTokens({ db }, page) {
    const query = db.selectFrom('enrolment_token')
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toToken,
    )
  },

  async revokeEnrolmentToken(work, id, at, audit) {
    const row = await work.db
      .updateTable('enrolment_token')
      .set((e) => ({ revoked_at: e.fn.coalesce('revoked_at', e.val(at)) }))
      .where('id', '=', id)
      .returning('id')
      .executeTakeFirst()
    found(row, 'enrolment token')
    await note(work, audit)
  },

  async findEnrolmentToken({ db }, tokenHash) {
    const row = await db.selectFrom('enrolment_token').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
    return row && toToken(row)
  },

  async registerAgent(work, agent, certificate, tokenHash, event, audit) {
    // First of all: whoever sends the same enrolment at the same time waits here, and then finds the agent.
    if (event === null) await takeBack(work, agent)
    else await orTaken(work.db.insertInto('agent').values(fromAgent(agent)).execute(), 'An agent has this key already.', 'csr')
    if (tokenHash !== null) await spendToken(work, tokenHash, agent.updatedAt)
    if (certificate !== null) await work.db.insertInto('certificate').values(fromCertificate(certificate)).execute()
    if (event !== null) await work.recordEvent(event)
    await note(work, audit)
  },

  async registerAgain(work, agent, certificate, kept, tokenHash, audit) {
    const { hostname, os, version, keyHash, ipAddress, updatedAt } = agent
    const row = await work.db
      .updateTable('agent')
      .set({
        ...{ hostname, os, version, key_hash: keyHash, ip_address: ipAddress, updated_at: updatedAt },
        last_seen_at: later(agent.lastSeenAt),
      })
      .where('id', '=', agent.id)
      .where('revoked_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    // Revoked in the meantime: that takes another road.
    if (row === undefined) throw new AppError('conflict', 'The agent was revoked at the same time.')
    if (tokenHash !== null) await checkToken(work, tokenHash, updatedAt)
    await replaceCertificates(work, certificate, kept)
    await note(work, audit)
  },

  async findByFingerprint({ db }, fingerprint) {
    const row = await db.selectFrom('certificate').selectAll().where('fingerprint', '=', fingerprint).executeTakeFirst()
    if (row === undefined) return undefined
    const agent = await db.selectFrom('agent').selectAll().where('id', '=', row.agent_id).executeTakeFirstOrThrow()
    return { agent: toAgent(agent), certificate: toCertificate(row) }
  },

  async listCertificates({ db }, agentId) {
    const rows = await db.selectFrom('certificate').selectAll().where('agent_id', '=', agentId).orderBy('id', 'desc').execute()
    return rows.map(toCertificate)
  },

  async addCertificate(work, certificate, publicKeyHash, kept, audit) {
    const update = work.db
      .updateTable('agent')
      .set({ public_key_hash: publicKeyHash })
      .where('id', '=', certificate.agentId)
      .where('revoked_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    if ((await orTaken(update, 'Another agent has this key already.', 'csr')) === undefined)
      throw new AppError('forbidden', 'The agent is revoked; it has to be enrolled again.')
    await replaceCertificates(work, certificate, kept)
    await note(work, audit)
  },

  async endingCertificates({ db }, kind, from, until, limit) {
    const rows = await db
      .selectFrom('certificate')
      .selectAll()
      .where('expires_at', '>', from)
      .where('expires_at', '<=', until)
      .where('revoked_at', 'is', null)
      .where('replaced_at', 'is', null)
      .where('expired_said_at', 'is', null)
      .where(SAID_AT[kind], 'is', null)
      .orderBy('expires_at')
      .limit(limit)
      .execute()
    const ids = [...new Set(rows.map((row) => row.agent_id))]
    const agents = ids.length === 0 ? [] : await db.selectFrom('agent').selectAll().where('id', 'in', ids).execute()
    const byId = new Map(agents.map((row) => [row.id, toAgent(row)]))
    return rows.map((row) => ({ agent: byId.get(row.agent_id)!, certificate: toCertificate(row) }))
  },

  async sayCertificateEnding(work, certificateId, kind, at, event) {
    const row = await work.db
      .updateTable('certificate')
      .set({ [SAID_AT[kind]]: at })
      .where('id', '=', certificateId)
      .where('revoked_at', 'is', null)
      .where('replaced_at', 'is', null)
      .where('expired_said_at', 'is', null)
      .where(SAID_AT[kind], 'is', null)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    await work.recordEvent(event)
    return true
  },
}

const SAID_AT = {
  expiring: 'expiring_said_at',
  expired: 'expired_said_at',
} as const satisfies Record<CertificateEnding, keyof CertificateTable>

async function theAuthority({ db }: Work): Promise<Authority> {
  return toAuthority(await db.selectFrom('authority').selectAll().executeTakeFirstOrThrow())
}

/** An agent that was revoked counts again. What it is called, and how much it may do at a time, stays. */
async function takeBack({ db }: Work, agent: Agent): Promise<void> {
  const { hostname, os, version, keyHash, ipAddress, updatedAt, lastSeenAt } = agent
  const row = await db
    .updateTable('agent')
    .set({
      ...{ hostname, os, version, key_hash: keyHash, ip_address: ipAddress, updated_at: updatedAt },
      ...{ last_seen_at: lastSeenAt, revoked_at: null },
    })
    .where('id', '=', agent.id)
    .where('revoked_at', 'is not', null)
    .returning('id')
    .executeTakeFirst()
  if (row === undefined) throw new AppError('conflict', 'The agent was enrolled again at the same time.')
}

async function spendToken(work: Work, tokenHash: string, at: number): Promise<void> {
  const row = await work.db
    .updateTable('enrolment_token')
    .set((e) => ({ uses: e('uses', '+', 1) }))
    .where('token_hash', '=', tokenHash)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', at)
    .whereRef('uses', '<', 'uses_max')
    .returning('id')
    .executeTakeFirst()
  if (row !== undefined) return
  const { usesMax } = await checkToken(work, tokenHash, at)
  throw new AppError('forbidden', `The enrolment token is used up: it lets in ${usesMax}.`)
}

/** That it counts, whether or not it is used up. */
async function checkToken({ db }: Work, tokenHash: string, at: number): Promise<EnrolmentToken> {
  const row = await db.selectFrom('enrolment_token').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
  if (row === undefined || row.revoked_at !== null) throw new AppError('forbidden', 'The enrolment token is revoked.')
  if (row.expires_at <= at)
    throw new AppError('forbidden', `The enrolment token counted until ${new Date(row.expires_at).toISOString()}.`)
  return toToken(row)
}

async function replaceCertificates({ db }: Work, certificate: Certificate, kept: number): Promise<void> {
  const { agentId, issuedAt } = certificate
  await db
    .updateTable('certificate')
    .set({ replaced_at: issuedAt })
    .where('agent_id', '=', agentId)
    .where('replaced_at', 'is', null)
    .execute()
  const others = db.selectFrom('certificate').select('id').where('agent_id', '=', agentId)
  const newest = others.orderBy('id', 'desc').limit(kept - 1)
  await db.deleteFrom('certificate').where('agent_id', '=', agentId).where('id', 'not in', newest).execute()
  await db.insertInto('certificate').values(fromCertificate(certificate)).execute()
}

function toAuthority({ id, certificate, sealed_key, created_at }: AuthorityTable): Authority {
  return { id, certificate, sealedKey: sealed_key, createdAt: created_at }
}

function toToken(row: EnrolmentTokenTable): EnrolmentToken {
  const { id, name, uses } = row
  return {
    ...{ id, name, tokenHash: row.token_hash, usesMax: row.uses_max, uses },
    ...{ createdAt: row.created_at, expiresAt: row.expires_at, revokedAt: row.revoked_at },
  }
}

function fromToken(token: EnrolmentToken): EnrolmentTokenTable {
  const { id, name, tokenHash, usesMax, uses, createdAt, expiresAt, revokedAt } = token
  return {
    ...{ id, name: storable(name), token_hash: tokenHash, uses_max: usesMax, uses },
    ...{ created_at: createdAt, expires_at: expiresAt, revoked_at: revokedAt },
  }
}

function toCertificate(row: CertificateTable): Certificate {
  return {
    id: row.id,
    agentId: row.agent_id,
    serial: row.serial,
    fingerprint: row.fingerprint,
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    replacedAt: row.replaced_at,
    expiringSaidAt: row.expiring_said_at,
    expiredSaidAt: row.expired_said_at,
  }
}

function fromCertificate(certificate: Certificate): CertificateTable {
  return {
    id: certificate.id,
    agent_id: certificate.agentId,
    serial: certificate.serial,
    fingerprint: certificate.fingerprint,
    issued_at: certificate.issuedAt,
    expires_at: certificate.expiresAt,
    revoked_at: certificate.revokedAt,
    replaced_at: certificate.replacedAt,
    expiring_said_at: certificate.expiringSaidAt,
    expired_said_at: certificate.expiredSaidAt,
  }
}
