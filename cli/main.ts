import { AppError } from '../src/base/error.ts'
import { nearest } from '../src/base/nearest.ts'
import { type Call, type Command, CommandError, helpOf, parseCall } from './command.ts'
import { inFlags } from './in-flags.ts'
import { paint, terminal } from './terminal.ts'

/** Loads the commands of one first word. Only what is called is loaded, so that the server and the other commands start at once. */
type Load = () => Promise<Command | readonly Command[]>

/** Commands by their first word, under the heading of `--help`; several of one first word are told apart by the second. */
const GROUPS: Readonly<Record<string, Readonly<Record<string, Load>>>> = {
  Server: {
    serve: async () => (await import('./serve.ts')).serve,
    demo: async () => (await import('./demo.ts')).demo,
    'master-key': async () => (await import('./master-key.ts')).masterKey,
  },
  'Accounts and who may do what': {
    account: async () => (await import('./account.ts')).account,
    user: async () => (await import('./user.ts')).user,
    key: async () => (await import('./key.ts')).key,
    token: async () => (await import('./token.ts')).token,
  },
  Webhooks: {
    webhook: async () => [...(await import('./webhook.ts')).webhook, ...(await import('./replay.ts')).recoveryCommands],
    reconcile: async () => (await import('./reconcile.ts')).reconcile,
    alerts: async () => (await import('./alerts.ts')).alerts,
  },
  'Agents, transfers and jobs': {
    agent: async () => [
      (await import('./agent-enroll.ts')).agentEnroll,
      (await import('./agent-run.ts')).agentRun,
      ...(await import('./agent.ts')).agent,
    ],
    remote: async () => (await import('./remote.ts')).remote,
    transfer: async () => (await import('./transfer.ts')).transfer,
    job: async () => (await import('./job.ts')).job,
  },
  'For those who develop receivers': {
    listen: async () => (await import('./listen.ts')).listen,
    trigger: async () => (await import('./trigger.ts')).trigger,
    doctor: async () => (await import('./doctor.ts')).doctor,
    'explain-signature': async () => (await import('./explain-signature.ts')).explainSignature,
  },
}
const COMMANDS: Readonly<Record<string, Load>> = Object.assign({}, ...Object.values(GROUPS))

/** No name is longer: what is longer is compared by its begin. */
const NAME_CHARACTERS_MAX = 64
/** `webhook cancel-replay` and more. */
const NAME_WIDTH = 22

/** Runs one command; the process ends with its status: 0 done, 1 failed, 2 the call is wrong. */
export async function main(args: readonly string[]): Promise<void> {
  process.stdout.on('error', endsWithReader)
  try {
    const family = await familyOf(args)
    if (family !== undefined) return terminal.out(`${listOf(family)}\n\nEach takes --help and --json.`)
    const { command, rest } = await find(args)
    if (command === undefined) {
      terminal.out(await overview())
      return
    }
    const call = parseCall(command, rest, terminal)
    if (call === 'help') terminal.out(helpOf(command))
    else process.exitCode = await ran(command, call)
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof AppError)) throw error
    terminal.note(`${paint(terminal, 'red', 'landfall:')} ${error.message}`)
    process.exitCode = error instanceof CommandError ? 2 : 1
  }
}

async function ran(command: Command, call: Call): Promise<number> {
  try {
    return await command.run(call)
  } catch (error) {
    throw inFlags(error, command, call.flags)
  }
}

/** Whoever reads may have seen enough (`… | head`): that ends a command without a word. */
function endsWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit()
}

/** The command that these arguments begin with, and what is left for it. */
export async function find(args: readonly string[]): Promise<{ command?: Command; rest: readonly string[] }> {
  const [first, second] = args
  if (first === undefined || first === '--help' || first === 'help') return { rest: [] }
  const found = await commandsOf(first)
  if (found === undefined) {
    const like = nearest(first.slice(0, NAME_CHARACTERS_MAX), Object.keys(COMMANDS))
    const hint = like === undefined ? '' : `did you mean ${like}? `
    throw new CommandError(`no command ${first}: ${hint}\`landfall --help\` lists them`)
  }
  if ('run' in found) return { command: found, rest: args.slice(1) }
  const command = found.find((one) => [one.name, ...(one.aliases ?? [])].includes(`${first} ${second}`))
  if (command === undefined) {
    const names = found.map((one) => one.name.split(' ')[1]).join(', ')
    throw new CommandError(`landfall ${first} takes one of: ${names}`)
  }
  return { command, rest: args.slice(2) }
}

/** `landfall webhook --help`: all that begin with the word. */
async function familyOf([first = '', second]: readonly string[]): Promise<readonly Command[] | undefined> {
  if (second !== '--help') return undefined
  const found = await commandsOf(first)
  return found === undefined || 'run' in found ? undefined : found
}

async function commandsOf(first: string): Promise<Command | readonly Command[] | undefined> {
  return Object.hasOwn(COMMANDS, first) ? COMMANDS[first]!() : undefined
}

async function overview(): Promise<string> {
  const groups = Object.entries(GROUPS).map(async ([title, loads]) => {
    const commands = await Promise.all(Object.values(loads).map((load) => load()))
    return `${paint(terminal, 'bold', title)}\n${listOf(commands.flat())}`
  })
  const title = 'landfall: managed file transfer whose webhooks cannot lose an event'
  return [title, ...(await Promise.all(groups)), 'Each takes --help and --json.'].join('\n\n')
}

function listOf(commands: readonly Command[]): string {
  return commands.map(({ name, summary }) => `  ${name.padEnd(NAME_WIDTH)} ${summary}`).join('\n')
}
