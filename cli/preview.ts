import { connect } from './client.ts'
import { type Command, listOf, many, optional, SERVER_OPTIONS } from './command.ts'
import { filterOf } from './filter-flags.ts'
import { table } from './terminal.ts'

interface Previewed {
  eventId: string
  event: string
  timestamp: string
  wouldSend: boolean
  reason: string | null
  request: { url: string; headers: Record<string, string>; body: string } | null
}

export const preview: Command = {
  name: 'webhook preview',
  summary: 'show what a webhook would send of the events recorded last, and why not of the rest',
  usage: 'webhook preview ID [--limit 20] [--filter data.path=/in/**] [--dialect NAME] [--requests]',
  options: {
    limit: { type: 'string', meaning: 'events looked at, at most 200 (default 20)' },
    filter: { type: 'string', multiple: true, meaning: 'another filter, tried and not stored; see `webhook update --help`' },
    events: { type: 'string', meaning: 'other event types, separated by commas' },
    dialect: { type: 'string', meaning: 'another dialect' },
    requests: { type: 'boolean', meaning: 'print the whole requests' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const [limit, filter] = [optional(call, 'limit'), many(call, 'filter')]
    const client = await connect(call)
    const answer = await client.call<{ considered: number; wouldSend: number; events: Previewed[] }>(
      'POST',
      `/api/webhooks/${encodeURIComponent(call.words[0]!)}/preview`,
      {
        limit: limit === undefined ? undefined : Number(limit),
        filter: filter.length === 0 ? undefined : filterOf(filter),
        events: listOf(optional(call, 'events')),
        dialect: optional(call, 'dialect'),
      },
    )
    if (call.json) {
      call.terminal.out(JSON.stringify(answer))
      return 0
    }
    const rows = answer.events.map(({ timestamp, event, eventId, wouldSend, reason }) => [
      ...[timestamp, event, eventId, wouldSend ? 'yes' : 'no', reason ?? ''],
    ])
    call.terminal.out(table(['TIME', 'EVENT', 'ID', 'SENT', 'WHY NOT'], rows))
    call.terminal.out(`${answer.wouldSend} of ${answer.considered} would be sent`)
    if (call.flags.requests === true)
      for (const event of answer.events) if (event.request !== null) call.terminal.out(httpOf(event.request))
    return 0
  },
}

/** As it stands on the wire, for people. */
function httpOf({ url, headers, body }: NonNullable<Previewed['request']>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `\nPOST ${url}\n${lines.join('\n')}\n\n${body}`
}
