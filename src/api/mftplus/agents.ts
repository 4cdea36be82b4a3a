import type { Static } from 'typebox'
import { LABEL_CHARS_MAX } from '../../accounts/check.ts'
import { type Agent, type Certificate, CONCURRENCY_MAX, type EnrolmentToken } from '../../agents/agent.ts'
import { AGENT_OSES, TOKEN_SECONDS_DEFAULT, TOKEN_SECONDS_MAX, TOKEN_SECONDS_MIN, TOKEN_USES_MAX } from '../../agents/check.ts'
import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, count, idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { JobShape, shapesOf as jobShapes } from './jobs.ts'
import { adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'
import { TransferShape, shapesOf as transferShapes } from './transfers.ts'

/** The members of the REST API reference first, then ours. */
export const AgentShape = Type.Object(
  {
    id: idOf('agent'),
    name: text('For people.'),
    hostname: text('Name of its machine.'),
    os: Type.Enum([...AGENT_OSES]),
    version: nullable(text('Of the agent, where it says one.')),
    status: Type.Enum(['online', 'offline', 'busy', 'error']),
    lastHeartbeat: time('When it was last heard of.'),
    ipAddress: nullable(text('Where from.')),
    createdAt: time('When it was registered.'),
    isBuiltin: Type.Boolean({ description: 'It runs inside a server.' }),
    concurrency: count('Transfers at the same time.'),
    load: nullable(Type.Number({ description: 'Share of its processors that is in use, 0 to 1, as it said last.' })),
    memory: nullable(count('MB that it uses, as it said last.')),
    revokedAt: nullable(time('When it was revoked; it may not work any more until it is enrolled again.')),
  },
  { $id: 'Agent' },
)

export function agentShape(agent: Agent): Static<typeof AgentShape> {
  const { id, name, hostname, os, version, status, ipAddress, isBuiltin, concurrency, load, memory } = agent
  return {
    ...{ id, name, hostname, os, version, status, lastHeartbeat: iso(agent.lastSeenAt), ipAddress },
    ...{ createdAt: iso(agent.createdAt), isBuiltin, concurrency, load, memory, revokedAt: isoOrNull(agent.revokedAt) },
  }
}

export const CertificateShape = Type.Object(
  {
    id: idOf('certificate'),
    serial: text('Hex, as in the certificate.'),
    fingerprint: text('SHA-256 of the certificate (DER), hex.'),
    issuedAt: time('When it was issued.'),
    expiresAt: time('End of its validity.'),
    replacedAt: nullable(time('When a newer one was issued; it still counts until its end.')),
    revokedAt: nullable(time('When it was revoked.')),
  },
  { $id: 'Certificate' },
)

function certificateShape(certificate: Certificate): Static<typeof CertificateShape> {
  const { id, serial, fingerprint, issuedAt, expiresAt, replacedAt, revokedAt } = certificate
  return {
    ...{ id, serial, fingerprint, issuedAt: iso(issuedAt), expiresAt: iso(expiresAt) },
    ...{ replacedAt: isoOrNull(replacedAt), revokedAt: isoOrNull(revokedAt) },
  }
}

export const EnrolmentTokenShape = Type.Object(
  {
    id: idOf('enrolment token'),
    name: text('For people.'),
    usesMax: count('Agents that it lets in.'),
    uses: count('Agents that it has let in.'),
    createdAt: time('When it was made.'),
    expiresAt: time('It lets nobody in from then on.'),
    revokedAt: nullable(time('When it was revoked.')),
  },
  { $id: 'EnrollmentToken' },
)

function tokenShape(token: EnrolmentToken): Static<typeof EnrolmentTokenShape> {
  const { id, name, usesMax, uses, createdAt, expiresAt, revokedAt } = token
  return { id, name, usesMax, uses, createdAt: iso(createdAt), expiresAt: iso(expiresAt), revokedAt: isoOrNull(revokedAt) }
}

/** Transfers of an agent that come with it, newest first, and jobs; the lists of each have all. */
const TRANSFERS_SHOWN = 20
const JOBS_SHOWN = 100

export const AgentDetailShape = Type.Object(
  {
    ...AgentShape.properties,
    transfers: Type.Array(refTo(TransferShape), { description: `Its last ${TRANSFERS_SHOWN}, newest first.` }),
    jobs: Type.Array(refTo(JobShape), { description: `Its first ${JOBS_SHOWN}.` }),
  },
  { $id: 'AgentDetail' },
)

const One = envelope({ agent: refTo(AgentShape) })
const byId = params({ id: idOf('agent') })
const Name = Type.Optional(text('For people.', { minLength: 1, maxLength: LABEL_CHARS_MAX }))

/** What administrators do with agents. */
export function addAgentRoutes(api: Api, { agents: { admin }, transfers, jobs }: ApiNeeds): void {
  api.get(
    '/agents',
    {
      schema: {
        ...adminRoute('listAgents', 'Agents', 'List the agents, newest first', {
          200: envelope({ agents: Type.Array(refTo(AgentShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query(PageQuery),
      },
    },
    async ({ query: asked }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await admin.list(request)
      return said({ agents: rows.map(agentShape), pagination: pagination(total) })
    },
  )

  api.get(
    '/agents/:id',
    {
      schema: {
        ...adminRoute(
          'getAgent',
          'Agents',
          'Get an agent, with its last transfers and its jobs',
          { 200: envelope({ agent: refTo(AgentDetailShape) }) },
          [404],
        ),
        params: byId,
      },
    },
    async ({ params: { id } }) => {
      const agent = await admin.find(id)
      const [moved, planned] = await Promise.all([
        transfers.admin.list({ agentId: id }, { limit: TRANSFERS_SHOWN, offset: 0 }),
        jobs.admin.list({ agentId: id }, { limit: JOBS_SHOWN, offset: 0 }),
      ])
      return said({
        agent: {
          ...agentShape(agent),
          transfers: await transferShapes(moved.rows, transfers),
          jobs: await jobShapes(planned.rows, jobs),
        },
      })
    },
  )

  api.patch(
    '/agents/:id',
    {
      schema: {
        ...adminRoute('updateAgent', 'Agents', 'Rename an agent, or change how much it does at a time', { 200: One }, [404]),
        params: byId,
        body: body({
          name: Name,
          concurrency: Type.Optional(
            Type.Integer({ description: 'Transfers at the same time.', minimum: 1, maximum: CONCURRENCY_MAX }),
          ),
        }),
      },
    },
    async ({ params: { id }, body: changes, caller }) => said({ agent: agentShape(await admin.update(id, changes, caller)) }),
  )

  api.post(
    '/agents/:id/disconnect',
    {
      schema: {
        ...adminRoute(
          'disconnectAgent',
          'Agents',
          'End the connection of an agent; it may come back at once',
          { 200: envelope({ disconnected: Type.Boolean({ description: 'False: it had none.' }) }) },
          [404],
        ),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => said({ disconnected: await admin.disconnect(id, caller) }),
  )

  api.post(
    '/agents/:id/revoke',
    {
      schema: {
        ...adminRoute(
          'revokeAgent',
          'Agents',
          'Revoke an agent: its key and certificates count no more, what it is doing ends at once',
          { 200: One },
          [404],
        ),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => said({ agent: agentShape(await admin.revoke(id, caller)) }),
  )

  api.get(
    '/agents/:id/certificates',
    {
      schema: {
        ...adminRoute(
          'listCertificates',
          'Agents',
          'List the certificates of an agent, newest first',
          { 200: envelope({ certificates: Type.Array(refTo(CertificateShape)) }) },
          [404],
        ),
        params: byId,
      },
    },
    async ({ params: { id } }) => said({ certificates: (await admin.certificates(id)).map(certificateShape) }),
  )
  addTokenRoutes(api, admin)
}

function addTokenRoutes(api: Api, admin: ApiNeeds['agents']['admin']): void {
  api.post(
    '/enrollment-tokens',
    {
      schema: {
        ...adminRoute('createEnrollmentToken', 'Agents', 'Make a token that lets agents in', {
          201: envelope({
            enrollmentToken: refTo(EnrolmentTokenShape),
            token: text('Shown once: it is in no other answer.'),
          }),
        }),
        body: body({
          name: Name,
          usesMax: Type.Optional(
            Type.Integer({ description: 'Agents that it lets in.', minimum: 1, maximum: TOKEN_USES_MAX, default: 1 }),
          ),
          expiresInSeconds: Type.Optional(
            Type.Integer({ minimum: TOKEN_SECONDS_MIN, maximum: TOKEN_SECONDS_MAX, default: TOKEN_SECONDS_DEFAULT }),
          ),
        }),
      },
    },
    async ({ body: input, caller }, reply) => {
      const { enrolmentToken, token } = await admin.createToken(input, caller)
      reply.code(201)
      return said({ enrollmentToken: tokenShape(enrolmentToken), token })
    },
  )

  api.get(
    '/enrollment-tokens',
    {
      schema: {
        ...adminRoute('listEnrollmentTokens', 'Agents', 'List the enrolment tokens, newest first', {
          200: envelope({ enrollmentTokens: Type.Array(refTo(EnrolmentTokenShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query(PageQuery),
      },
    },
    async ({ query: asked }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await admin.listTokens(request)
      return said({ enrollmentTokens: rows.map(tokenShape), pagination: pagination(total) })
    },
  )

  api.delete(
    '/enrollment-tokens/:id',
    {
      schema: {
        ...adminRoute(
          'revokeEnrollmentToken',
          'Agents',
          'Revoke an enrolment token; agents that it has let in stay',
          { 200: Deleted },
          [404],
        ),
        params: params({ id: idOf('enrolment token') }),
      },
    },
    async ({ params: { id }, caller }) => {
      await admin.revokeToken(id, caller)
      return said({ deleted: true as const })
    },
  )
}
