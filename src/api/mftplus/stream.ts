import { Type } from '../../base/type.ts'
import { bearerToken } from '../auth.ts'
import { STREAM_DESCRIPTION, StreamAnswer, StreamQuery, streamEvents } from '../event-stream.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { query, text } from '../schema.ts'
import { eventShape } from './events.ts'
import { adminRoute } from './shapes.ts'

export function addStreamRoute(api: Api, needs: ApiNeeds): void {
  const { accounts } = needs
  api.get(
    '/events/stream',
    {
      schema: {
        ...adminRoute('streamEvents', 'Events', 'What happens, live', { 200: StreamAnswer }, [404, 409]),
        description: STREAM_DESCRIPTION,
        querystring: query({
          ...StreamQuery,
          account: Type.Optional(text('Only of this account, by id or slug.', { minLength: 1, maxLength: 64 })),
        }),
      },
    },
    async (request, reply) => {
      const { account, ...asked } = request.query
      const accountId = account === undefined ? null : (await accounts.getAccount(request.caller, account)).id
      const token = bearerToken(request.headers.authorization) ?? ''
      const stillAllowed = async () => (await accounts.findAdminToken(token)) !== undefined
      await streamEvents(request, reply, needs, { query: asked, accountId, shape: eventShape, stillAllowed })
    },
  )
}
