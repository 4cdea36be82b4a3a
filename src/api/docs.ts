import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import {
  ADMIN_REQUESTS_PER_MINUTE,
  AGENT_REQUESTS_PER_MINUTE,
  PUBLIC_REQUESTS_PER_MINUTE,
  REFUSED_PER_MINUTE,
  REGISTRATIONS_PER_MINUTE,
} from './auth.ts'
import { BODY_BYTES_MAX } from './errors.ts'
import type { Api } from './needs.ts'

/** The OpenAPI document of the API and its rendering. */
export interface Docs {
  /** Answers a request for one of the pages. */
  answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
  openapi(): Promise<object>
}

/** Where the pages are, and where each face begins. */
export const DOCS_BASE = '/docs'
export const MFTPLUS_BASE = '/api'
export const TRUEFTP_BASE = '/api/ext/v1'

/**
 * Made when they are first asked for, so that no start waits for the 170 modules which that takes: a second server, which never
 * listens, is given the routes (`addFaces`), describes them and renders what it found.
 */
export function createDocs(version: string, addFaces: (app: Api) => void): Docs {
  let making: Promise<Api> | undefined
  const made = () => {
    making ??= describe(version, addFaces)
    return making
  }
  return {
    async answer({ url }, reply) {
      const { statusCode, headers, rawPayload } = await (await made()).inject({ method: 'GET', url })
      if (statusCode === 404) {
        reply.callNotFound()
        return reply
      }
      for (const name of PASSED_HEADERS) if (headers[name] !== undefined) reply.header(name, headers[name])
      return reply.code(statusCode).send(rawPayload)
    },
    openapi: async () => (await made()).swagger(),
  }
}

/** Of the pages' headers; the others are of a connection, or the same for every answer. */
const PASSED_HEADERS = ['content-type', 'content-security-policy', 'cache-control', 'etag', 'last-modified', 'location'] as const

const DESCRIPTION = `Two faces of one system. Under ${MFTPLUS_BASE}: administrators and agents, camelCase, \`{success, data}\`, \`page\` and \`limit\`.
Under ${TRUEFTP_BASE}: keys of one account, snake_case, plain objects, \`limit\` and \`offset\`.

A body is JSON of at most ${BODY_BYTES_MAX} bytes; members that are not known are refused. A refusal names the field, the bound and the
value, and changes nothing.

An administrator token may make ${ADMIN_REQUESTS_PER_MINUTE} requests a minute, an agent ${AGENT_REQUESTS_PER_MINUTE}, an account key the number an hour that it was made with; \`X-RateLimit-Limit\`,
\`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` (Unix time, seconds) say what is left. After ${REFUSED_PER_MINUTE} requests a minute with credentials that are not valid, an
address waits for the minute to end; so it does after ${PUBLIC_REQUESTS_PER_MINUTE} requests for public keys, and ${REGISTRATIONS_PER_MINUTE} registrations of agents. Beyond a limit the answer is 429 with \`Retry-After\`. Each node counts for itself.`

async function describe(version: string, addFaces: (app: Api) => void): Promise<Api> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ])
  const app: Api = fastify().withTypeProvider<TypeBoxTypeProvider>()
  // Its routes are looked at and never called.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Landfall',
        version,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          adminToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'An administrator token, `lfadm_…` or the one given in the settings.',
          },
          accountKey: {
            type: 'http',
            scheme: 'bearer',
            description: 'A key of an account, `tftp_…`, with the scopes read or write.',
          },
          agentKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-API-Key',
            description: 'The key of an agent, `mft_ak_…`; at the agent port its certificate takes the place of it.',
          },
          enrollmentToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token that lets agents in, `mft_enr_…`.',
          },
        },
      },
    },
    refResolver: { buildLocalReference: (schema) => String(schema.$id) },
  })
  // With nothing loaded from elsewhere.
  app.register(swaggerUi, {
    routePrefix: DOCS_BASE,
    staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    uiConfig: { deepLinking: true, docExpansion: 'list', defaultModelsExpandDepth: 0 },
    theme: { title: 'Landfall API' },
  })
  addFaces(app)
  await app.ready()
  return app
}
