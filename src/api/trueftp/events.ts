import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import { EVENT_TYPES } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { anyMembers, idOf, iso, query, refTo, text, time } from '../schema.ts'
import { accountOf, keyRoute, LongQuery, longListOf, pageOf } from './shapes.ts'

export const FileEventShape = Type.Object(
  {
    id: idOf('event'),
    event: text('The event type.'),
    timestamp: time('When it happened.'),
    account_id: idOf('account'),
    data: anyMembers('As webhooks get it: path, size, username, client_ip, …'),
  },
  { $id: 'FileEvent' },
)

/** "File-operation events" (REST API reference). */
const FILE_EVENT_TYPES = EVENT_TYPES.filter((type) => /^(file|dir)\./.test(type))

export function addEventRoute(api: Api, { events }: ApiNeeds): void {
  api.get(
    '/events',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('listFileEvents', 'File events', 'File operations, newest first', 'read', {
          200: longListOf(refTo(FileEventShape)),
        }),
        querystring: query(LongQuery),
      },
    },
    async ({ query: asked, caller }) => {
      const accountId = accountOf(caller)
      const { rows, total, next = null } = await events.listEvents({ accountId, types: FILE_EVENT_TYPES }, pageOf(asked))
      return { data: rows.map((event) => fileEventShape(event, accountId)), total, next_cursor: next }
    },
  )
}

export function fileEventShape({ id, type, occurredAt, data }: RecordedEvent, accountId: string): Static<typeof FileEventShape> {
  return { id, event: type, timestamp: iso(occurredAt), account_id: accountId, data }
}
