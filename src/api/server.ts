import type { AddressInfo } from 'node:net'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyRequest } from 'fastify'
import { SECOND_MS } from '../base/units.ts'
import { ADMIN_REQUESTS_PER_MINUTE, createGuards, PUBLIC_REQUESTS_PER_MINUTE, REFUSED_PER_MINUTE } from './auth.ts'
import { BODY_BYTES_MAX, type Refusal } from './errors.ts'
import { createGround } from './ground.ts'
import { addMftplusFace, MFTPLUS_SHAPES } from './mftplus/face.ts'
import { asMftplusError } from './mftplus/shapes.ts'
import type { Api, ApiNeeds } from './needs.ts'
import { addTrueftpFace, TRUEFTP_SHAPES } from './trueftp/face.ts'
import { asTrueftpError } from './trueftp/shapes.ts'

export type { ApiNeeds } from './needs.ts'

/** The REST server: both faces, their OpenAPI document and its rendering. */
export interface ApiServer {
  /** Listens; port 0 lets the system choose one. */
  start(address: { host: string; port: number }): Promise<{ url: string }>
  /** Takes no new requests; those in flight get a few seconds. */
  stop(): Promise<void>
  openapi(): Promise<object>
}

/** A request must have arrived as a whole by then. */
const REQUEST_MS = 30 * SECOND_MS
/** Its headers by then. */
const HEADERS_MS = 10 * SECOND_MS
const KEEP_ALIVE_MS = 10 * SECOND_MS
/** Requests in flight get this long when the server stops. */
const STOP_MS = 5 * SECOND_MS
const CONNECTIONS_MAX = 1_000
const HEADER_BYTES_MAX = 16_384

const MFTPLUS_BASE = '/api'
const TRUEFTP_BASE = '/api/ext/v1'

/** Builds the server without opening anything; a fault of a request is logged once and answered as `internal`. */
export function createApi(needs: ApiNeeds): ApiServer {
  const { log, clock } = needs
  const app = createGround(log, inStyle, {
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: HEADERS_MS, maxHeaderSize: HEADER_BYTES_MAX, connectionsCheckingInterval: SECOND_MS },
  })
  app.server.maxConnections = CONNECTIONS_MAX
  // Streams do not end by themselves.
  app.addHook('preClose', async () => needs.recovery.streams.stop())
  for (const shape of [...MFTPLUS_SHAPES, ...TRUEFTP_SHAPES]) app.addSchema(shape)
  const guards = createGuards({ accounts: needs.accounts, clock, keyRateWindowMs: needs.settings.keyRateWindowMs })
  addDocs(app, needs.version)
  app.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'))
  app.register(async (face) => addMftplusFace(face as Api, needs, guards), { prefix: MFTPLUS_BASE })
  app.register(async (face) => addTrueftpFace(face as Api, needs, guards), { prefix: TRUEFTP_BASE })

  return {
    async start({ host, port }) {
      await app.listen({ host, port })
      const { family, address, port: chosen } = app.server.address() as AddressInfo
      return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${chosen}` }
    },
    async stop() {
      const cancel = clock.after(STOP_MS, () => app.server.closeAllConnections())
      await app.close()
      cancel()
    },
    async openapi() {
      await app.ready()
      return app.swagger()
    },
  }
}

/** Each face tells refusals in its own style, also those of paths that neither has. */
function inStyle(request: FastifyRequest, refusal: Refusal): object {
  const isTrueftp = request.url === TRUEFTP_BASE || request.url.startsWith(`${TRUEFTP_BASE}/`)
  return isTrueftp ? asTrueftpError(refusal, request.routeOptions?.config?.fieldNames ?? {}) : asMftplusError(refusal)
}

const DESCRIPTION = `Two faces of one system. Under ${MFTPLUS_BASE}: administrators, camelCase, \`{success, data}\`, \`page\` and \`limit\`.
Under ${TRUEFTP_BASE}: keys of one account, snake_case, plain objects, \`limit\` and \`offset\`.

A body is JSON of at most ${BODY_BYTES_MAX} bytes; members that are not known are refused. A refusal names the field, the bound and the
value, and changes nothing.

An administrator token may make ${ADMIN_REQUESTS_PER_MINUTE} requests a minute, an account key the number an hour that it was made with; \`X-RateLimit-Limit\`,
\`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` (Unix time, seconds) say what is left. After ${REFUSED_PER_MINUTE} requests a minute with credentials that are not valid, an
address waits for the minute to end; so it does after ${PUBLIC_REQUESTS_PER_MINUTE} requests for public keys. Beyond a limit the answer is 429 with \`Retry-After\`. Each node counts for itself.`

/** `/docs` and `/docs/json`, with nothing loaded from elsewhere. */
function addDocs(app: Api, version: string): void {
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
        },
      },
    },
    refResolver: { buildLocalReference: (schema) => String(schema.$id) },
  })
  app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    uiConfig: { deepLinking: true, docExpansion: 'list', defaultModelsExpandDepth: 0 },
    theme: { title: 'Landfall API' },
  })
}
