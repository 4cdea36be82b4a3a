import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import type { ReplayInput } from '../../webhooks/recovery/replay.ts'
import type { ReplayProgress } from '../../webhooks/recovery/replay-port.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import {
  countsShown,
  dryRunAsked,
  idsAsked,
  idsShown,
  isCountedShown,
  matchedShown,
  rangeAsked,
  rangeShown,
  rateAsked,
  rateShown,
  stateShown,
  timesOf,
} from '../replays.ts'
import { body, count, idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { EventShape, eventShape } from './events.ts'
import { adminRoute, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

export const ReplayShape = Type.Object(
  {
    id: idOf('replay'),
    webhookId: idOf('webhook'),
    state: stateShown,
    matched: matchedShown,
    isCounted: isCountedShown,
    ...countsShown,
    request: Type.Object({ ...rangeShown, eventIds: idsShown, ratePerSecond: rateShown }),
    createdAt: time('When it was made.'),
    endedAt: nullable(time('When it was done or cancelled.')),
  },
  { $id: 'Replay' },
)

export function replayShape({
  accountId: _account,
  request,
  createdAt,
  endedAt,
  ...same
}: ReplayProgress): Static<typeof ReplayShape> {
  const { events, eventIds, since, until } = request
  const lists = { events: events && [...events], eventIds: eventIds && [...eventIds] }
  return {
    ...same,
    request: { ...request, ...lists, since: iso(since), until: iso(until) },
    createdAt: iso(createdAt),
    endedAt: isoOrNull(endedAt),
  }
}

const ReplayBody = body({
  ...rangeAsked('eventIds'),
  eventIds: idsAsked,
  dryRun: dryRunAsked,
  ratePerSecond: rateAsked,
})

function inputOf({ since, until, ...same }: Static<typeof ReplayBody>): ReplayInput {
  return { ...same, ...timesOf({ since, until }) }
}

export function addReplayRoutes(api: Api, { recovery: { replays } }: ApiNeeds): void {
  const byId = params({ id: idOf('webhook') })
  const byIds = params({ id: idOf('webhook'), replayId: idOf('replay') })
  const counted = {
    planned: count('Events that will be sent.'),
    isCounted: Type.Boolean({ description: 'False: at least so many, the count was cut.' }),
    warning: Type.Optional(text('What should be known although it was accepted.')),
  }
  const One = envelope({ replay: refTo(ReplayShape) })

  api.post(
    '/webhooks/:id/replay',
    {
      schema: {
        ...adminRoute(
          'replayWebhook',
          'Recovery',
          'Send stored events again: by time, type, path and outcome',
          {
            200: envelope({ ...counted, sample: Type.Array(refTo(EventShape), { description: 'The first of them.' }) }),
            202: envelope({ ...counted, replay: refTo(ReplayShape) }),
          },
          [403, 404, 409],
        ),
        description:
          'Within the scope, the subscriptions and the filter of the webhook. Sent at the given rate, behind live events.',
        params: byId,
        body: ReplayBody,
      },
    },
    async ({ params: { id }, body: input, caller }, reply) => {
      const { planned, isCounted, sample, replay, warning } = await replays.replay(id, inputOf(input), caller)
      const told = { planned, isCounted, ...(warning === null ? {} : { warning }) }
      if (replay === null) return said({ ...told, sample: sample.map(eventShape) })
      reply.code(202)
      return said({ ...told, replay: replayShape(replay) })
    },
  )

  api.get(
    '/webhooks/:id/replays',
    {
      schema: {
        ...adminRoute(
          'listReplays',
          'Recovery',
          'List the replays of a webhook, newest first',
          { 200: envelope({ replays: Type.Array(refTo(ReplayShape)), pagination: refTo(Pagination) }) },
          [404],
        ),
        params: byId,
        querystring: query(PageQuery),
      },
    },
    async ({ params: { id }, query: asked, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await replays.list(id, request, caller)
      return said({ replays: rows.map(replayShape), pagination: pagination(total) })
    },
  )

  api.get(
    '/webhooks/:id/replays/:replayId',
    { schema: { ...adminRoute('getReplay', 'Recovery', 'Get a replay and how far it is', { 200: One }, [404]), params: byIds } },
    async ({ params: { id, replayId }, caller }) => said({ replay: replayShape(await replays.get(id, replayId, caller)) }),
  )

  api.post(
    '/webhooks/:id/replays/:replayId/cancel',
    {
      schema: {
        ...adminRoute(
          'cancelReplay',
          'Recovery',
          'Cancel a replay and what it has planned; what is under way ends',
          { 200: One },
          [404, 409],
        ),
        params: byIds,
      },
    },
    async ({ params: { id, replayId }, caller }) => said({ replay: replayShape(await replays.cancel(id, replayId, caller)) }),
  )
}
