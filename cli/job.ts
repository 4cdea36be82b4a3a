import { type Client, connect } from './client.ts'
import { type Call, type Command, CommandError, listOf, many, optional, required, SERVER_OPTIONS } from './command.ts'
import { durationSeconds } from './duration.ts'
import { allOf, type Named, oneOf } from './named.ts'
import { paint, printable, table } from './terminal.ts'

interface JobRow {
  readonly id: string
  readonly name: string
  readonly agentId: string
  readonly agent: { readonly name: string } | null
  readonly source: string
  readonly destination: string
  readonly schedule: string
  readonly timeZone: string
  readonly direction: string
  readonly enabled: boolean
  readonly nextRunAt: string | null
  readonly lastRunAt: string | null
}

interface RunRow {
  readonly id: string
  readonly status: string
  readonly startedAt: string
  readonly completedAt: string | null
  readonly errorMessage: string | null
  readonly cause: string
  readonly transfersTotal: number
  readonly transfersCompleted: number
  readonly transfersFailed: number
  readonly bytesTransferred: number | null
}

/** How often a run is asked how far it is, ms. */
const ASK_EVERY_MS = 500

/** What a job may be told at its making and later. */
const SHAPING = {
  schedule: { type: 'string', meaning: "cron expression of five fields: '30 2 * * 1-5'" },
  'time-zone': { type: 'string', meaning: 'IANA name, such as Europe/Berlin (default UTC)' },
  'post-action': { type: 'string', meaning: 'keep (default), delete, or move:/folder/ each source once it has arrived' },
  skip: {
    type: 'string',
    member: 'skipMoved',
    meaning: 'leave files alone that were moved before, the same by: name, size, time, hash (default none)',
  },
  quiet: { type: 'string', member: 'quietSeconds', meaning: 'only files that stay the same for this long, such as 10s' },
  parallel: { type: 'string', member: 'parallelism', meaning: 'transfers at the same time (default 4)' },
  timeout: { type: 'string', member: 'timeoutSeconds', meaning: 'stop a run that takes longer, such as 2h' },
  retry: { type: 'string', member: 'retryDelaysSeconds', meaning: 'delays before each retry (default 30s,2m,8m)' },
  'bytes-per-second': { type: 'string', meaning: 'of each transfer, at most' },
  blackout: {
    type: 'string',
    member: 'blackouts',
    multiple: true,
    meaning: "no run begins then: 'sat,sun 22:00-06:00'; repeatable",
  },
  closed: {
    type: 'string',
    member: 'closedDates',
    meaning: "dates on which no run begins, separated by commas: 2026-12-25; '': none",
  },
  open: { type: 'string', member: 'openDates', meaning: "runs begin only on these dates; '': on all" },
  overlap: { type: 'boolean', member: 'waitsForPrevious', meaning: 'a run may begin while the one before is under way' },
  'depends-on': { type: 'string', meaning: 'name or id of a job that must have completed since the last run; none: of no job' },
  missed: { type: 'string', member: 'missedRuns', meaning: 'moments that passed without a server: once (default) or skip' },
  'on-agent-lost': { type: 'string', meaning: 'retry (default) or fail' },
} as const

const add: Command = {
  name: 'job add',
  summary: 'create a job: files moved on a schedule',
  usage: "job add NAME --agent AGENT [--remote REMOTE] --pull|--push --from PATH --to PATH --schedule '0 2 * * *'",
  options: {
    agent: { type: 'string', member: 'agentId', meaning: 'name or id of the agent that moves the files' },
    remote: {
      type: 'string',
      member: 'remoteId',
      meaning: 'name or id of the far side; none: files of the agent and space://account/user/path',
    },
    pull: { type: 'boolean', member: 'direction', meaning: 'the agent fetches (default)' },
    push: { type: 'boolean', member: 'direction', meaning: 'the agent sends' },
    from: { type: 'string', member: 'sourcePath', meaning: 'a path or a glob: /out/*.csv, /out/**' },
    to: { type: 'string', member: 'destinationPath', meaning: 'a path; ending in /, or for a glob: a folder' },
    paused: { type: 'boolean', member: 'enabled', meaning: 'no run begins by itself yet' },
    ...SHAPING,
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    if (call.flags.pull === true && call.flags.push === true) throw new CommandError('--pull and --push: give one of them')
    const client = await connect(call)
    const remote = optional(call, 'remote')
    const { job } = await client.call<{ job: JobRow }>('POST', '/api/jobs', {
      name: call.words[0],
      agentId: (await oneOf<Named>(client, 'agent', required(call, 'agent'))).id,
      remoteId: remote === undefined ? undefined : (await oneOf<Named>(client, 'remote', remote)).id,
      direction: call.flags.push === true ? 'push' : 'pull',
      sourcePath: required(call, 'from'),
      destinationPath: required(call, 'to'),
      enabled: call.flags.paused === true ? false : undefined,
      ...shapeOf(call),
      dependsOn: await dependencyOf(call, client),
      schedule: required(call, 'schedule'),
    })
    call.terminal.out(call.json ? JSON.stringify(job) : `created job ${job.id}; ${dueText(job)}`)
    return 0
  },
}

const list: Command = {
  name: 'job list',
  summary: 'list jobs and when they are due',
  usage: 'job list [--agent AGENT]',
  options: { agent: { type: 'string', meaning: 'only of this agent, by name or id' }, ...SERVER_OPTIONS },
  async run(call) {
    const client = await connect(call)
    const agent = optional(call, 'agent')
    const only = agent === undefined ? '' : `?agentId=${(await oneOf<Named>(client, 'agent', agent)).id}`
    const jobs = await allOf<JobRow>(client, `/api/jobs${only}`, 'jobs')
    const rows = jobs.map((job) => [
      ...[job.name, job.enabled ? 'on' : 'paused', job.agent?.name ?? job.agentId, `${job.schedule} ${job.timeZone}`],
      ...[job.nextRunAt ?? '-', job.lastRunAt ?? '-', `${job.source} → ${job.destination}`, job.id],
    ])
    call.terminal.out(
      call.json ? JSON.stringify(jobs) : table(['NAME', 'STATE', 'AGENT', 'SCHEDULE', 'NEXT', 'LAST', 'FILES', 'ID'], rows),
    )
    return 0
  },
}

const show: Command = {
  name: 'job show',
  summary: 'show a job with all that it was told',
  usage: 'job show NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { job } = await client.call<{ job: JobRow }>('GET', await pathOf(call, client))
    const lines = Object.entries(job).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
    call.terminal.out(call.json ? JSON.stringify(job) : table(['MEMBER', 'VALUE'], lines))
    return 0
  },
}

const update: Command = {
  name: 'job update',
  summary: 'change a job',
  usage: 'job update NAME|ID [--name NAME] [--schedule …] …',
  options: {
    agent: {
      type: 'string',
      member: 'agentId',
      meaning: 'name or id of another agent; a run under way goes on with the one that it has',
    },
    name: { type: 'string', meaning: 'another name' },
    from: { type: 'string', member: 'sourcePath', meaning: 'another source' },
    to: { type: 'string', member: 'destinationPath', meaning: 'another destination' },
    ...SHAPING,
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const agent = optional(call, 'agent')
    const changes = {
      agentId: agent === undefined ? undefined : (await oneOf<Named>(await connect(call), 'agent', agent)).id,
      ...{ name: optional(call, 'name'), sourcePath: optional(call, 'from'), destinationPath: optional(call, 'to') },
      ...shapeOf(call),
    }
    return changed(call, changes, 'changed')
  },
}

const pause: Command = {
  name: 'job pause',
  summary: 'let no run begin by itself; those under way go on',
  usage: 'job pause NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  run: (call) => changed(call, { enabled: false }, 'paused'),
}

const resume: Command = {
  name: 'job resume',
  summary: 'let runs begin by themselves again',
  usage: 'job resume NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  run: (call) => changed(call, { enabled: true }, 'on again'),
}

const remove: Command = {
  name: 'job remove',
  summary: 'remove a job; a run under way is stopped',
  usage: 'job remove NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    await client.call('DELETE', await pathOf(call, client))
    call.terminal.out(call.json ? JSON.stringify({ deleted: true }) : `job ${call.words[0]} is removed`)
    return 0
  },
}

const dryRun: Command = {
  name: 'job dry-run',
  summary: 'list what a run would move now; nothing is moved',
  usage: 'job dry-run NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const found = await client.call<{
      files: { source: string; destination: string; size: number; modifiedAt: string | null }[]
      skipped: number
      refused: string[]
      isTruncated: boolean
    }>('POST', `${await pathOf(call, client)}/dry-run`)
    if (call.json) call.terminal.out(JSON.stringify(found))
    else {
      const rows = found.files.map(({ size, modifiedAt, source, destination }) => [
        String(size),
        modifiedAt ?? '-',
        `${source} → ${destination}`,
      ])
      if (rows.length > 0) call.terminal.out(table(['BYTES', 'CHANGED', 'FILE'], rows))
      const more = found.isTruncated ? '; there are more, which the next run takes' : ''
      call.terminal.note(`${rows.length} files would be moved; ${found.skipped} were moved before and are left alone${more}`)
      const [first, ...others] = found.refused.map((name) => printable(JSON.stringify(name)))
      if (first !== undefined) {
        const names = others.length === 0 ? first : `${first} and ${others.length} more (--json has them all)`
        call.terminal.note(`a run would fail, leaving out what cannot have its name at the destination: ${names}`)
      }
    }
    return 0
  },
}

const run: Command = {
  name: 'job run',
  summary: 'run a job now',
  usage: 'job run NAME|ID [--wait]',
  options: { wait: { type: 'boolean', meaning: 'wait for its end; status 1 unless it completed' }, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const path = `${await pathOf(call, client)}/runs`
    let { run: row } = await client.call<{ run: RunRow }>('POST', path)
    while (call.flags.wait === true && row.status === 'running') {
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
      row = (await client.call<{ run: RunRow }>('GET', `${path}/${row.id}`)).run
    }
    call.terminal.out(call.json ? JSON.stringify(row) : `run ${row.id} is ${resultText(call, row)}`)
    return ['running', 'completed'].includes(row.status) ? 0 : 1
  },
}

const runs: Command = {
  name: 'job runs',
  summary: 'list the runs of a job, newest first',
  usage: 'job runs NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { runs: rows } = await client.call<{ runs: RunRow[] }>('GET', `${await pathOf(call, client)}/runs?limit=50`)
    const cells = rows.map((row) => [
      ...[row.startedAt, row.completedAt ?? '-', row.cause, row.status],
      ...[
        `${row.transfersCompleted} of ${row.transfersTotal}`,
        String(row.bytesTransferred ?? '-'),
        row.id,
        row.errorMessage ?? '',
      ],
    ])
    call.terminal.out(
      call.json ? JSON.stringify(rows) : table(['BEGAN', 'ENDED', 'CAUSE', 'STATUS', 'FILES', 'BYTES', 'ID', 'WHY'], cells),
    )
    return 0
  },
}

const cancel: Command = {
  name: 'job cancel',
  summary: 'stop a run',
  usage: 'job cancel NAME|ID RUN',
  options: SERVER_OPTIONS,
  words: { min: 2, max: 2 },
  async run(call) {
    const client = await connect(call)
    const path = `${await pathOf(call, client)}/runs/${encodeURIComponent(call.words[1]!)}`
    const { run: row } = await client.call<{ run: RunRow }>('PATCH', path, { status: 'cancelled' })
    const text = row.status === 'running' ? `run ${row.id} stops as soon as its agent has` : `run ${row.id} is ${row.status}`
    call.terminal.out(call.json ? JSON.stringify(row) : text)
    return 0
  },
}

export const job: readonly Command[] = [add, list, show, update, pause, resume, run, dryRun, runs, cancel, remove]

async function changed(call: Call, changes: object, what: string): Promise<number> {
  const client = await connect(call)
  const { job } = await client.call<{ job: JobRow }>('PATCH', await pathOf(call, client), {
    ...changes,
    dependsOn: await dependencyOf(call, client),
  })
  call.terminal.out(call.json ? JSON.stringify(job) : `job ${job.id} is ${what}; ${dueText(job)}`)
  return 0
}

function shapeOf(call: Call): object {
  return {
    schedule: optional(call, 'schedule'),
    timeZone: optional(call, 'time-zone'),
    postAction: postActionOf(optional(call, 'post-action')),
    skipMoved: optional(call, 'skip'),
    quietSeconds: seconds(call, 'quiet'),
    parallelism: whole(call, 'parallel'),
    timeoutSeconds: seconds(call, 'timeout'),
    retryDelaysSeconds: listOf(optional(call, 'retry'))?.map((delay) => durationSeconds('retry', delay)),
    bytesPerSecond: whole(call, 'bytes-per-second'),
    blackouts: call.flags.blackout === undefined ? undefined : many(call, 'blackout').map(blackoutOf),
    closedDates: listOf(optional(call, 'closed')),
    openDates: openDatesOf(optional(call, 'open')),
    waitsForPrevious: call.flags.overlap === true ? false : undefined,
    missedRuns: optional(call, 'missed'),
    onAgentLost: optional(call, 'on-agent-lost'),
  }
}

/** `move:/done/` → `{kind: 'move', to: '/done/'}`; what is neither is for the server to refuse. */
function postActionOf(text: string | undefined): object | undefined {
  if (text === undefined) return undefined
  return text.startsWith('move:') ? { kind: 'move', to: text.slice('move:'.length) } : { kind: text }
}

/** None named: no bound, as the API says it. */
function openDatesOf(text: string | undefined): string[] | null | undefined {
  const dates = listOf(text)
  return dates?.length === 0 ? null : dates
}

/** `sat,sun 22:00-06:00` */
function blackoutOf(text: string): object {
  const match = /^([a-z,]+)\s+(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text.trim().toLowerCase())
  if (match === null) throw new CommandError(`--blackout '${text}': write it as 'sat,sun 22:00-06:00'`)
  return { days: listOf(match[1]), from: match[2], to: match[3] }
}

function seconds(call: Call, name: string): number | undefined {
  const text = optional(call, name)
  return text === undefined ? undefined : durationSeconds(name, text)
}

function whole(call: Call, name: string): number | undefined {
  const text = optional(call, name)
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new CommandError(`--${name} '${text}' is no whole number`)
  return Number(text)
}

function dueText({ enabled, nextRunAt }: JobRow): string {
  if (nextRunAt !== null) return `its next run is due at ${nextRunAt}`
  return enabled ? 'its agent keeps the schedule by itself' : 'no run begins by itself'
}

function resultText({ terminal }: Call, { status, transfersCompleted, transfersTotal, errorMessage }: RunRow): string {
  if (status === 'running') return 'running; see how far it is with `landfall job runs`'
  const style = status === 'completed' ? 'green' : 'red'
  return `${paint(terminal, style, status)}: ${transfersCompleted} of ${transfersTotal} files${errorMessage === null ? '' : `; ${errorMessage}`}`
}

async function pathOf(call: Call, client: Client): Promise<string> {
  return `/api/jobs/${encodeURIComponent((await oneOf<JobRow>(client, 'job', call.words[0]!)).id)}`
}

async function dependencyOf(call: Call, client: Client): Promise<string | null | undefined> {
  const wanted = optional(call, 'depends-on')
  if (wanted === undefined) return undefined
  return wanted === 'none' ? null : (await oneOf<JobRow>(client, 'job', wanted)).id
}
