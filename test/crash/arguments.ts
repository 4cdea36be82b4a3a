export type StoreName = 'sqlite' | 'postgres'

/** `files`: uploads and their webhooks; `agents`: enrolment, transfers and runs. */
export type What = 'files' | 'agents'

export interface Wish {
  what: What
  rounds: number
  seed: number
  stores: readonly StoreName[]
}

export const USAGE = 'npm run crash -- [--what files|agents] [--rounds N] [--seed S] [--store sqlite|postgres|both]'

/** One kill at every moment of the cycle, and some more. */
const ROUNDS_DEFAULT = 25
const ROUNDS_MAX = 100_000
const SEED_MAX = 2 ** 32 - 1
const WHATS: Readonly<Record<string, What>> = { files: 'files', agents: 'agents' }
const STORES: Readonly<Record<string, readonly StoreName[]>> = {
  sqlite: ['sqlite'],
  postgres: ['postgres'],
  both: ['sqlite', 'postgres'],
}

/** What the words after the command ask for; `freshSeed` where they name no seed. Throws with a sentence for people. */
export function parseArguments(words: readonly string[], freshSeed: number): Wish {
  const wish: Wish = { what: 'files', rounds: ROUNDS_DEFAULT, seed: freshSeed, stores: STORES.sqlite! }
  for (let at = 0; at < words.length; at += 2) {
    const flag = words[at]!
    const value = words[at + 1]
    if (!['--what', '--rounds', '--seed', '--store'].includes(flag)) throw new Error(`${flag} is not known: ${USAGE}`)
    if (value === undefined) throw new Error(`${flag} needs a value: ${USAGE}`)
    if (flag === '--rounds') wish.rounds = wholeNumber(flag, value, 1, ROUNDS_MAX)
    if (flag === '--seed') wish.seed = wholeNumber(flag, value, 0, SEED_MAX)
    if (flag === '--store') wish.stores = oneOf(flag, value, STORES)
    if (flag === '--what') wish.what = oneOf(flag, value, WHATS)
  }
  return wish
}

function wholeNumber(flag: string, value: string, min: number, max: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= min && number <= max)) throw new Error(`${flag} is a whole number from ${min} to ${max}, not '${value}'`)
  return number
}

function oneOf<Choice>(flag: string, value: string, choices: Readonly<Record<string, Choice>>): Choice {
  if (!Object.hasOwn(choices, value)) throw new Error(`${flag} is one of ${Object.keys(choices).join(', ')}, not '${value}'`)
  return choices[value]!
}
