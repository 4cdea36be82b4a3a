import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { StoreRows } from './evidence.ts'

type Row = Readonly<Record<string, unknown>>
export type Query = (sql: string) => Promise<Row[]>

/** Everything that the proofs look at. */
export function readRows(database: string): Promise<StoreRows> {
  return querying(database, gather)
}

/** Reads the store of a server that has stopped: a `postgres://…` address or the path of a SQLite file, which is only read. */
export async function querying<Rows>(database: string, read: (query: Query) => Promise<Rows>): Promise<Rows> {
  if (database.startsWith('postgres')) {
    const client = new Client({ connectionString: database })
    await client.connect()
    return read(async (sql) => (await client.query(sql)).rows).finally(() => client.end())
  }
  const file = new DatabaseSync(database, { readOnly: true })
  return read(async (sql) => file.prepare(sql).all()).finally(() => file.close())
}

async function gather(query: Query): Promise<StoreRows> {
  const [usage] = await query('select coalesce(sum(bytes), 0) as bytes, coalesce(sum(files), 0) as files from account_usage')
  const [locked] = await query('select count(*) as total from intent_path')
  return {
    events: (await query('select id, type, state, position, data from event')).map((row) => ({
      id: String(row.id),
      type: String(row.type),
      state: String(row.state),
      position: row.position === null ? null : Number(row.position),
      data: typeof row.data === 'string' ? JSON.parse(row.data) : row.data,
    })),
    deliveries: (await query('select id, event_id, webhook_id, replay_id, state, claimed_by, attempts, body from delivery')).map(
      (row) => ({
        id: String(row.id),
        eventId: String(row.event_id),
        webhookId: String(row.webhook_id),
        replayId: textOrNull(row.replay_id),
        state: String(row.state),
        claimedBy: textOrNull(row.claimed_by),
        attempts: Number(row.attempts),
        body: String(row.body),
      }),
    ),
    attempts: (await query('select delivery_id, number, error from attempt')).map((row) => ({
      deliveryId: String(row.delivery_id),
      number: Number(row.number),
      error: textOrNull(row.error),
    })),
    replays: (await query('select id, state from replay')).map((row) => ({ id: String(row.id), state: String(row.state) })),
    intents: (await query('select id, deed from intent')).map((row) => ({ id: String(row.id), deed: JSON.stringify(row.deed) })),
    lockedPaths: Number(locked!.total),
    partials: (await query('select id, node, "temporary", prefix_bytes from partial')).map((row) => ({
      id: String(row.id),
      node: textOrNull(row.node),
      temporary: String(row.temporary),
      prefixBytes: Number(row.prefix_bytes),
    })),
    usage: { bytes: Number(usage!.bytes), files: Number(usage!.files) },
  }
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : String(value)
}
