import type { Enrolled } from '../agent/enroll.ts'
import { VERSION } from '../src/app/version.ts'
import { type Call, type Command, CommandError, many, optional, required } from './command.ts'
import { readPassword } from './stdin.ts'

export const AGENT_FOLDER = './landfall-agent'

export const agentEnroll: Command = {
  name: 'agent enroll',
  summary: 'make this machine an agent of a server: key, certificate, pinned authority',
  usage: 'agent enroll --server URL (--token T | --token-stdin) [--folder F] [--name N] [--root DIR …]',
  options: {
    server: { type: 'string', meaning: 'url of the HTTP API of the server' },
    token: { type: 'string', meaning: 'enrolment token (`landfall agent token create`), or one of an administrator' },
    'token-stdin': {
      type: 'boolean',
      meaning: 'read the token from standard input: other users of this machine see the arguments',
    },
    folder: { type: 'string', meaning: `folder of the agent: key, certificate, state (default ${AGENT_FOLDER})` },
    name: { type: 'string', meaning: 'its name on the server (default: the name of this machine)' },
    root: {
      type: 'string',
      multiple: true,
      meaning: 'folder that transfers may read and write, may be repeated (default: `files` in its folder)',
    },
    force: { type: 'boolean', meaning: 'enrol as a new agent, though the folder is enrolled' },
    insecure: { type: 'boolean', meaning: 'send the token in clear over http' },
  },
  async run(call) {
    const server = required(call, 'server')
    const token = await tokenOf(call)
    const folder = optional(call, 'folder') ?? AGENT_FOLDER
    // Loaded here, so that the other commands start at once.
    const { enrol } = await import('../agent/enroll.ts')
    const enrolled = await enrol({
      ...{ server, token, folder, version: VERSION, roots: many(call, 'root'), name: optional(call, 'name') },
      ...{ isForced: call.flags.force === true, isInsecure: call.flags.insecure === true },
    })
    call.terminal.out(call.json ? JSON.stringify(factsOf(enrolled)) : story(enrolled, folder, optional(call, 'name')))
    return 0
  },
}

async function tokenOf(call: Call): Promise<string> {
  const isPiped = call.flags['token-stdin'] === true
  if (isPiped && optional(call, 'token') !== undefined) throw new CommandError('--token or --token-stdin, not both')
  const token = isPiped ? (await readPassword('--token-stdin')).trim() : required(call, 'token')
  if (token === '') throw new CommandError('the token is empty')
  return token
}

function factsOf({ facts: { id, name, server, agents, roots }, certificateEndsAt, vouchedBy, wasEnrolled }: Enrolled): object {
  return { id, name, server, agents, roots, certificateEndsAt: new Date(certificateEndsAt).toISOString(), vouchedBy, wasEnrolled }
}

const VOUCHERS = {
  token: 'the token, which names its authority',
  tls: 'the TLS certificate of its url: an admin token names no authority',
  loopback: 'the connection, which did not leave this machine',
} as const

function story(enrolled: Enrolled, folder: string, asked: string | undefined): string {
  const { facts, certificateEndsAt, vouchedBy, wasEnrolled } = enrolled
  const isNameKept = asked !== undefined && asked !== facts.name
  return [
    `${wasEnrolled ? 'enrolled before' : 'enrolled'} as ${facts.name} (${facts.id}) at ${facts.server}`,
    ...(isNameKept
      ? [`  name          as the server has it; to change it there: landfall agent rename ${facts.id} ${JSON.stringify(asked)}`]
      : []),
    `  agent port    ${facts.agents}`,
    `  vouched for   by ${VOUCHERS[vouchedBy]}`,
    `  certificate   until ${new Date(certificateEndsAt).toISOString().slice(0, 10)}, renewed by itself while the agent runs`,
    `  may touch     ${facts.roots.join(', ')}`,
    'next:',
    `  npx landfall agent run${folder === AGENT_FOLDER ? '' : ` --folder ${folder}`}`,
  ].join('\n')
}
