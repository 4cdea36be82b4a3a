import { parseInstant } from '../src/base/instant.ts'
import { type Client, connect, ServerRefused } from './client.ts'
import { type Call, type Command, CommandError, listOf, optional, required, SERVER_OPTIONS } from './command.ts'
import { durationSeconds } from './duration.ts'
import { paint, table } from './terminal.ts'

export interface ReplayRow {
  readonly id: string
  readonly state: 'running' | 'done' | 'cancelled'
  readonly matched: number
  readonly isCounted: boolean
  readonly planned: number
  readonly waiting: number
  readonly delivered: number
  readonly failed: number
  readonly cancelled: number
  readonly createdAt: string
}

export interface Planned {
  readonly planned: number
  readonly isCounted: boolean
  readonly warning?: string
  readonly replay?: ReplayRow
  readonly sample?: readonly { id: string; event: string; timestamp: string; data: { path?: unknown } }[]
}

interface Missed {
  readonly since: string
  readonly events: number
  readonly isCounted: boolean
  readonly replay: { method: 'POST'; path: string; body: object }
}

/** How often a replay is asked how far it is, ms. */
const ASK_EVERY_MS = 500

const replay: Command = {
  name: 'webhook replay',
  summary: 'send stored events again: those that failed, that are missing, or all',
  usage: 'webhook replay ID --since TIME [--only failed|missing|all] [--dry-run] [--wait]',
  options: {
    since: { type: 'string', meaning: 'recorded at or after: 2026-06-08T12:00:00Z, or 2h for two hours ago' },
    until: { type: 'string', meaning: 'recorded before (default: now)' },
    events: { type: 'string', meaning: 'only these types and groups, separated by commas' },
    path: { type: 'string', meaning: 'only with a path that matches this glob, such as /in/**/*.csv' },
    only: { type: 'string', meaning: 'failed, missing (neither delivered nor waiting) or all (default)' },
    rate: { type: 'string', member: 'ratePerSecond', meaning: 'events a second at most (default 50)' },
    'dry-run': { type: 'boolean', meaning: 'say how many and show the first; nothing is sent' },
    wait: { type: 'boolean', meaning: 'show progress until all is sent' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const until = optional(call, 'until')
    const body = {
      since: new Date(instantOf('since', required(call, 'since'))).toISOString(),
      until: until === undefined ? undefined : new Date(instantOf('until', until)).toISOString(),
      events: listOf(optional(call, 'events')),
      path: optional(call, 'path'),
      only: optional(call, 'only'),
      ratePerSecond: rateOf(call),
      dryRun: call.flags['dry-run'] === true ? true : undefined,
    }
    const path = pathOf(call.words[0]!)
    const made = await client.call<Planned>('POST', `${path}/replay`, body)
    if (made.warning !== undefined) call.terminal.note(made.warning)
    if (made.replay === undefined) return shownSample(call, made)
    if (call.flags.wait === true) return ended(call, await replayEnd(client, path, made.replay, call))
    const head = `replay ${made.replay.id} sends ${countText(made)} events`
    call.terminal.out(
      call.json ? JSON.stringify(made.replay) : `${head}; see how far it is with \`landfall webhook replays ${call.words[0]}\``,
    )
    return 0
  },
}

const replays: Command = {
  name: 'webhook replays',
  summary: 'list the replays of a webhook and how far they are',
  usage: 'webhook replays ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { replays: rows } = await client.call<{ replays: ReplayRow[] }>('GET', `${pathOf(call.words[0]!)}/replays?limit=50`)
    const cells = rows.map((row) => [
      ...[row.createdAt, row.state, `${row.planned} of ${countText({ ...row, planned: row.matched })}`],
      ...[row.waiting, row.delivered, row.failed, row.cancelled].map(String),
      row.id,
    ])
    const head = ['MADE', 'STATE', 'PLANNED', 'WAITING', 'DELIVERED', 'FAILED', 'CANCELLED', 'ID']
    call.terminal.out(call.json ? JSON.stringify(rows) : table(head, cells))
    return 0
  },
}

const cancel: Command = {
  name: 'webhook cancel-replay',
  summary: 'cancel a replay and what it has planned',
  usage: 'webhook cancel-replay ID REPLAY',
  options: SERVER_OPTIONS,
  words: { min: 2, max: 2 },
  async run(call) {
    const client = await connect(call)
    const path = `${pathOf(call.words[0]!)}/replays/${encodeURIComponent(call.words[1]!)}/cancel`
    const { replay: row } = await client.call<{ replay: ReplayRow }>('POST', path)
    call.terminal.out(call.json ? JSON.stringify(row) : `replay ${row.id} is cancelled: ${resultText(row)}`)
    return 0
  },
}

const resume: Command = {
  name: 'webhook resume',
  summary: 'turn a webhook on again, and send what it missed while it was off',
  usage: 'webhook resume ID [--replay]',
  options: { replay: { type: 'boolean', meaning: 'send what it missed (default: say how much)' }, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const id = call.words[0]!
    const say = (text: string) => (call.json ? undefined : call.terminal.out(text))
    const { webhook, missed } = await client.call<{ webhook: { id: string; state: string }; missed?: Missed }>(
      'PATCH',
      pathOf(id),
      { active: true },
    )
    say(`webhook ${webhook.id} is ${webhook.state}; what waited for it goes on`)
    const wanted = call.flags.replay === true && missed !== undefined && missed.events > 0
    const made = wanted ? await missedSent(client, id, missed, call) : undefined
    if (call.json) call.terminal.out(JSON.stringify({ ...webhook, missed, replay: made?.replay }))
    if (made?.replay !== undefined) say(`replay ${made.replay.id} sends the ${countText(made)} events that it missed`)
    else if (missed?.events === 0) say(`it missed nothing since ${missed.since}`)
    else if (missed !== undefined) {
      const count = countText({ planned: missed.events, isCounted: missed.isCounted })
      say(`it missed ${count} events since ${missed.since}; send them with \`${missedCommand(id, missed)}\``)
    }
    return 0
  },
}

/** What was missed is told once only, with the answer that turned the webhook on: if it cannot be sent, how to do so later must be said. */
async function missedSent(client: Client, id: string, missed: Missed, call: Call): Promise<Planned> {
  const isMissed = `what webhook ${id} missed is not sent yet; \`${missedCommand(id, missed)}\` sends it`
  try {
    return await madeInTurn(client, pathOf(id), missed.replay.body, call, isMissed)
  } catch (error) {
    call.terminal.note(isMissed)
    throw error
  }
}

function missedCommand(id: string, { since }: Missed): string {
  return `landfall webhook replay ${id} --since ${since} --only missing`
}

const explain: Command = {
  name: 'webhook explain',
  summary: 'why a delivery is in its state, when the next attempt is, and what would change that',
  usage: 'webhook explain WEBHOOK DELIVERY',
  options: SERVER_OPTIONS,
  words: { min: 2, max: 2 },
  async run(call) {
    const client = await connect(call)
    const [id, delivery] = call.words as [string, string]
    const path = `${pathOf(id)}/deliveries/${encodeURIComponent(delivery)}/explain`
    interface Explanation {
      state: string
      sentence: string
      remedies: { hint: string }[]
    }
    const { explanation } = await client.call<{ explanation: Explanation }>('GET', path)
    if (call.json) call.terminal.out(JSON.stringify(explanation))
    else {
      call.terminal.out(`${paint(call.terminal, 'bold', explanation.state)}: ${explanation.sentence}`)
      for (const { hint } of explanation.remedies) call.terminal.out(`  - ${hint}`)
    }
    return 0
  },
}

export const recoveryCommands = [replay, replays, cancel, resume, explain]

export function pathOf(id: string): string {
  return `/api/webhooks/${encodeURIComponent(id)}`
}

/** A time with its zone, or a duration before now, at most back to 1970; in ms since 1970 UTC. */
export function instantOf(flag: string, text: string): number {
  if (/^\d{1,9}[smhd]?$/.test(text)) return Math.max(0, Date.now() - durationSeconds(flag, text) * 1_000)
  const at = parseInstant(text)
  if (at === undefined)
    throw new CommandError(
      `--${flag} is a time such as 2026-06-08T12:00:00Z, or a duration before now such as 2h, not ${JSON.stringify(text)}`,
    )
  return at
}

/** Replays of others that are waited for before one's own. */
const TURNS_MAX = 20

/** Makes a replay, after the end of one that runs: a webhook has one at a time. Before it waits it notes what to do instead, as `otherwise` says. */
export async function madeInTurn<Made extends Planned>(
  client: Client,
  path: string,
  body: object,
  call: Call,
  otherwise: string,
): Promise<Made> {
  for (let turn = 1; ; turn++) {
    try {
      return await client.call<Made>('POST', `${path}/replay`, body)
    } catch (error) {
      if (!(error instanceof ServerRefused && error.status === 409) || turn === TURNS_MAX) throw error
      // The newest is the one that runs, if it still does.
      const { replays } = await client.call<{ replays: ReplayRow[] }>('GET', `${path}/replays?limit=1`)
      const running = replays.find(({ state }) => state === 'running')
      if (running === undefined) continue
      call.terminal.note(`waiting for the end of replay ${running.id}; ${otherwise}`)
      await replayEnd(client, path, running, call)
    }
  }
}

/** Waits until everything of a replay has ended or, where its webhook is off or retries, all is planned; says on stderr how far it is. */
export async function replayEnd(client: Client, path: string, made: ReplayRow, call: Call): Promise<ReplayRow> {
  let said = ''
  for (;;) {
    const { replay: row } = await client.call<{ replay: ReplayRow }>('GET', `${path}/replays/${made.id}`)
    const progress = `${row.planned} of ${countText({ ...row, planned: row.matched })}: ${resultText(row)}`
    if (progress !== said && !call.json) call.terminal.note(progress)
    said = progress
    if (row.state !== 'running') return row
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
  }
}

function ended(call: Call, row: ReplayRow): number {
  call.terminal.out(call.json ? JSON.stringify(row) : `replay ${row.id} is ${row.state}: ${resultText(row)}`)
  return row.failed === 0 && row.state === 'done' ? 0 : 1
}

function shownSample(call: Call, made: Planned): number {
  if (call.json) {
    call.terminal.out(JSON.stringify(made))
    return 0
  }
  call.terminal.out(`${countText(made)} events would be sent`)
  const rows = (made.sample ?? []).map(({ id, event, timestamp, data }) => [timestamp, event, String(data.path ?? ''), id])
  if (rows.length > 0) call.terminal.out(table(['WHEN', 'EVENT', 'PATH', 'ID'], rows))
  return 0
}

export function countText({ planned, isCounted }: { planned: number; isCounted: boolean }): string {
  return isCounted ? String(planned) : `${planned} or more`
}

function resultText({ delivered, failed, waiting, cancelled }: ReplayRow): string {
  const parts = [`${delivered} delivered`, `${failed} failed`, `${waiting} waiting`]
  return [...parts, ...(cancelled === 0 ? [] : [`${cancelled} cancelled`])].join(', ')
}

function rateOf(call: Call): number | undefined {
  const text = optional(call, 'rate')
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new CommandError(`--rate is a number of events a second, not ${JSON.stringify(text)}`)
  return Number(text)
}
