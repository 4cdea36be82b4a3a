import { AppError } from '../src/base/error.ts'
import { nearest } from '../src/base/nearest.ts'
import { account } from './account.ts'
import { alerts } from './alerts.ts'
import { type Command, CommandError, helpOf, parseCall } from './command.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { explainSignature } from './explain-signature.ts'
import { key } from './key.ts'
import { listen } from './listen.ts'
import { masterKey } from './master-key.ts'
import { reconcile } from './reconcile.ts'
import { recoveryCommands } from './replay.ts'
import { serve } from './serve.ts'
import { paint, terminal } from './terminal.ts'
import { token } from './token.ts'
import { trigger } from './trigger.ts'
import { user } from './user.ts'
import { webhook } from './webhook.ts'

/** Commands by their first word, under the heading of `--help`; several of one first word are told apart by the second. */
const GROUPS: Readonly<Record<string, Readonly<Record<string, Command | readonly Command[]>>>> = {
  Server: { serve, demo, 'master-key': masterKey },
  'Accounts and who may do what': { account, user, key, token },
  Webhooks: { webhook: [...webhook, ...recoveryCommands], reconcile, alerts },
  'For those who develop receivers': { listen, trigger, doctor, 'explain-signature': explainSignature },
}
const COMMANDS = Object.assign({}, ...Object.values(GROUPS)) as (typeof GROUPS)[string]

/** No name is longer: what is longer is compared by its begin. */
const NAME_CHARACTERS_MAX = 64
/** `webhook cancel-replay` and more. */
const NAME_WIDTH = 22

/** Runs one command; the process ends with its status: 0 done, 1 failed, 2 the call is wrong. */
export async function main(args: readonly string[]): Promise<void> {
  process.stdout.on('error', endsWithReader)
  try {
    const family = familyOf(args)
    if (family !== undefined) return terminal.out(`${listOf(family)}\n\nEach takes --help and --json.`)
    const { command, rest } = find(args)
    if (command === undefined) {
      terminal.out(overview())
      return
    }
    const call = parseCall(command, rest, terminal)
    if (call === 'help') terminal.out(helpOf(command))
    else process.exitCode = await command.run(call)
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof AppError)) throw error
    terminal.note(`${paint(terminal, 'red', 'landfall:')} ${error.message}`)
    process.exitCode = error instanceof CommandError ? 2 : 1
  }
}

/** Whoever reads may have seen enough (`… | head`): that ends a command without a word. */
function endsWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit()
}

/** The command that these arguments begin with, and what is left for it. */
export function find(args: readonly string[]): { command?: Command; rest: readonly string[] } {
  const [first, second] = args
  if (first === undefined || first === '--help' || first === 'help') return { rest: [] }
  const found = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  if (found === undefined) {
    const like = nearest(first.slice(0, NAME_CHARACTERS_MAX), Object.keys(COMMANDS))
    const hint = like === undefined ? '' : `did you mean ${like}? `
    throw new CommandError(`no command ${first}: ${hint}\`landfall --help\` lists them`)
  }
  if (!Array.isArray(found)) return { command: found as Command, rest: args.slice(1) }
  const command = found.find((one: Command) => [one.name, ...(one.aliases ?? [])].includes(`${first} ${second}`))
  if (command === undefined) {
    const names = found.map((one: Command) => one.name.split(' ')[1]).join(', ')
    throw new CommandError(`landfall ${first} takes one of: ${names}`)
  }
  return { command, rest: args.slice(2) }
}

/** `landfall webhook --help`: all that begin with the word. */
function familyOf([first = '', second]: readonly string[]): readonly Command[] | undefined {
  const found = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  return Array.isArray(found) && second === '--help' ? found : undefined
}

function overview(): string {
  const groups = Object.entries(GROUPS).map(([title, commands]) => {
    return `${paint(terminal, 'bold', title)}\n${listOf(Object.values(commands).flat())}`
  })
  const title = 'landfall: managed file transfer whose webhooks cannot lose an event'
  return [title, ...groups, 'Each takes --help and --json.'].join('\n\n')
}

function listOf(commands: readonly Command[]): string {
  return commands.map(({ name, summary }) => `  ${name.padEnd(NAME_WIDTH)} ${summary}`).join('\n')
}
