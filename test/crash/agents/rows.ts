import { DatabaseSync } from 'node:sqlite'
import { type Query, querying } from '../rows.ts'
import type { WorkRows } from './evidence.ts'
import { FAR } from './field.ts'

/** Agents, transfers and runs as they are stored, and what was said of them, beside the server and not through it. */
export function readWorkRows(database: string): Promise<WorkRows> {
  return querying(database, gather)
}

/** Paths of the uploads that a server keeps for whoever goes on with them. */
export function readPartials(file: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return database
      .prepare('select path from partial')
      .all()
      .map(({ path }) => String(path))
  } finally {
    database.close()
  }
}

async function gather(query: Query): Promise<WorkRows> {
  const text = (value: unknown) => (value === null ? null : String(value))
  return {
    agents: (await query('select id from agent')).map((row) => ({ id: String(row.id) })),
    tokens: (await query('select id, uses from enrolment_token')).map((row) => ({ id: String(row.id), uses: Number(row.uses) })),
    transfers: (await query('select * from transfer')).map((row) => {
      const isPull = row.direction === 'pull'
      return {
        ...{ id: String(row.id), runId: text(row.run_id), status: String(row.status), lease: text(row.lease) },
        source: isPull ? FAR + decodeURIComponent(String(row.source_url).replace(/^\w+:\/\/[^/]*/, '')) : String(row.source_url),
        destination: isPull ? String(row.destination_path) : FAR + String(row.destination_path),
        ...{ errorCode: text(row.error_code), error: text(row.error) },
      }
    }),
    runs: (await query('select * from run')).map((row) => ({
      ...{ id: String(row.id), jobId: String(row.job_id), status: String(row.status), error: text(row.error_message) },
      transfersTotal: Number(row.transfers_total),
      transfersCompleted: Number(row.transfers_completed),
      transfersFailed: Number(row.transfers_failed),
    })),
    events: (await query('select id, type, state, data from event order by position')).map((row) => ({
      ...{ id: String(row.id), type: String(row.type), state: String(row.state) },
      data: typeof row.data === 'string' ? JSON.parse(row.data) : row.data,
    })),
    deliveries: (await query('select id, event_id, state from delivery')).map((row) => ({
      ...{ id: String(row.id), eventId: String(row.event_id), state: String(row.state) },
    })),
  }
}
