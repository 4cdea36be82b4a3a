import type { AddressInfo } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { SECOND_MS } from '../base/units.ts'
import { createGuards } from './auth.ts'
import { createDocs, DOCS_BASE, MFTPLUS_BASE, TRUEFTP_BASE } from './docs.ts'
import type { Refusal } from './errors.ts'
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
  const { accounts, agents, settings } = needs
  const guards = createGuards({ accounts, agents, clock, keyRateWindowMs: settings.keyRateWindowMs })
  const addFaces = (to: Api) => {
    for (const shape of [...MFTPLUS_SHAPES, ...TRUEFTP_SHAPES]) to.addSchema(shape)
    to.register(async (face) => addMftplusFace(face as Api, needs, guards), { prefix: MFTPLUS_BASE })
    to.register(async (face) => addTrueftpFace(face as Api, needs, guards), { prefix: TRUEFTP_BASE })
  }
  addFaces(app)
  const docs = createDocs(needs.version, addFaces)
  app.get('/', async (_request, reply) => reply.redirect(DOCS_BASE))
  for (const path of [DOCS_BASE, `${DOCS_BASE}/*`]) app.get(path, docs.answer)

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
    openapi: docs.openapi,
  }
}

/** Each face tells refusals in its own style, also those of paths that neither has. */
function inStyle(request: FastifyRequest, refusal: Refusal): object {
  const isTrueftp = request.url === TRUEFTP_BASE || request.url.startsWith(`${TRUEFTP_BASE}/`)
  return isTrueftp ? asTrueftpError(refusal, request.routeOptions?.config?.fieldNames ?? {}) : asMftplusError(refusal)
}
