import { CommandError } from './command.ts'

type Condition = Record<string, unknown>

const NUMBER_TESTS = ['gt', 'gte', 'lt', 'lte']
const TESTS = ['in', 'glob', 'prefix', ...NUMBER_TESTS, 'exists', 'not']

/**
 * `--filter` as people write it: `member=value` (a glob where the value has `*` or `?`), `member!=value`, or `member:test=value`; several
 * for one member must all hold. The server checks what members there are.
 */
export function filterOf(flags: readonly string[]): Record<string, Condition> {
  const filter: Record<string, Condition> = {}
  for (const flag of flags) {
    const [, member, test, isNot, value] = /^([A-Za-z_][\w.]*)(?::(\w+))?(!?)=(.*)$/s.exec(flag) ?? []
    if (member === undefined || value === undefined)
      throw new CommandError(`--filter is member=value, member!=value or member:test=value, not ${JSON.stringify(flag)}`)
    const said = test === undefined ? plain(value) : { [test]: operand(test, value) }
    filter[member] = { ...filter[member], ...(isNot === '!' ? { not: said } : said) }
  }
  return filter
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
