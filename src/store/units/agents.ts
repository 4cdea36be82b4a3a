import { sql } from 'kysely'
import type { Agent } from '../../agents/agent.ts'
import type { AgentStore } from '../../agents/port.ts'
import type { AgentTable } from '../tables.ts'
import { countOf, found, ONE, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import type { EnrolmentStore } from './enrolment.ts'
import type { Units } from './units.ts'

/** The agents that were let in: what they are, and which of them are there. A unit that says an event locks the row of the agent first. */
export const agentUnits: Units<Omit<AgentStore, keyof EnrolmentStore>> = {
  async findAgent({ db }, id) {
    const row = await db.selectFrom('agent').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toAgent(row)
  },

  async findAgentByKey({ db }, keyHash) {
    const row = await db.selectFrom('agent').selectAll().where('key_hash', '=', keyHash).executeTakeFirst()
    return row && toAgent(row)
  },

  async findAgentByPublicKey({ db }, publicKeyHash) {
    const row = await db.selectFrom('agent').selectAll().where('public_key_hash', '=', publicKeyHash).executeTakeFirst()
    return row && toAgent(row)
  },

  async findAgents({ db }, ids) {
    if (ids.length === 0) return []
    const rows = await db.selectFrom('agent').selectAll().where('id', 'in', ids).execute()
    return rows.map(toAgent)
  },

  listAgents({ db }, page) {
    const query = db.selectFrom('agent')
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toAgent,
    )
  },

  async updateAgent(work, id, { updatedAt, ...changes }, audit) {
    const row = await work.db
      .updateTable('agent')
      .set({ ...changes, updated_at: updatedAt })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    await note(work, audit)
    return toAgent(found(row, 'agent'))
  },

  async revokeAgent(work, id, at, disconnected, audit) {
    // Told apart by which of two updates finds the agent, because only it knows under its lock what it was.
    const wasThere = await revoke(work, id, at, '<>')
    const wasOffline = wasThere ? false : await revoke(work, id, at, '=')
    if (!wasThere && !wasOffline) {
      found(await work.db.selectFrom('agent').select('id').where('id', '=', id).executeTakeFirst(), 'agent')
      return false
    }
    await work.db
      .updateTable('certificate')
      .set({ revoked_at: at })
      .where('agent_id', '=', id)
      .where('revoked_at', 'is', null)
      .execute()
    if (wasThere) await work.recordEvent(disconnected)
    await note(work, audit)
    return true
  },

  async seeAgent(work, sighting, connected) {
    const seen = await see(work, sighting, '<>')
    if (seen !== undefined) return toAgent(seen)
    const back = await see(work, sighting, '=')
    if (back !== undefined) {
      await work.recordEvent(connected)
      return toAgent(back)
    }
    // Revoked or unknown; or another request has just brought it back.
    const again = await see(work, sighting, '<>')
    return again && toAgent(again)
  },

  async openStream({ db }, agentId, node, at) {
    await db
      .updateTable('agent')
      .set({ stream_node: node, stream_lost_at: null, last_seen_at: later(at) })
      .where('id', '=', agentId)
      .execute()
  },

  async loseStream({ db }, agentId, node, at) {
    await db
      .updateTable('agent')
      .set({ stream_node: null, stream_lost_at: at })
      .where('id', '=', agentId)
      .where('stream_node', '=', node)
      .execute()
  },

  async endStream(work, agentId, at, audit) {
    const row = await work.db
      .updateTable('agent')
      .set({ stream_node: null, stream_lost_at: at })
      .where('id', '=', agentId)
      .where('stream_node', 'is not', null)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined)
      found(await work.db.selectFrom('agent').select('id').where('id', '=', agentId).executeTakeFirst(), 'agent')
    await note(work, audit)
    return row !== undefined
  },

  async silentAgents({ db }, seenBefore, lostBefore, limit) {
    if (seenBefore === null && lostBefore === null) return []
    const rows = await db
      .selectFrom('agent')
      .selectAll()
      .where('status', '<>', 'offline')
      .where('revoked_at', 'is', null)
      .where((e) =>
        e.or([
          ...(seenBefore === null ? [] : [e('last_seen_at', '<=', seenBefore)]),
          ...(lostBefore === null ? [] : [e('stream_lost_at', '<=', lostBefore)]),
        ]),
      )
      .orderBy('last_seen_at')
      .limit(limit)
      .execute()
    return rows.map(toAgent)
  },

  async loseAgent(work, { id, lastSeenAt: heardAt, streamLostAt }, lastSeenAt, event) {
    const row = await work.db
      .updateTable('agent')
      .set({ status: 'offline', stream_node: null, stream_lost_at: null, last_seen_at: lastSeenAt })
      .where('id', '=', id)
      .where('status', '<>', 'offline')
      .where('revoked_at', 'is', null)
      .where('last_seen_at', '=', heardAt)
      .where(sql<boolean>`stream_lost_at is not distinct from ${streamLostAt}`)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    await work.recordEvent(event)
    return true
  },

  countOnlineAgents({ db }) {
    const online = db.selectFrom('agent').select(ONE).where('status', '<>', 'offline').where('revoked_at', 'is', null)
    return countOf(db, online.limit(TOTAL_COUNTED_MAX))
  },
}

async function revoke({ db }: Work, id: string, at: number, offline: '=' | '<>'): Promise<boolean> {
  const row = await db
    .updateTable('agent')
    .set({ revoked_at: at, status: 'offline', stream_node: null, stream_lost_at: null, updated_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where('status', offline, 'offline')
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

function see({ db }: Work, sighting: Parameters<AgentStore['seeAgent']>[0], offline: '=' | '<>') {
  const { agentId, at, ipAddress, status, load, memory, version } = sighting
  const isBack = offline === '='
  return db
    .updateTable('agent')
    .set({
      last_seen_at: later(at),
      ip_address: ipAddress,
      ...(status === undefined ? (isBack ? { status: 'online' } : {}) : { status }),
      ...(load === undefined ? {} : { load }),
      ...(memory === undefined ? {} : { memory }),
      ...(version === undefined ? {} : { version }),
    })
    .where('id', '=', agentId)
    .where('revoked_at', 'is', null)
    .where('status', offline, 'offline')
    .returningAll()
    .executeTakeFirst()
}

/** Signs of life may be written in another order than they came. */
export function later(at: number) {
  return sql<number>`case when last_seen_at > ${at} then last_seen_at else ${at} end`
}

export function toAgent(row: AgentTable): Agent {
  return {
    id: row.id,
    name: row.name,
    hostname: row.hostname,
    os: row.os as Agent['os'],
    version: row.version,
    status: row.status as Agent['status'],
    isBuiltin: row.is_builtin === 1,
    keyHash: row.key_hash,
    publicKeyHash: row.public_key_hash,
    ipAddress: row.ip_address,
    lastSeenAt: row.last_seen_at,
    streamNode: row.stream_node,
    streamLostAt: row.stream_lost_at,
    concurrency: row.concurrency,
    load: row.load,
    memory: row.memory,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    revokedAt: row.revoked_at,
  }
}

export function fromAgent(agent: Agent): AgentTable {
  return {
    id: agent.id,
    name: agent.name,
    hostname: agent.hostname,
    os: agent.os,
    version: agent.version,
    status: agent.status,
    is_builtin: agent.isBuiltin ? 1 : 0,
    key_hash: agent.keyHash,
    public_key_hash: agent.publicKeyHash,
    ip_address: agent.ipAddress,
    last_seen_at: agent.lastSeenAt,
    stream_node: agent.streamNode,
    stream_lost_at: agent.streamLostAt,
    concurrency: agent.concurrency,
    load: agent.load,
    memory: agent.memory,
    created_at: agent.createdAt,
    updated_at: agent.updatedAt,
    revoked_at: agent.revokedAt,
  }
}
