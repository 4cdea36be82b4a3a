import { connect } from './client.ts'
import { type Command, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

interface AlertRow {
  id: string
  kind: string
  status: string
  webhookId: string
  message: string
  raisedAt: string
  clearedAt: string | null
}

export const alerts: Command = {
  name: 'alerts',
  summary: 'list the latest alerts: what somebody should look at',
  usage: 'alerts [--open]',
  options: { open: { type: 'boolean', meaning: 'only those that are not over' }, ...SERVER_OPTIONS },
  async run(call) {
    const client = await connect(call)
    const status = call.flags.open === true ? '&status=open' : ''
    const answer = await client.call<{ alerts: AlertRow[] }>('GET', `/api/alerts?limit=50${status}`)
    const rows = answer.alerts.map((row) => [row.raisedAt, row.clearedAt ?? 'open', row.kind, row.webhookId, row.message])
    const head = ['BEGAN', 'OVER', 'KIND', 'WEBHOOK', 'MESSAGE']
    call.terminal.out(call.json ? JSON.stringify(answer.alerts) : table(head, rows))
    return 0
  },
}
