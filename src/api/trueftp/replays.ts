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
import { FileEventShape, fileEventShape } from './events.ts'
import { accountOf, keyRoute, listOf, OffsetQuery, pageOf } from './shapes.ts'

export const TrueftpReplayShape = Type.Object(
  {
    id: idOf('replay'),
    webhook_id: idOf('webhook'),
    state: stateShown,
    matched: matchedShown,
    is_counted: isCountedShown,
    ...countsShown,
    request: Type.Object({ ...rangeShown, event_ids: idsShown, rate_per_second: rateShown }),
    created_at: time('When it was made.'),
    ended_at: nullable(time('When it was done or cancelled.')),
  },
  { $id: 'TrueFtpReplay' },
)

function replayShape(replay: ReplayProgress): Static<typeof TrueftpReplayShape> {
  const { id, state, matched, planned, waiting, delivered, failed, cancelled } = replay
  const { since, until, events, path, only, eventIds, ratePerSecond } = replay.request
  return {
    ...{ id, webhook_id: replay.webhookId, state, matched, is_counted: replay.isCounted, planned },
    ...{ waiting, delivered, failed, cancelled },
    request: {
      ...{ since: iso(since), until: iso(until), events: events && [...events], path, only },
      ...{ event_ids: eventIds && [...eventIds], rate_per_second: ratePerSecond },
    },
    created_at: iso(replay.createdAt),
    ended_at: isoOrNull(replay.endedAt),
  }
}

const ReplayBody = body({
  ...rangeAsked('event_ids'),
  event_ids: idsAsked,
  dry_run: dryRunAsked,
  rate_per_second: rateAsked,
})

/** From the names of this face to ours; what is absent stays absent. */
function inputOf(given: Static<typeof ReplayBody>): ReplayInput {
  const { since, until, event_ids: eventIds, dry_run: dryRun, rate_per_second: ratePerSecond, ...same } = given
  return {
    ...same,
    ...timesOf({ since, until }),
    ...(eventIds === undefined ? {} : { eventIds }),
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  }
}

export function addReplayRoutes(api: Api, { recovery: { replays } }: ApiNeeds): void {
  const tag = 'Account recovery'
  const byId = params({ id: idOf('webhook') })
  const byIds = params({ id: idOf('webhook'), replay_id: idOf('replay') })
  const One = refTo(TrueftpReplayShape)
  const counted = {
    planned: count('Events that will be sent.'),
    is_counted: Type.Boolean({ description: 'False: at least so many, the count was cut.' }),
    warning: Type.Optional(text('What should be known although it was accepted.')),
  }

  api.post(
    '/webhooks/:id/replay',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute(
          'replayAccountWebhook',
          tag,
          'Send stored events again: by time, type, path and outcome',
          'write',
          {
            200: Type.Object({ ...counted, sample: Type.Array(refTo(FileEventShape), { description: 'The first of them.' }) }),
            202: Type.Object({ ...counted, replay: One }),
          },
          [404, 409],
        ),
        params: byId,
        body: ReplayBody,
      },
    },
    async ({ params: { id }, body: input, caller }, reply) => {
      const { planned, isCounted, sample, replay, warning } = await replays.replay(id, inputOf(input), caller)
      const told = { planned, is_counted: isCounted, ...(warning === null ? {} : { warning }) }
      if (replay === null) return { ...told, sample: sample.map((event) => fileEventShape(event, accountOf(caller))) }
      reply.code(202)
      return { ...told, replay: replayShape(replay) }
    },
  )

  api.get(
    '/webhooks/:id/replays',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'listAccountReplays',
          tag,
          'List the replays of a webhook, newest first',
          'read',
          { 200: listOf(One) },
          [404],
        ),
        params: byId,
        querystring: query(OffsetQuery),
      },
    },
    async ({ params: { id }, query: asked, caller }) => {
      const { rows, total } = await replays.list(id, pageOf(asked), caller)
      return { data: rows.map(replayShape), total }
    },
  )

  api.get(
    '/webhooks/:id/replays/:replay_id',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('getAccountReplay', tag, 'Get a replay and how far it is', 'read', { 200: One }, [404]),
        params: byIds,
      },
    },
    async ({ params: { id, replay_id }, caller }) => replayShape(await replays.get(id, replay_id, caller)),
  )

  api.post(
    '/webhooks/:id/replays/:replay_id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute(
          'cancelAccountReplay',
          tag,
          'Cancel a replay and what it has planned; what is under way ends',
          'write',
          { 200: One },
          [404, 409],
        ),
        params: byIds,
      },
    },
    async ({ params: { id, replay_id }, caller }) => replayShape(await replays.cancel(id, replay_id, caller)),
  )
}
