import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import type { Terminal } from './terminal.ts'

/** One command of the line. `run` throws CommandError for what the person can mend. */
export interface Command {
  readonly name: string
  /** Other names of the same command. */
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly usage: string
  readonly options: Readonly<Record<string, Option>>
  /** Number of words after the command, at least and at most. */
  readonly words?: { min: number; max: number }
  run(call: Call): Promise<number>
}

interface Option {
  readonly type: 'string' | 'boolean'
  readonly multiple?: true
  /** What it fills in the API, where that has another name or depends on others: a refusal of that names the option. */
  readonly member?: string | readonly string[]
  /** For `--help`. */
  readonly meaning: string
}

/** Several texts where an option may be repeated. */
type Flag = string | boolean | readonly string[]

export interface Call {
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, Flag | undefined>>
  readonly json: boolean
  readonly terminal: Terminal
}

/** A refusal that the person at the terminal can act on: one line, no stack. */
export class CommandError extends Error {
  override name = 'CommandError'
  /** The member of the API that a server refused. */
  readonly field: string | undefined

  constructor(message: string, { field, ...options }: ErrorOptions & { field?: string | undefined } = {}) {
    super(message, options)
    this.field = field
  }
}

const COMMON = {
  json: { type: 'boolean', meaning: 'print JSON for machines: an object, an array of a list, or a line for each event' },
  help: { type: 'boolean', meaning: 'show this page' },
} as const

/** Options of every command that talks to a running server. */
export const SERVER_OPTIONS = {
  data: { type: 'string', meaning: 'data folder of the running server (default ./landfall-data)' },
  server: { type: 'string', meaning: 'url of the server instead, with LANDFALL_ADMIN_TOKEN set' },
} as const

export function parseCall(command: Command, args: readonly string[], terminal: Terminal): Call | 'help' {
  const options: ParseArgsOptionsConfig = {}
  for (const [name, { type, multiple = false }] of Object.entries(optionsOf(command))) options[name] = { type, multiple }
  let parsed: { values: Record<string, Flag | undefined>; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true }) as typeof parsed
  } catch (error) {
    throw new CommandError(`${(error as Error).message.split('. ')[0]}. Try: landfall ${command.name} --help`)
  }
  if (parsed.values.help === true) return 'help'
  const { min, max } = command.words ?? { min: 0, max: 0 }
  if (parsed.positionals.length < min || parsed.positionals.length > max) {
    throw new CommandError(`usage: landfall ${command.usage}`)
  }
  return { words: parsed.positionals, flags: parsed.values, json: parsed.values.json === true, terminal }
}

export function helpOf(command: Command): string {
  const lines = Object.entries(optionsOf(command)).map(
    ([name, { type, meaning }]) => `  --${`${name}${type === 'string' ? ' VALUE' : ''}`.padEnd(28)} ${meaning}`,
  )
  return `${command.summary}\n\nUsage: landfall ${command.usage}\n\n${lines.join('\n')}`
}

function optionsOf(command: Command): Command['options'] {
  return { ...command.options, ...COMMON }
}

/** A flag that must be there. */
export function required(call: Call, name: string): string {
  const value = call.flags[name]
  if (typeof value !== 'string' || value === '') throw new CommandError(`--${name} is needed`)
  return value
}

export function optional(call: Call, name: string): string | undefined {
  const value = call.flags[name]
  return typeof value === 'string' ? value : undefined
}

/** What an option that may be repeated was given, in order. */
export function many(call: Call, name: string): readonly string[] {
  const value = call.flags[name]
  return Array.isArray(value) ? value : []
}

/** `a,b` → `['a', 'b']`; undefined stays undefined. */
export function listOf(value: string | undefined): string[] | undefined {
  return value
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
