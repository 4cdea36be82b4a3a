import { isDeepStrictEqual } from 'node:util'
import { CommandError } from './command.ts'

type Condition = Record<string, unknown>

const NUMBER_TESTS = ['gt', 'gte', 'lt', 'lte']
const TESTS = ['in', 'glob', 'prefix', ...NUMBER_TESTS, 'exists', 'not']

/**
 * `--filter` as people write it: `member=value` (a glob where the value has `*` or `?`), `member!=value`, or `member:test=value`; several
 * for one member must all hold. The server checks what members there are.
 */
export function filterOf(flags: readonly string[]): Record<string, Condition> {
  const filter = new Map<string, Condition>()
  for (const flag of flags) {
    const [, member, test, isNot, value] = /^([A-Za-z_][\w.]*)(?::(\w+))?(!?)=(.*)$/s.exec(flag) ?? []
    if (member === undefined || value === undefined)
      throw new CommandError(`--filter is member=value, member!=value or member:test=value, not ${JSON.stringify(flag)}`)
    const said = test === undefined ? plain(value) : { [test]: operand(test, value) }
    filter.set(member, both(member, filter.get(member) ?? {}, isNot === '!' ? { not: said } : said))
  }
  return Object.fromEntries(filter)
}

/** A condition that holds where both do. It has each test once, so two of the same test need one that says as much, or are refused. */
function both(member: string, before: Condition, added: Condition): Condition {
  const twice = Object.keys(added).find((test) => test in before && !isDeepStrictEqual(before[test], added[test]))
  if (twice === undefined) return { ...before, ...added }
  const [values, others] = [listIn(before.not), listIn(added.not)]
  if (twice === 'not' && values !== undefined && others !== undefined)
    return { ...before, not: { in: [...new Set([...values, ...others])] } }
  const given = [before[twice], added[twice]].map((said) => JSON.stringify(said)).join(' and ')
  throw new CommandError(`--filter takes ${twice} of ${member} once, not ${given}: ${insteadOf(twice, member)}`)
}

/** The values of a condition that is nothing but a list of them. */
function listIn(condition: unknown): readonly unknown[] | undefined {
  const { in: values, ...rest } = (condition ?? {}) as { in?: readonly unknown[] }
  return Object.keys(rest).length === 0 ? values : undefined
}

function insteadOf(test: string, member: string): string {
  if (test === 'in') return `all filters must hold; for one of several values write ${member}:in=A,B`
  if (test === 'not')
    return 'only plain values can be excluded one by one; write one glob that covers both, or a test of what is wanted'
  return 'all filters must hold; write one that says both'
}

function plain(value: string): Condition {
  return /[*?]/.test(value) && !value.startsWith('"') ? { glob: value } : { in: [scalar(value)] }
}

function operand(test: string, value: string): unknown {
  if (!TESTS.includes(test)) throw new CommandError(`--filter knows the tests ${TESTS.join(', ')}, not ${JSON.stringify(test)}`)
  if (test === 'in') return value.split(',').map(scalar)
  if (NUMBER_TESTS.includes(test) || test === 'exists') return scalar(value)
  return test === 'not' ? plain(value) : value
}

/** Numbers, true, false and texts in quotes are what JSON says; everything else is the text itself. */
function scalar(value: string): unknown {
  return /^(?:-?\d+(?:\.\d+)?|true|false|".*")$/s.test(value) ? parsed(value) : value
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}
