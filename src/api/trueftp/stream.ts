import { bearerToken } from '../auth.ts'
import { STREAM_DESCRIPTION, StreamAnswer, StreamQuery, streamEvents } from '../event-stream.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { query } from '../schema.ts'
import { fileEventShape } from './events.ts'
import { accountOf, keyRoute } from './shapes.ts'

export function addStreamRoute(api: Api, needs: ApiNeeds): void {
  const { accounts } = needs
  const route = keyRoute('streamAccountEvents', 'File events', 'What happens in the account, live', 'read', { 200: StreamAnswer }, [404, 409]) // biome-ignore format: one line
  api.get(
    '/events/stream',
    {
      config: { scope: 'read' },
      schema: { ...route, description: `${route.description} ${STREAM_DESCRIPTION}`, querystring: query(StreamQuery) },
    },
    async (request, reply) => {
      const accountId = accountOf(request.caller)
      const token = bearerToken(request.headers.authorization) ?? ''
      const stillAllowed = async () => (await accounts.findApiKey(token))?.scopes.includes('read') === true
      const shape = (event: Parameters<typeof fileEventShape>[0]) => fileEventShape(event, accountId)
      await streamEvents(request, reply, needs, { query: request.query, accountId, shape, stillAllowed })
    },
  )
}
