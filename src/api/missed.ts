import { Type } from '../base/type.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import type { ApiNeeds } from './needs.ts'
import { anyMembers, count, iso, text, time } from './schema.ts'

const missed = {
  since: time('When it was turned off, or before that the time of the event whose delivery turned it off.'),
  events: count('Events that it would have got and did not; they are not sent by themselves.'),
  replay: Type.Object(
    { method: Type.Literal('POST'), path: text('Path of the request.'), body: anyMembers('Body of the request.') },
    { description: 'The request that sends them.' },
  ),
}
const description = 'What it missed; only in the answer that made a webhook active which was not.'
const isCounted = Type.Boolean({ description: 'False: at least so many, the count was cut.' })

export const MftplusMissed = Type.Object({ ...missed, isCounted }, { description })
export const TrueftpMissed = Type.Object({ ...missed, is_counted: isCounted }, { description })

/** What a webhook missed while it was off, with the request of the face under `base` that would send it; null where it was not. */
export async function missedBy({ recovery }: Pick<ApiNeeds, 'recovery'>, before: Webhook, after: Webhook, base: string) {
  const found = await recovery.replays.missed(before, after)
  if (found === null) return null
  const { since, until, events, isCounted } = found
  const body = { since: iso(since), until: iso(until), only: 'missing' }
  const replay = { method: 'POST' as const, path: `${base}/webhooks/${after.id}/replay`, body }
  return { missed: { since: iso(since), events, replay }, isCounted }
}
