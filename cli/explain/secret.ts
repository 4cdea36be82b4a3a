import type { Secret } from '../../sdk/verify.ts'
import { CommandError } from '../command.ts'

/** What may count, the secret in use first. */
export interface Secrets {
  readonly current: Secret
  readonly old: readonly string[]
}

/** One secret a line: the one in use, then old ones. A public key may be JSON. */
export function parseSecrets(text: string): Secrets {
  const trimmed = text.trim()
  if (trimmed.startsWith('{')) return { current: parseKey(trimmed), old: [] }
  const [current = '', ...old] = text.replace(/\r?\n$/, '').split(/\r?\n/)
  if (current === '') throw new CommandError('the secret is empty')
  return { current, old: old.filter((one) => one !== '') }
}

function parseKey(text: string): Secret {
  try {
    return JSON.parse(text) as Secret
  } catch {
    throw new CommandError('the secret starts like a JSON Web Key but is no JSON')
  }
}

/** The parts of a terminal that asking for a secret needs. */
export interface HiddenInput extends AsyncIterable<Buffer> {
  setRawMode(raw: boolean): unknown
  unshift(chunk: Buffer): void
}

/** Reads a line that does not show; what came behind it stays in the input. */
export async function readHidden(input: HiddenInput, ask: (text: string) => void): Promise<string> {
  ask('secret (it does not show): ')
  input.setRawMode(true)
  try {
    let typed: number[] = []
    const chunks = input[Symbol.asyncIterator]()
    // Not `for await`: leaving one would end the input, which the capture may still follow on.
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      for (const [index, byte] of next.value.entries()) {
        if (byte === CONTROL_C) throw new CommandError('stopped')
        if (byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === CONTROL_D) {
          const rest = next.value.subarray(index + 1)
          if (rest.length > 0) input.unshift(rest)
          return Buffer.from(typed).toString('utf8')
        }
        typed = byte === BACKSPACE || byte === DELETE ? typed.slice(0, -1) : [...typed, byte]
        if (typed.length > TYPED_BYTES_MAX) throw new CommandError(`a secret has at most ${TYPED_BYTES_MAX} bytes`)
      }
    }
    return Buffer.from(typed).toString('utf8')
  } finally {
    input.setRawMode(false)
    ask('\n')
  }
}

const TYPED_BYTES_MAX = 4096
const [CONTROL_C, CONTROL_D, BACKSPACE, LINE_FEED, CARRIAGE_RETURN, DELETE] = [3, 4, 8, 10, 13, 127]
