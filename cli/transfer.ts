import { MIB } from '../src/base/units.ts'
import { barLine } from './agent-show.ts'
import { type Client, connect } from './client.ts'
import { type Call, type Command, CommandError, optional, required, SERVER_OPTIONS } from './command.ts'
import { durationSeconds } from './duration.ts'
import { type Named, oneOf } from './named.ts'
import { paint, printable, table } from './terminal.ts'

interface TransferRow {
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly status: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled'
  readonly progress: number
  readonly bytesTotal: number | null
  readonly bytesTransferred: number
  readonly speed: number | null
  readonly errorMessage: string | null
  readonly errorCode: string | null
  readonly createdAt: string
  readonly agent: { readonly name: string } | null
  readonly [member: string]: unknown
}

/** How often a transfer is asked how far it is, ms. */
const ASK_EVERY_MS = 500

const WATCH = { watch: { type: 'boolean', meaning: 'show its progress until it has ended' } } as const

const start: Command = {
  name: 'transfer start',
  summary: 'have an agent move one file',
  usage: 'transfer start --agent AGENT [--remote REMOTE] --pull|--push --from PATH --to PATH [--watch]',
  options: {
    agent: { type: 'string', member: 'agentId', meaning: 'name or id of the agent that moves it' },
    remote: { type: 'string', member: 'remoteId', meaning: 'name or id of the far side; without: files of the agent and spaces' },
    pull: { type: 'boolean', member: 'direction', meaning: 'from the remote to the agent (or to a space)' },
    push: { type: 'boolean', member: 'direction', meaning: 'the other way round' },
    from: {
      type: 'string',
      member: 'sourceUrl',
      meaning: 'path of the file; space://ACCOUNT/USER/PATH: in a space of the server',
    },
    to: { type: 'string', member: 'destinationPath', meaning: 'the same for where it goes; ending in /: a folder' },
    'post-action': { type: 'string', meaning: 'keep (default), delete, or move:/path the source once it has arrived' },
    retry: { type: 'string', member: 'retryDelaysSeconds', meaning: 'delays before each retry (default 30s,2m,8m)' },
    'bytes-per-second': { type: 'string', meaning: 'at most' },
    'on-agent-lost': { type: 'string', meaning: 'retry (default) or fail' },
    ...WATCH,
    ...SERVER_OPTIONS,
  },
  async run(call) {
    const body = {
      direction: directionOf(call),
      sourceUrl: required(call, 'from'),
      destinationPath: required(call, 'to'),
      retryDelaysSeconds: optional(call, 'retry')
        ?.split(',')
        .filter((delay) => delay !== '')
        .map((delay) => durationSeconds('retry', delay.trim())),
      bytesPerSecond: numberOf(call, 'bytes-per-second'),
      postAction: postActionOf(optional(call, 'post-action')),
      onAgentLost: optional(call, 'on-agent-lost'),
    }
    const [wantedAgent, wantedRemote] = [required(call, 'agent'), optional(call, 'remote')]
    const client = await connect(call)
    const agentId = (await oneOf<Named>(client, 'agent', wantedAgent)).id
    const remoteId = wantedRemote === undefined ? undefined : (await oneOf<Named>(client, 'remote', wantedRemote)).id
    if (body.sourceUrl.includes('*'))
      call.terminal.note('--from names one file, and * is a part of its name; for many files make a job: landfall job add')
    const { transfer: made } = await client.call<One>('POST', '/api/transfers', { ...body, agentId, remoteId })
    if (call.flags.watch === true) return ended(call, await watched(client, made, call))
    call.terminal.out(
      call.json
        ? JSON.stringify(made)
        : `transfer ${made.id} is queued; see how far it is with \`landfall transfer show ${made.id} --watch\``,
    )
    return 0
  },
}

const list: Command = {
  name: 'transfer list',
  summary: 'list the latest transfers',
  usage: 'transfer list [--status STATUS] [--agent AGENT] [--run ID] [--limit N]',
  options: {
    status: { type: 'string', meaning: 'queued, running, completed, failed or cancelled' },
    agent: { type: 'string', member: 'agentId', meaning: 'name or id of their agent' },
    run: { type: 'string', member: 'runId', meaning: 'id of the run that they belong to' },
    limit: { type: 'string', meaning: 'at most this many, up to 100 (default 20)' },
    ...SERVER_OPTIONS,
  },
  async run(call) {
    const client = await connect(call)
    const agent = optional(call, 'agent')
    const asked = {
      status: optional(call, 'status'),
      agentId: agent === undefined ? undefined : (await oneOf<Named>(client, 'agent', agent)).id,
      runId: optional(call, 'run'),
      limit: optional(call, 'limit'),
    }
    const query = new URLSearchParams(
      Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    const { transfers } = await client.call<{ transfers: TransferRow[] }>('GET', `/api/transfers?${query}`)
    const rows = transfers.map((row) => [
      ...[row.createdAt, row.status, `${row.progress} %`, sizeText(row.bytesTotal), row.agent?.name ?? ''],
      ...[row.source, row.destination, row.errorCode ?? '', row.id],
    ])
    const head = ['MADE', 'STATUS', 'DONE', 'SIZE', 'AGENT', 'SOURCE', 'DESTINATION', 'ERROR', 'ID']
    call.terminal.out(call.json ? JSON.stringify(transfers) : table(head, rows))
    return 0
  },
}

const show: Command = {
  name: 'transfer show',
  summary: 'how a transfer is, and with --watch how it goes on',
  usage: 'transfer show ID [--watch]',
  options: { ...WATCH, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { transfer: row } = await client.call<One>('GET', pathOf(call.words[0]!))
    if (call.flags.watch === true) return ended(call, await watched(client, row, call))
    const rows = Object.entries(row).map(([name, value]) => [
      name,
      name === 'agent' ? (row.agent?.name ?? '') : String(value ?? ''),
    ])
    call.terminal.out(call.json ? JSON.stringify(row) : table(['MEMBER', 'VALUE'], rows))
    return 0
  },
}

const cancel: Command = {
  name: 'transfer cancel',
  summary: 'stop a transfer; nothing half-named is left',
  usage: 'transfer cancel ID [--watch]',
  options: { ...WATCH, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { transfer: row } = await client.call<One>('POST', `${pathOf(call.words[0]!)}/cancel`)
    const last = call.flags.watch === true ? await watched(client, row, call) : row
    const state = last.status === 'running' ? 'is being stopped by its agent' : `is ${last.status}`
    call.terminal.out(call.json ? JSON.stringify(last) : `transfer ${last.id} ${state}`)
    return last.status === 'completed' ? 1 : 0
  },
}

export const transfer = [start, list, show, cancel]

interface One {
  readonly transfer: TransferRow
}

function pathOf(id: string): string {
  return `/api/transfers/${encodeURIComponent(id)}`
}

/** Asks until it has ended. On a terminal a bar is drawn over itself, elsewhere a line says what has changed. */
async function watched(client: Client, made: TransferRow, call: Call): Promise<TransferRow> {
  const screen = call.json ? undefined : process.stderr
  let said = ''
  for (;;) {
    const { transfer: row } = await client.call<One>('GET', pathOf(made.id))
    const line = lineOf(row)
    if (screen?.isTTY === true) screen.write(`\r\u001b[K${[...line].slice(0, screen.columns - 1).join('')}`)
    else if (line !== said && screen !== undefined) call.terminal.note(line)
    said = line
    if (row.status !== 'queued' && row.status !== 'running') {
      if (screen?.isTTY === true) screen.write('\n')
      return row
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
  }
}

/** A bar while it moves; before, what it waits for. */
export function lineOf(row: TransferRow): string {
  const { status, bytesTransferred: bytes, bytesTotal: size, errorMessage } = row
  if (status === 'queued') return errorMessage === null ? 'queued' : `queued, to be tried again: ${printable(errorMessage)}`
  const speed = row.speed ?? 0
  return barLine({ what: `${row.source} → ${row.destination}`, bytes, size, speed })
}

function ended(call: Call, row: TransferRow): number {
  const why = row.errorMessage === null ? '' : `: ${row.errorCode}: ${printable(row.errorMessage)}`
  const style = row.status === 'completed' ? 'green' : 'red'
  call.terminal.out(call.json ? JSON.stringify(row) : `transfer ${row.id} is ${paint(call.terminal, style, row.status)}${why}`)
  return row.status === 'completed' ? 0 : 1
}

function directionOf(call: Call): 'pull' | 'push' {
  const { pull, push } = call.flags
  if (pull === true && push === true) throw new CommandError('--pull and --push: give one of them')
  if (pull !== true && push !== true) throw new CommandError('one of --pull and --push is needed')
  return pull === true ? 'pull' : 'push'
}

function postActionOf(text: string | undefined): object | undefined {
  if (text === undefined) return undefined
  const [, kind = text, to] = /^(move):(.*)$/s.exec(text) ?? []
  return { kind, to }
}

function numberOf(call: Call, flag: string): number | undefined {
  const text = optional(call, flag)
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new CommandError(`--${flag} is a whole number, not ${text}`)
  return Number(text)
}

function sizeText(bytes: number | null): string {
  if (bytes === null) return ''
  return bytes < MIB ? `${bytes} B` : `${(bytes / MIB).toFixed(1)} MiB`
}
