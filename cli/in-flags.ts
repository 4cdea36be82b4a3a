import { type Call, type Command, CommandError, SERVER_OPTIONS } from './command.ts'

interface Flag {
  readonly name: string
  /** What it fills in the API, such as `timeoutSeconds` or `auth.clientId`. */
  readonly member: string
}

/** What the server refused, said to the person who typed: the flag in place of the member of the API that it fills. Other errors stay as they are. */
export function inFlags(error: unknown, command: Command, flags: Call['flags']): unknown {
  if (!(error instanceof CommandError) || error.field === undefined) return error
  const own = Object.entries(command.options).filter(([name]) => !(name in SERVER_OPTIONS))
  const known = own.flatMap(([name, { member = camelCase(name) }]) => [member].flat().map((each) => ({ name, member: each })))
  const refused = flagsOf(error.field, known, flags).map(({ name }) => `--${name}`)
  const message = refused.length === 0 ? error.message : withSubject(error.message, error.field, refused.join(' or '))
  return new CommandError(withoutMembers(message, known), { cause: error })
}

/** The flags that fill the member or a part of it: those that were typed or, where none was, those that could have been. */
function flagsOf(field: string, known: readonly Flag[], flags: Call['flags']): readonly Flag[] {
  const isPart = (part: string, whole: string) => part === whole || part.startsWith(`${whole}.`) || part.startsWith(`${whole}[`)
  const fills = known.filter(({ member }) => isPart(field, member) || isPart(member, field))
  const typed = fills.filter(({ name }) => flags[name] !== undefined)
  return typed.length > 0 ? typed : fills
}

/** `retryDelaysSeconds[0] is 0, …` → `--retry is 0, …`; a sentence about something else gets the flag before it. */
function withSubject(message: string, field: string, flag: string): string {
  const rest = message.startsWith(field) ? /^(?:[.[][\w.[\]]*)?(?<behind>[: ].*)$/s.exec(message.slice(field.length)) : null
  return rest === null ? `${flag}: ${message}` : `${flag}${rest.groups!.behind}`
}

/** Members that are no words of English are said as flags too, except in what is quoted or part of a path. */
function withoutMembers(message: string, known: readonly Flag[]): string {
  return message.replace(/"[^"]*"|'[^']*'|(?<![\w./-])[a-z]+(?:[A-Z][a-z]*)+(?![\w./]*\/)/g, (word) => {
    const flag = known.find(({ member }) => member === word)
    return flag === undefined ? word : `--${flag.name}`
  })
}

function camelCase(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}
