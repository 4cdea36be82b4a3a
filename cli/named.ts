import type { Client } from './client.ts'
import { CommandError } from './command.ts'

/** Things that have a name for people and an id for machines; either is taken where one is asked for. */
export interface Named {
  readonly id: string
  readonly name: string
  /** Of agents. */
  readonly revokedAt?: string | null
}

const PAGE_ROWS = 100
/** What ids look like: one that is known need not be looked for. */
const ID = /^(agent|rmt|job)_[0-9a-z]{16}$/

/** All rows of a list of the API, page by page. */
export async function allOf<Row>(client: Client, path: string, member: string): Promise<Row[]> {
  const rows: Row[] = []
  for (let page = 1, pages = 1; page <= pages; page += 1) {
    const separator = path.includes('?') ? '&' : '?'
    const answer = await client.call<Record<string, unknown>>('GET', `${path}${separator}limit=${PAGE_ROWS}&page=${page}`)
    rows.push(...(answer[member] as Row[]))
    pages = (answer.pagination as { pages: number }).pages
  }
  return rows
}

/** The one of this id or name. A machine that was enrolled anew has the name of the agent that was revoked: that one is known by its id only, unless it is alone. */
export async function oneOf<Row extends Named>(client: Client, kind: 'agent' | 'remote' | 'job', wanted: string): Promise<Row> {
  if (ID.test(wanted)) return (await client.call<Record<string, Row>>('GET', `/api/${kind}s/${wanted}`))[kind]!
  const rows = await allOf<Row>(client, `/api/${kind}s`, `${kind}s`)
  const named = rows.filter(({ name }) => name === wanted)
  const current = named.filter(({ revokedAt }) => (revokedAt ?? null) === null)
  const found = current.length > 0 ? current : named
  if (found.length === 1) return found[0]!
  const what = found.length === 0 ? `there is no ${kind} ${wanted}` : `${found.length} ${kind}s are called ${wanted}: give an id`
  throw new CommandError(`${what}; \`landfall ${kind} list\` shows them`)
}
