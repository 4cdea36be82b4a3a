import { connect } from './client.ts'
import { type Command, SERVER_OPTIONS } from './command.ts'
import { paint, printable, type Terminal } from './terminal.ts'

interface Report {
  readonly url: string
  readonly checks: readonly { name: string; outcome: Outcome; says: string; remedy: string | null }[]
  readonly tls: { chain: readonly { subject: string; issuer: string; validTo: string }[] } | null
}

type Outcome = 'ok' | 'warning' | 'problem' | 'skipped'

/** Nine probes, each inside the deadline of its dialect. */
const EXAMINATION_MS_MAX = 180_000

const MARKS: Readonly<Record<Outcome, readonly [mark: string, style: 'green' | 'yellow' | 'red' | 'dim']>> = {
  ok: ['ok', 'green'],
  warning: ['warning', 'yellow'],
  problem: ['problem', 'red'],
  skipped: ['skipped', 'dim'],
}

const TITLES: Readonly<Record<string, string>> = {
  tls: 'TLS',
  genuine: 'Genuine request',
  bad_signature: 'Bad signature',
  changed_body: 'Changed body',
  old_timestamp: 'Old timestamp',
  duplicate: 'Same id twice',
  latency: 'Latency',
}

export const doctor: Command = {
  name: 'doctor',
  summary: 'probe the receiver of a webhook: TLS, forged requests, duplicates, latency',
  usage: 'doctor WEBHOOK_ID',
  words: { min: 1, max: 1 },
  options: SERVER_OPTIONS,
  /** 0: nothing to mend; 1: something is. */
  async run(call) {
    const client = await connect(call)
    if (!call.json) call.terminal.note('sending about ten samples to the receiver …')
    const path = `/api/webhooks/${encodeURIComponent(call.words[0]!)}/doctor`
    const { report } = await client.call<{ report: Report }>('POST', path, undefined, EXAMINATION_MS_MAX)
    call.terminal.out(call.json ? JSON.stringify(report) : pageOf(report, call.terminal))
    return report.checks.some(({ outcome }) => outcome === 'problem') ? 1 : 0
  },
}

function pageOf({ url, checks, tls }: Report, terminal: Terminal): string {
  const lines = checks.flatMap(({ name, outcome, says, remedy }) => {
    const [mark, style] = MARKS[outcome]
    const head = `${paint(terminal, style, mark.padEnd(8))} ${(TITLES[name] ?? name).padEnd(16)} ${printable(says)}`
    return remedy === null ? [head] : [head, `${' '.repeat(26)}→ ${remedy}`]
  })
  const chain = tls?.chain.map(
    ({ subject, issuer, validTo }) =>
      `${' '.repeat(26)}${printable(subject)}, by ${printable(issuer)}, until ${validTo.slice(0, 10)}`,
  )
  const [first, ...rest] = lines
  return [paint(terminal, 'bold', `Receiver at ${printable(url)}`), '', first, ...(chain ?? []), ...rest].join('\n')
}
