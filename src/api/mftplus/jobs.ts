import type { Static } from 'typebox'
import type { Agent } from '../../agents/agent.ts'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import type { JobInput } from '../../jobs/administer.ts'
import { JOB_LIMITS, type JobOptionsInput } from '../../jobs/check.ts'
import { WEEKDAYS } from '../../jobs/conditions.ts'
import type { Job, Run } from '../../jobs/job.ts'
import { SCHEDULE_CHARACTERS_MAX } from '../../jobs/schedule.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import {
  body,
  count,
  idOf,
  iso,
  isoOrNull,
  nullable,
  OFFSET_MAX,
  PAGE_ROWS_DEFAULT,
  PAGE_ROWS_MAX,
  params,
  query,
  refTo,
  TEXT_CHARS_MAX,
  text,
  time,
} from '../schema.ts'
import { adminOrAgentRoute, adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const Direction = Type.Enum(['pull', 'push'], { description: 'Seen from the agent: it fetches or it sends.' })

/** A whole number within the bounds that the job itself checks; there the message names them. */
function whole(name: keyof typeof JOB_LIMITS, description: string) {
  const { min, max, unit } = JOB_LIMITS[name]
  return Type.Integer({ description: `${description} ${min} to ${max} ${unit}.` })
}

const PostActionShape = Type.Object(
  {
    kind: Type.Enum(['keep', 'delete', 'move']),
    to: Type.Optional(text('Where a source is moved, in its own storage; for many files a folder.')),
  },
  {
    description: 'What happens to each source once its file has verifiably arrived; default: it is kept.',
    additionalProperties: false,
  },
)

const BlackoutShape = Type.Object(
  {
    days: Type.Array(Type.Enum([...WEEKDAYS]), { minItems: 1, maxItems: WEEKDAYS.length, description: 'Each once.' }),
    from: text('Time of day in the time zone of the job: `22:00`.'),
    to: text('The end; at or before `from`: of the next day.'),
  },
  { additionalProperties: false },
)

const OPTIONS = {
  timeZone: text('IANA name; default `UTC`.'),
  postAction: PostActionShape,
  skipMoved: Type.Enum(['none', 'name', 'size', 'time', 'hash'], {
    description:
      'Files that this job has moved are left alone while they are the same: by name, by name and size, by name, size and time, or by content under whatever name (of each path the last is remembered). Default `none`.',
  }),
  quietSeconds: whole('quietSeconds', 'Only files that stay the same for this long; default 0.'),
  parallelism: whole('parallelism', 'Transfers of a run at the same time; default 4.'),
  timeoutSeconds: nullable(whole('timeoutSeconds', 'A run that takes longer is stopped; null (default): no bound.')),
  retryDelaysSeconds: Type.Array(Type.Integer(), {
    description: 'Before each retry of a transfer or a listing; default 30, 120, 480.',
  }),
  bytesPerSecond: nullable(whole('bytesPerSecond', 'Of each transfer, at most; null (default): as fast as it goes.')),
  blackouts: Type.Array(BlackoutShape, { description: 'Windows of the week in which no run begins.' }),
  closedDates: Type.Array(text('`2026-12-25`'), { description: 'Dates on which no run begins.' }),
  openDates: nullable(Type.Array(text('`2026-12-31`'), { description: 'Where given, runs begin only on these dates.' })),
  waitsForPrevious: Type.Boolean({ description: 'No run begins while the one before is under way; default true.' }),
  dependsOn: nullable(text('Id of a job that must have completed since this job’s last run; null (default): none.')),
  missedRuns: Type.Enum(['once', 'skip'], {
    description: 'Moments that passed while no server ran: one run for all of them (default), or none.',
  }),
  onAgentLost: Type.Enum(['retry', 'fail'], { description: 'What becomes of work whose agent is lost; default `retry`.' }),
}

function optional<const Members extends Record<string, Parameters<typeof Type.Optional>[0]>>(members: Members) {
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, Type.Optional(member)])) as {
    [Name in keyof Members]: ReturnType<typeof Type.Optional<Members[Name]>>
  }
}

/** The members of the REST API reference first, then ours. */
export const JobShape = Type.Object(
  {
    id: idOf('job'),
    agentId: idOf('agent'),
    name: text('For people.'),
    source: text('A path, or a glob over many files.'),
    destination: text('Where the files go.'),
    schedule: text('Cron expression of five fields.'),
    protocol: text('That of the remote, `space` or `local`.'),
    direction: Direction,
    enabled: Type.Boolean({ description: 'Whether its runs begin by themselves.' }),
    lastRunAt: nullable(time('When a run began last.')),
    createdAt: time('When it was made.'),
    agent: nullable(
      Type.Object(
        { id: idOf('agent'), name: text('For people.'), hostname: text('Of its machine.') },
        { description: 'Null: it is not known any more.' },
      ),
    ),
    remoteId: nullable(text('The far side; null: files of the agent’s machine and spaces.')),
    nextRunAt: nullable(time('When it is due next; null: paused, or an agent that is not ours keeps the schedule.')),
    updatedAt: time('When it was changed last.'),
    ...OPTIONS,
  },
  { $id: 'Job' },
)

export const RunShape = Type.Object(
  {
    id: idOf('run'),
    jobId: idOf('job'),
    status: Type.Enum(['running', 'completed', 'failed', 'cancelled', 'skipped'], { description: '`skipped` is ours.' }),
    startedAt: time('When it began, or was skipped.'),
    completedAt: nullable(time('When it ended.')),
    errorMessage: nullable(text('Why it failed or was skipped; while it runs, why its files are looked for again, and when.')),
    bytesTransferred: nullable(count('Bytes of all its transfers so far.')),
    cause: Type.Enum(['schedule', 'missed', 'manual', 'agent'], { description: 'What began it.' }),
    scheduledFor: nullable(time('The moment of the schedule that it stands for.')),
    phase: nullable(Type.Enum(['listing', 'moving'], { description: 'Its agent looks for the files, or they are moved.' })),
    transfersTotal: count('Transfers that it made.'),
    transfersCompleted: count('Of these, completed so far.'),
    transfersFailed: count('Of these, failed or cancelled so far.'),
  },
  { $id: 'JobRun' },
)

type Known = Pick<Agent, 'id' | 'name' | 'hostname'>

function jobShape(
  { options, isEnabled, sourcePath, destinationPath, ...job }: Job,
  agent: Known | undefined,
): Static<typeof JobShape> {
  const { id, agentId, name, schedule, protocol, direction, remoteId } = job
  const lists = {
    retryDelaysSeconds: [...options.retryDelaysSeconds],
    blackouts: options.blackouts.map(({ days, from, to }) => ({ days: [...days], from, to })),
    closedDates: [...options.closedDates],
    openDates: options.openDates && [...options.openDates],
  }
  return {
    ...{ id, agentId, name, source: sourcePath, destination: destinationPath, schedule, protocol, direction, enabled: isEnabled },
    ...{ lastRunAt: isoOrNull(job.lastRunAt), createdAt: iso(job.createdAt) },
    agent: agent === undefined ? null : { id: agent.id, name: agent.name, hostname: agent.hostname },
    ...{ remoteId, nextRunAt: isoOrNull(job.nextRunAt), updatedAt: iso(job.updatedAt), ...options, ...lists },
  }
}

function runShape(run: Run): Static<typeof RunShape> {
  const { id, jobId, status, errorMessage, cause, phase, transfersTotal, transfersCompleted, transfersFailed } = run
  return {
    ...{ id, jobId, status, startedAt: iso(run.startedAt), completedAt: isoOrNull(run.completedAt), errorMessage },
    bytesTransferred: run.bytesTransferred,
    ...{ cause, scheduledFor: isoOrNull(run.scheduledFor), phase, transfersTotal, transfersCompleted, transfersFailed },
  }
}

/** Their agents are one question to the store. */
export async function shapesOf(jobs: readonly Job[], { findAgents }: ApiNeeds['jobs']) {
  const ids = [...new Set(jobs.map(({ agentId }) => agentId))]
  const agents = new Map((ids.length === 0 ? [] : await findAgents(ids)).map((agent) => [agent.id, agent]))
  return jobs.map((job) => jobShape(job, agents.get(job.agentId)))
}

const One = envelope({ job: refTo(JobShape) })
const OneRun = envelope({ run: refTo(RunShape) })
const byId = params({ id: idOf('job') })
const byRun = params({ id: idOf('job'), runId: idOf('run') })
const Path = (description: string) => text(description, { minLength: 1, maxLength: JOB_LIMITS.path.max })
const named = {
  name: text('For people.', { minLength: 1, maxLength: JOB_LIMITS.name.max }),
  sourcePath: Path(
    'A path at the remote or of the agent’s machine, `space://account/user/path`, or a glob: `/out/*.csv`, `/out/**`.',
  ),
  destinationPath: Path('The same without wildcards; ending in `/`, or for a glob: the folder that files go into.'),
  schedule: text('Cron expression of five fields: `30 2 * * 1-5`.', { minLength: 1, maxLength: SCHEDULE_CHARACTERS_MAX }),
}

const CreateBody = body({
  agentId: idOf('agent that moves the files'),
  ...named,
  protocol: Type.Optional(text('Follows from the remote; where given it must agree.', { minLength: 1, maxLength: 32 })),
  direction: Type.Optional(Direction),
  enabled: Type.Optional(Type.Boolean({ description: 'Default true.' })),
  remoteId: Type.Optional(
    nullable(text('The far side; none: files of the agent’s machine and spaces.', { minLength: 1, maxLength: 64 })),
  ),
  ...optional(OPTIONS),
})

const UpdateBody = body({
  agentId: Type.Optional(idOf('agent that moves the files from the next run on')),
  ...optional(named),
  enabled: Type.Optional(Type.Boolean()),
  ...optional(OPTIONS),
})

/** What foreign agents say about the runs of their jobs, and administrators ask with the same calls. At both listeners. */
export function addJobCalls(api: Api, { jobs }: Pick<ApiNeeds, 'jobs'>): void {
  const { admin } = jobs

  api.post(
    '/jobs/:id/runs',
    {
      schema: {
        ...adminOrAgentRoute(
          'beginRun',
          'Jobs',
          'Run a job now; an agent: report that it begins a run',
          { 201: OneRun },
          [404, 409],
        ),
        params: byId,
      },
    },
    async ({ agent, caller, params: { id } }, reply) => {
      const run = agent === undefined ? await admin.runNow(id, caller) : await admin.beginForeign(id, agent.id, caller)
      reply.code(201)
      return said({ run: runShape(run) })
    },
  )

  api.patch(
    '/jobs/:id/runs/:runId',
    {
      schema: {
        ...adminOrAgentRoute('endRun', 'Jobs', 'Cancel a run; an agent: report the end of one that it began', { 200: OneRun }, [
          ...([403, 404, 409] as const),
        ]),
        params: byRun,
        body: body({
          status: Type.Enum(['completed', 'failed', 'cancelled'], { description: 'An administrator can only say `cancelled`.' }),
          errorMessage: Type.Optional(
            text('Why it failed or was cancelled; not with `completed`.', { maxLength: TEXT_CHARS_MAX }),
          ),
        }),
      },
    },
    async ({ agent, caller, params: { id, runId }, body: { status, errorMessage } }) => {
      if (agent !== undefined)
        return said({
          run: runShape(await admin.endForeign(id, runId, agent.id, { status, ...(errorMessage && { errorMessage }) })),
        })
      if (status !== 'cancelled')
        throw new AppError('forbidden', `status: an administrator can only cancel a run, not say that it is ${status}`, {
          field: 'status',
        })
      return said({ run: runShape(await admin.cancelRun(id, runId, caller)) })
    },
  )
}

/** What administrators ask about jobs. */
export function addJobRoutes(api: Api, { jobs }: Pick<ApiNeeds, 'jobs'>): void {
  const { admin } = jobs
  const shown = async (job: Job) => said({ job: (await shapesOf([job], jobs))[0]! })

  api.post(
    '/jobs',
    { schema: { ...adminRoute('createJob', 'Jobs', 'Create a job', { 201: One }, [404, 409]), body: CreateBody } },
    async ({ body: { enabled, ...asked }, caller }, reply) => {
      const input = { ...asked, ...(enabled !== undefined && { isEnabled: enabled }) } as JobInput
      const job = await admin.create(input, caller)
      reply.code(201)
      return shown(job)
    },
  )

  api.get(
    '/jobs',
    {
      schema: {
        ...adminRoute('listJobs', 'Jobs', 'List jobs', {
          200: envelope({ jobs: Type.Array(refTo(JobShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query({
          ...PageQuery,
          agentId: Type.Optional(idOf('agent')),
          enabled: Type.Optional(Type.Boolean({ description: 'Only those that are on, or off.' })),
        }),
      },
    },
    async ({ query: { agentId, enabled, ...asked } }) => {
      const { request, pagination } = paging(asked)
      const filter = { ...(agentId && { agentId }), ...(enabled !== undefined && { isEnabled: enabled }) }
      const { rows, total } = await admin.list(filter, request)
      return said({ jobs: await shapesOf(rows, jobs), pagination: pagination(total) })
    },
  )

  api.get(
    '/jobs/:id',
    { schema: { ...adminRoute('getJob', 'Jobs', 'Get a job', { 200: One }, [404]), params: byId } },
    async ({ params: { id } }) => shown(await admin.find(id)),
  )

  api.patch(
    '/jobs/:id',
    {
      schema: {
        ...adminRoute('updateJob', 'Jobs', 'Change, pause or resume a job', { 200: One }, [404, 409]),
        params: byId,
        body: UpdateBody,
      },
    },
    async ({ params: { id }, body: { enabled, ...asked }, caller }) => {
      const changes = { ...asked, ...(enabled !== undefined && { isEnabled: enabled }) } as JobOptionsInput
      return shown(await admin.update(id, changes, caller))
    },
  )

  api.delete(
    '/jobs/:id',
    {
      schema: {
        ...adminRoute('deleteJob', 'Jobs', 'Remove a job; a run under way is stopped', { 200: Deleted }, [404, 409]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => {
      await admin.remove(id, caller)
      return said({ deleted: true as const })
    },
  )

  api.post(
    '/jobs/:id/dry-run',
    {
      schema: {
        ...adminRoute(
          'dryRunJob',
          'Jobs',
          'What a run would move now; its agent looks, nothing is moved or recorded',
          {
            200: envelope({
              files: Type.Array(
                Type.Object({
                  source: text('What would be moved.'),
                  destination: text('Where to.'),
                  size: count('Bytes.'),
                  modifiedAt: nullable(time('Where the source tells it.')),
                }),
              ),
              skipped: count('Found, and moved before.'),
              refused: Type.Array(Type.String(), {
                description:
                  'Found, below the folder of the glob, under names that cannot be names at the destination: a run leaves them out, and fails.',
              }),
              isTruncated: Type.Boolean({ description: 'There are more than one run takes; the next run takes the others.' }),
            }),
          },
          [404, 409],
        ),
        params: byId,
      },
    },
    async ({ params: { id } }) => {
      const { files, refused, ...more } = await admin.dryRun(id)
      const plan = files.map((file) => ({ ...file, modifiedAt: isoOrNull(file.modifiedAt) }))
      return said({ files: plan, refused: [...refused], ...more })
    },
  )

  api.get(
    '/jobs/:id/runs',
    {
      schema: {
        ...adminRoute(
          'listRuns',
          'Jobs',
          'List the runs of a job, newest first',
          { 200: envelope({ runs: Type.Array(refTo(RunShape)) }) },
          [404],
        ),
        params: byId,
        querystring: query({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_ROWS_MAX, default: PAGE_ROWS_DEFAULT })),
          offset: Type.Optional(Type.Integer({ minimum: 0, maximum: OFFSET_MAX, default: 0 })),
        }),
      },
    },
    async ({ params: { id }, query: { limit = PAGE_ROWS_DEFAULT, offset = 0 } }) => {
      const { rows } = await admin.listRuns(id, { limit, offset })
      return said({ runs: rows.map(runShape) })
    },
  )

  api.get(
    '/jobs/:id/runs/:runId',
    { schema: { ...adminRoute('getRun', 'Jobs', 'Get a run', { 200: OneRun }, [404]), params: byRun } },
    async ({ params: { id, runId } }) => said({ run: runShape(await admin.findRun(id, runId)) }),
  )
}
