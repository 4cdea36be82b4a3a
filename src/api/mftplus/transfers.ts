import type { Static } from 'typebox'
import type { Agent } from '../../agents/agent.ts'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { type ForeignInput, RETRIES_MAX, RETRY_DELAY_SECONDS_MAX, type TransferInput } from '../../transfers/check.ts'
import { withoutCredentials } from '../../transfers/credentials.ts'
import { LOCATION_CHARACTERS_MAX } from '../../transfers/locate.ts'
import { retriesOf } from '../../transfers/say.ts'
import { TRANSFER_STATUSES, type Transfer } from '../../transfers/transfer.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, count, idOf, iso, isoOrNull, nullable, params, query, refTo, TEXT_CHARS_MAX, text, time } from '../schema.ts'
import { adminOrAgentRoute, adminRoute, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const Direction = Type.Enum(['pull', 'push'], { description: 'Seen from the agent: it fetches or it sends.' })
const Status = Type.Enum([...TRANSFER_STATUSES])

/** The members of the REST API reference first, then ours. */
export const TransferShape = Type.Object(
  {
    id: idOf('transfer'),
    agentId: idOf('agent'),
    source: text('Where the file comes from: a url or a path; never with a password.'),
    destination: text('Where it goes.'),
    protocol: text('`sftp`, `ftp`, `ftps`, `http`, `https`, `s3`, `space` or `local`; foreign agents may say others.'),
    status: Status,
    progress: Type.Integer({ description: 'Percent; 100 once it has completed.', minimum: 0, maximum: 100 }),
    bytesTotal: nullable(count('Bytes of the file; null while unknown.')),
    bytesTransferred: count('Bytes that are at the destination.'),
    speed: nullable(count('Bytes per second.')),
    errorMessage: nullable(text('Why it failed, or why its last attempt did.')),
    startedAt: nullable(time('Of its first attempt.')),
    completedAt: nullable(time('Of its end, whatever that was.')),
    createdAt: time('When it was made.'),
    agent: nullable(
      Type.Object(
        { id: idOf('agent'), name: text('For people.'), hostname: text('Of its machine.') },
        { description: 'Null: it is not known any more.' },
      ),
    ),
    direction: Direction,
    errorCode: nullable(text('The same for machines: `AUTH_FAILED`, …')),
    retryCount: count('How often it was begun again.'),
    dueAt: nullable(time('When a queued one is begun; null: not queued.')),
    isCancelling: Type.Boolean({ description: 'Stopping was asked for, and its agent has not said yet that it stopped.' }),
    runId: nullable(text('The run that it belongs to.')),
    remoteId: nullable(text('The remote of its far side.')),
    sha256: nullable(text('Of the whole file, hex, once it has arrived.')),
  },
  { $id: 'Transfer' },
)

type Known = Pick<Agent, 'id' | 'name' | 'hostname'>

function transferShape(transfer: Transfer, agent: Known | undefined): Static<typeof TransferShape> {
  const { id, agentId, protocol, status, progress, bytesTransferred, speed, direction, errorCode, runId, remoteId } = transfer
  return {
    ...{ id, agentId, source: withoutCredentials(transfer.sourceUrl), destination: withoutCredentials(transfer.destinationPath) },
    ...{ protocol, status, progress },
    ...{ bytesTotal: transfer.size, bytesTransferred, speed, errorMessage: transfer.error },
    ...{ startedAt: isoOrNull(transfer.startedAt), completedAt: isoOrNull(transfer.completedAt) },
    createdAt: iso(transfer.createdAt),
    agent: agent === undefined ? null : { id: agent.id, name: agent.name, hostname: agent.hostname },
    ...{ direction, errorCode, retryCount: retriesOf(transfer) },
    dueAt: status === 'queued' ? iso(transfer.dueAt) : null,
    isCancelling: status === 'running' && transfer.cancelAskedAt !== null,
    ...{ runId, remoteId, sha256: transfer.sha256 },
  }
}

/** Their agents are one question to the store. */
export async function shapesOf(transfers: readonly Transfer[], { findAgents }: ApiNeeds['transfers']) {
  const ids = [...new Set(transfers.map(({ agentId }) => agentId))]
  const agents = new Map((ids.length === 0 ? [] : await findAgents(ids)).map((agent) => [agent.id, agent]))
  return transfers.map((transfer) => transferShape(transfer, agents.get(transfer.agentId)))
}

const One = envelope({ transfer: refTo(TransferShape) })
const Many = envelope({ transfers: Type.Array(refTo(TransferShape)), pagination: refTo(Pagination) })
const byId = params({ id: idOf('transfer') })
const Location = (description: string) => text(description, { minLength: 1, maxLength: LOCATION_CHARACTERS_MAX })
const Filter = {
  status: Type.Optional(Status),
  agentId: Type.Optional(idOf('agent')),
  runId: Type.Optional(idOf('run')),
}

const CreateBody = body({
  agentId: idOf('agent that moves the file'),
  sourceUrl: Location(
    'A path at the remote or of the agent’s machine, or `space://account/user/path`. Of a foreign agent: any url or path.',
  ),
  destinationPath: Location('The same for where it goes; ending in `/`: a folder.'),
  direction: Direction,
  protocol: Type.Optional(
    text('A foreign agent says it; otherwise it follows from the remote.', { minLength: 1, maxLength: 32 }),
  ),
  size: Type.Optional(count('Bytes of the file, where known.')),
  runId: Type.Optional(text('A foreign agent: the run that it belongs to.', { minLength: 1, maxLength: 64 })),
  remoteId: Type.Optional(text('The far side; none: files of the agent’s machine and spaces.', { minLength: 1, maxLength: 64 })),
  retryDelaysSeconds: Type.Optional(
    Type.Array(Type.Number({ minimum: 0, maximum: RETRY_DELAY_SECONDS_MAX }), {
      description: 'Before each retry; defaults to 30, 120, 480.',
      maxItems: RETRIES_MAX,
    }),
  ),
  bytesPerSecond: Type.Optional(Type.Integer({ description: 'At most; absent: as fast as it goes.', minimum: 1_024 })),
  postAction: Type.Optional(
    Type.Object(
      {
        kind: Type.Enum(['keep', 'delete', 'move']),
        to: Type.Optional(
          Location('Where the source is moved, in its own storage; ending in `/`: the folder that it is moved into.'),
        ),
      },
      {
        description: 'What happens to the source once the file has verifiably arrived; absent: it is kept.',
        additionalProperties: false,
      },
    ),
  ),
  onAgentLost: Type.Optional(
    Type.Enum(['retry', 'fail'], { description: 'What becomes of it when its agent is lost; defaults to retry.' }),
  ),
})

/** Only administrators say these: an agent that reports a transfer makes it by itself. */
const ADMIN_MEMBERS = ['remoteId', 'retryDelaysSeconds', 'bytesPerSecond', 'postAction', 'onAgentLost'] as const

const ReportBody = body({
  status: Type.Optional(Status),
  progress: Type.Optional(Type.Number({ description: 'Percent.', minimum: 0, maximum: 100 })),
  bytesTransferred: Type.Optional(count('So far.')),
  speed: Type.Optional(Type.Number({ description: 'Bytes per second.', minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  error: Type.Optional(text('Why it failed, for people.', { maxLength: TEXT_CHARS_MAX })),
  errorCode: Type.Optional(
    text('The same for machines: upper-case words, as of our own agents.', { minLength: 1, maxLength: 64 }),
  ),
  throughputMbps: Type.Optional(Type.Number({ description: 'Taken and not kept.', minimum: 0 })),
  latencyMs: Type.Optional(Type.Number({ description: 'Taken and not kept.', minimum: 0 })),
  packetLossPercent: Type.Optional(Type.Number({ description: 'Taken and not kept.', minimum: 0, maximum: 100 })),
})

/** What agents report of the transfers that they make by themselves; administrators ask for one with the same call. At both listeners. */
export function addTransferCalls(api: Api, { transfers }: Pick<ApiNeeds, 'transfers'>): void {
  api.post(
    '/transfers',
    {
      schema: {
        ...adminOrAgentRoute(
          'createTransfer',
          'Transfers',
          'Have an agent move a file; an agent: report one that it moves',
          { 201: One },
          [...([403, 409] as const)],
        ),
        body: CreateBody,
      },
    },
    async (request, reply) => {
      const { agent, body: asked } = request
      const transfer =
        agent === undefined
          ? await transfers.admin.create(request.caller, adminInput(asked))
          : await transfers.admin.createForeign(agent, foreignInput(asked))
      reply.code(201)
      return said({ transfer: (await shapesOf([transfer], transfers))[0]! })
    },
  )

  api.patch(
    '/transfers/:id',
    {
      schema: {
        ...adminOrAgentRoute(
          'reportTransfer',
          'Transfers',
          'Report how a transfer goes that the agent makes by itself',
          { 200: One },
          [...([403, 404, 409] as const)],
        ),
        params: byId,
        body: ReportBody,
      },
    },
    async ({ agent, params: { id }, body: report }) => {
      if (agent === undefined)
        throw new AppError('forbidden', 'only the agent of a transfer reports it; to stop it there is /cancel')
      const transfer = await transfers.admin.reportForeign(agent, id, report)
      return said({ transfer: (await shapesOf([transfer], transfers))[0]! })
    },
  )
}

function adminInput({ runId, ...input }: Static<typeof CreateBody>): TransferInput {
  if (runId === undefined) return input
  throw new AppError('invalid', 'runId: the transfers of a run are made by its job', { field: 'runId' })
}

function foreignInput(input: Static<typeof CreateBody>): ForeignInput {
  const foreign = ADMIN_MEMBERS.find((member) => input[member] !== undefined)
  if (foreign !== undefined)
    throw new AppError('invalid', `${foreign}: only an administrator says this; an agent moves the file by itself`, {
      field: foreign,
    })
  const { protocol } = input
  if (protocol === undefined) throw new AppError('invalid', 'protocol is missing', { field: 'protocol' })
  return { ...input, protocol }
}

/** What administrators ask about transfers. */
export function addTransferRoutes(api: Api, { transfers }: Pick<ApiNeeds, 'transfers'>): void {
  const { admin } = transfers

  api.get(
    '/transfers',
    {
      schema: {
        ...adminRoute('listTransfers', 'Transfers', 'List transfers, newest first', { 200: Many }),
        querystring: query({ ...PageQuery, ...Filter }),
      },
    },
    async ({ query: { status, agentId, runId, ...asked } }) => {
      const { request, pagination } = paging(asked)
      const filter = { ...(status && { status }), ...(agentId && { agentId }), ...(runId && { runId }) }
      const { rows, total } = await admin.list(filter, request)
      return said({ transfers: await shapesOf(rows, transfers), pagination: pagination(total) })
    },
  )

  api.get(
    '/transfers/:id',
    { schema: { ...adminRoute('getTransfer', 'Transfers', 'Get a transfer', { 200: One }, [404]), params: byId } },
    async ({ params: { id } }) => said({ transfer: (await shapesOf([await admin.find(id)], transfers))[0]! }),
  )

  api.post(
    '/transfers/:id/cancel',
    {
      schema: {
        ...adminRoute(
          'cancelTransfer',
          'Transfers',
          'Stop a transfer: a queued one ends at once, a running one as soon as its agent has stopped',
          { 200: One },
          [404, 409],
        ),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => said({ transfer: (await shapesOf([await admin.cancel(caller, id)], transfers))[0]! }),
  )

  api.get(
    '/agents/:id/transfers',
    {
      schema: {
        ...adminRoute('listAgentTransfers', 'Transfers', 'List the transfers of an agent, newest first', { 200: Many }, [404]),
        params: params({ id: idOf('agent') }),
        querystring: query({ ...PageQuery, status: Filter.status }),
      },
    },
    async ({ params: { id: agentId }, query: { status, ...asked } }) => {
      if ((await transfers.findAgents([agentId])).length === 0) throw new AppError('not_found', 'no such agent')
      const { request, pagination } = paging(asked)
      const { rows, total } = await admin.list({ agentId, ...(status && { status }) }, request)
      return said({ transfers: await shapesOf(rows, transfers), pagination: pagination(total) })
    },
  )
}
