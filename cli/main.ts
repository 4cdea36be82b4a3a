import { AppError } from '../src/base/error.ts'
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

/** Commands by their first word; a group has subcommands by the second. */
const COMMANDS: Readonly<Record<string, Command | readonly Command[]>> = {
  serve,
  demo,
  account,
  user,
  key,
  token,
  'master-key': masterKey,
  webhook: [...webhook, ...recoveryCommands],
  reconcile,
  alerts,
  listen,
  trigger,
  doctor,
  'explain-signature': explainSignature,
}

/** Runs one command; the process ends with its status: 0 done, 1 failed, 2 the call is wrong. */
export async function main(args: readonly string[]): Promise<void> {
  try {
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

/** The command that these arguments begin with, and what is left for it. */
export function find(args: readonly string[]): { command?: Command; rest: readonly string[] } {
  const [first, second] = args
  if (first === undefined || first === '--help' || first === 'help') return { rest: [] }
  const found = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  if (found === undefined) throw new CommandError(`no command ${first}: \`landfall --help\` lists them`)
  if (!Array.isArray(found)) return { command: found as Command, rest: args.slice(1) }
  const command = found.find((one: Command) => [one.name, ...(one.aliases ?? [])].includes(`${first} ${second}`))
  if (command === undefined) {
    const names = found.map((one: Command) => one.name.split(' ')[1]).join(', ')
    throw new CommandError(`landfall ${first} takes one of: ${names}`)
  }
  return { command, rest: args.slice(2) }
}

function overview(): string {
  const commands = Object.values(COMMANDS).flat() as Command[]
  const lines = commands.map((command) => `  ${command.name.padEnd(22)} ${command.summary}`)
  return `landfall: managed file transfer whose webhooks cannot lose an event\n\n${lines.join('\n')}\n\nEach takes --help and --json.`
}
