import { Type } from '../../base/type.ts'
import { createHealth } from '../health.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { count, iso, refTo, text, time } from '../schema.ts'

const Status = Type.Enum(['pass', 'warn', 'fail'])
const Space = Type.Object({ status: Status, used: count('Bytes.'), total: count('Bytes.'), percentage: Type.Number() })

/** Bare, without the envelope: the shape of the page "Monitoring and Observability". */
export const Health = Type.Object(
  {
    status: Type.Enum(['healthy', 'degraded', 'unhealthy']),
    timestamp: time('When it was asked.'),
    uptime: count('Seconds since the start.'),
    version: text('Of this server.'),
    setup_complete: Type.Boolean({ description: 'Always true: an administrator exists from the first start.' }),
    checks: Type.Object({
      database: Type.Object({ status: Status, latency: Type.Number({ description: 'ms' }) }),
      memory: Space,
      disk: Space,
      storage: Type.Object({
        status: Status,
        undecided: count('Changes whose outcome the storage has not said; they are held and tried again.'),
      }),
    }),
    metrics: Type.Object({
      activeAgents: count('Agents online.'),
      activeTransfers: count('Transfers queued or running.'),
      pendingJobs: count('Runs under way.'),
    }),
  },
  { $id: 'Health' },
)

const docs = { tags: ['Health'], security: [] }

export function addHealthRoutes(api: Api, { health, clock, version }: ApiNeeds): void {
  const startedAt = clock.monotonic()
  const report = createHealth(health, clock)

  api.get(
    '/health',
    {
      schema: {
        ...docs,
        operationId: 'getHealth',
        summary: 'Whether the server and its parts are well; 503 when one fails',
        response: {
          200: { description: 'Well, or degraded', ...refTo(Health) },
          503: { description: 'A part fails', ...refTo(Health) },
        },
      },
    },
    async (_request, reply) => {
      const { status, checks, metrics } = await report()
      reply.code(status === 'unhealthy' ? 503 : 200)
      return {
        status,
        timestamp: iso(clock.now()),
        uptime: Math.floor((clock.monotonic() - startedAt) / 1_000),
        version,
        setup_complete: true,
        checks,
        metrics,
      }
    },
  )

  const Ready = Type.Object({ status: Type.Enum(['ready', 'not ready']) })
  api.get(
    '/health/ready',
    {
      schema: {
        ...docs,
        operationId: 'getReadiness',
        summary: 'Whether requests can be served: the database answers',
        response: { 200: { description: 'Ready', ...Ready }, 503: { description: 'Not ready', ...Ready } },
      },
    },
    async (_request, reply) => {
      const { checks } = await report()
      if (checks.database.status !== 'fail') return { status: 'ready' as const }
      reply.code(503)
      return { status: 'not ready' as const }
    },
  )

  api.get(
    '/health/live',
    {
      schema: {
        ...docs,
        operationId: 'getLiveness',
        summary: 'Whether the process answers at all',
        response: { 200: Type.Object({ status: Type.Literal('alive') }, { description: 'Alive' }) },
      },
    },
    async () => ({ status: 'alive' as const }),
  )
}
