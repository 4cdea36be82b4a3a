import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import { CATALOGUE, EVENT_TYPES } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import { PAYLOADS } from '../../events/payloads.ts'
import type { EventFilter } from '../../events/port.ts'
import { SAMPLES } from '../../events/samples.ts'
import { instantOf } from '../instant.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { anyMembers, idOf, iso, nullable, query, refTo, TEXT_CHARS_MAX, text, time } from '../schema.ts'
import { eventTypeNamed } from './deliveries.ts'
import { AfterQuery, adminRoute, envelope, NextCursor, PageQuery, Pagination, paging, said } from './shapes.ts'

export const EventShape = Type.Object(
  {
    id: idOf('event'),
    event: text('The event type.'),
    accountId: nullable(text('The account it belongs to; null: server-wide.')),
    timestamp: time('When it happened.'),
    data: anyMembers('As every webhook gets it; see /api/event-types.'),
  },
  { $id: 'Event' },
)
export const EventTypeShape = Type.Object(
  {
    event: text('The name.'),
    source: Type.Enum(['mftplus', 'trueftp', 'landfall'], { description: 'The contract it comes from.' }),
    trigger: text('What makes it happen.'),
    documented: Type.Boolean({
      description: 'Whether the contract shows the payload; otherwise it is a choice of this project.',
    }),
    schema: anyMembers('JSON Schema of `data`.'),
    sample: anyMembers('What a test delivery carries as `data`.'),
  },
  { $id: 'EventType' },
)
export const AuditShape = Type.Object(
  {
    id: idOf('entry'),
    at: time('When.'),
    accountId: nullable(text('The account concerned.')),
    actor: nullable(text('Name of the user, key or administrator.')),
    address: nullable(text('IP address of the peer; null: the server itself.')),
    door: text('sftp, ftp, api, cli or server.'),
    action: text('What was done.'),
    target: nullable(text('What it was done to.')),
    result: text('`ok`, or the code of the error.'),
    detail: nullable(text('More for the reader.')),
  },
  { $id: 'AuditEntry' },
)

export function eventShape({ id, type, accountId, occurredAt, data }: RecordedEvent): Static<typeof EventShape> {
  return { id, event: type, accountId, timestamp: iso(occurredAt), data }
}

export function addEventRoutes(api: Api, { events, audit }: ApiNeeds): void {
  api.get(
    '/event-types',
    {
      schema: adminRoute('listEventTypes', 'Events', 'Every event type: trigger, JSON Schema, sample', {
        200: envelope({ eventTypes: Type.Array(refTo(EventTypeShape)) }),
      }),
    },
    async () =>
      said({
        eventTypes: EVENT_TYPES.map((event) => ({
          event,
          ...CATALOGUE[event],
          schema: { ...PAYLOADS[event] },
          sample: SAMPLES[event],
        })),
      }),
  )

  const instant = (description: string) =>
    Type.Optional(text(`${description}; ISO 8601, such as 2026-06-08T12:00:00Z.`, { maxLength: 40 }))
  api.get(
    '/events',
    {
      schema: {
        ...adminRoute('listEvents', 'Events', 'What happened, newest first', {
          200: envelope({ events: Type.Array(refTo(EventShape)), pagination: refTo(Pagination), nextCursor: NextCursor }),
        }),
        querystring: query({
          ...PageQuery,
          ...AfterQuery,
          event: Type.Optional(text('Only of this event type.', { maxLength: TEXT_CHARS_MAX })),
          accountId: Type.Optional(idOf('account')),
          since: instant('At or after'),
          until: instant('Before'),
        }),
      },
    },
    async ({ query: { event, accountId, since, until, ...asked } }) => {
      const { request, pagination } = paging(asked)
      const filter: EventFilter = {
        ...(accountId === undefined ? {} : { accountId }),
        ...(event === undefined ? {} : { types: [eventTypeNamed(event)] }),
        ...(since === undefined ? {} : { since: instantOf('since', since) }),
        ...(until === undefined ? {} : { until: instantOf('until', until) }),
      }
      const { rows, total, next = null } = await events.listEvents(filter, request)
      return said({ events: rows.map(eventShape), pagination: pagination(total), nextCursor: next })
    },
  )

  const Word = (what: string) => Type.Optional(text(what, { minLength: 1, maxLength: TEXT_CHARS_MAX }))
  api.get(
    '/audit',
    {
      schema: {
        ...adminRoute('listAudit', 'Audit', 'Who did what, from where, with what result; newest first', {
          200: envelope({ entries: Type.Array(refTo(AuditShape)), pagination: refTo(Pagination), nextCursor: NextCursor }),
        }),
        querystring: query({
          ...PageQuery,
          ...AfterQuery,
          accountId: Type.Optional(idOf('account')),
          actor: Word('Only by this actor.'),
          action: Word('Only this action.'),
        }),
      },
    },
    async ({ query: { accountId, actor, action, ...asked } }) => {
      const { request, pagination } = paging(asked)
      const filter = { ...(accountId && { accountId }), ...(actor && { actor }), ...(action && { action }) }
      const { rows, total, next = null } = await audit.listAudit(filter, request)
      const entries = rows.map(({ at, ...entry }) => ({ ...entry, at: iso(at) }))
      return said({ entries, pagination: pagination(total), nextCursor: next })
    },
  )
}
