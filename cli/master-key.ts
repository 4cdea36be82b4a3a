import { connect } from './client.ts'
import { type Command, SERVER_OPTIONS } from './command.ts'

interface Rotated {
  made: boolean
  resealed: number
  unreadable: string[]
  next: string | null
}

const rotate: Command = {
  name: 'master-key rotate',
  summary: 'seal every stored secret anew under a new master key, while the server runs',
  usage: 'master-key rotate',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const answer = await client.call<Rotated>('POST', '/api/master-key/rotate')
    if (call.json) call.terminal.out(JSON.stringify(answer))
    else {
      call.terminal.out(
        `${answer.made ? 'a new master key was made; ' : ''}secrets of ${answer.resealed} webhooks, remotes and authorities are sealed anew`,
      )
      for (const id of answer.unreadable) call.terminal.note(`${id}: a secret opens under no key; give it again`)
      if (answer.next !== null) call.terminal.note(`next: ${answer.next}`)
    }
    return answer.unreadable.length === 0 ? 0 : 1
  },
}

export const masterKey = [rotate]
