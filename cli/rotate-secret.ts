import { connect } from './client.ts'
import { type Command, optional, SERVER_OPTIONS } from './command.ts'
import { durationSeconds } from './duration.ts'
import { readPassword } from './stdin.ts'

export const rotateSecret: Command = {
  name: 'webhook rotate-secret',
  summary: 'replace the secret of a webhook; the one before counts for a while',
  usage: 'webhook rotate-secret ID [--overlap 24h] [--secret-stdin]',
  options: {
    overlap: {
      type: 'string',
      member: 'overlapSeconds',
      meaning: 'how long the secret before still counts: 90s, 30m, 7d, or 0 (default 24h)',
    },
    'secret-stdin': { type: 'boolean', member: 'secret', meaning: 'read the new secret from standard input; else one is made' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const overlap = optional(call, 'overlap')
    const body = {
      overlapSeconds: overlap === undefined ? undefined : durationSeconds('overlap', overlap),
      secret: call.flags['secret-stdin'] === true ? await readPassword() : undefined,
    }
    const client = await connect(call)
    const path = `/api/webhooks/${encodeURIComponent(call.words[0]!)}/rotate-secret`
    const answer = await client.call<{ secret?: string; cutOverAt: string; note: string }>('POST', path, body)
    const { secret, cutOverAt, note } = answer
    if (call.json) call.terminal.out(JSON.stringify({ id: call.words[0], secret, cutOverAt, note }))
    else {
      if (secret !== undefined) call.terminal.out(`new signing secret, not shown again: ${secret}`)
      call.terminal.out(note)
    }
    return 0
  },
}
