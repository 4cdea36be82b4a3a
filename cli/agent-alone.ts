#!/usr/bin/env node
import { AppError } from '../src/base/error.ts'
import { agentEnroll } from './agent-enroll.ts'
import { agentRun } from './agent-run.ts'
import { CommandError, helpOf, parseCall } from './command.ts'
import { paint, terminal } from './terminal.ts'

/** Entry of the package `@landfall/agent`: the agent without the server. Statuses as `landfall` has them. */
const COMMANDS = { enroll: agentEnroll, run: agentRun } as const
const PROGRAM = 'landfall-agent'

const [word = '', ...args] = process.argv.slice(2)
try {
  if (!Object.hasOwn(COMMANDS, word)) throw new CommandError(`usage: ${PROGRAM} enroll | run; each takes --help`)
  const command = COMMANDS[word as keyof typeof COMMANDS]
  const call = parseCall(command, args, terminal)
  if (call === 'help') terminal.out(alone(helpOf(command)))
  else process.exitCode = await command.run({ ...call, terminal: { ...terminal, out: (text) => terminal.out(alone(text)) } })
} catch (error) {
  if (!(error instanceof CommandError || error instanceof AppError)) throw error
  terminal.note(`${paint(terminal, 'red', `${PROGRAM}:`)} ${alone(error.message)}`)
  process.exitCode = error instanceof CommandError ? 2 : 1
}

/** The same commands have other names here. */
function alone(text: string): string {
  return text.replaceAll(/(npx )?landfall agent (?=enroll|run)/g, `${PROGRAM} `)
}
