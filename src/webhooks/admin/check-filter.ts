import { faultOfGlob } from '../../base/glob.ts'
import { nearest } from '../../base/nearest.ts'
import type { EventType } from '../../events/catalogue.ts'
import { type Condition, compileCondition, type Filter, type Scalar, type Tests } from '../filter.ts'
import { invalid, shortened } from '../invalid.ts'
import { type Kind, type Member, memberNamed, memberNames, typesOf } from './members.ts'

const CONDITIONS_MAX = 20
const LIST_VALUES_MAX = 100
const FILTER_TEXT_CHARACTERS_MAX = 1_024
/** A `not` in a `not`, and so on. */
const NOT_DEPTH_MAX = 3

/**
 * The filter that a person gave, once nothing shows that it never matches: every member exists in a type that is subscribed,
 * every test fits the kind of its member, and the tests of a member can hold together. Throws `invalid` with the first thing
 * that is wrong. It belongs to who takes input: the schemas that it reads are too heavy for the threads of the store.
 */
export function checkFilter(given: unknown, subscriptions: readonly string[]): Filter {
  if (!isObject(given)) throw wrong('must be an object of conditions, such as {"data.path": {"glob": "/incoming/**/*.csv"}}')
  const members = Object.keys(given)
  if (members.length > CONDITIONS_MAX) throw wrong(`has ${members.length} conditions, at most ${CONDITIONS_MAX} are taken`)
  const types = typesOf(subscriptions)
  for (const name of members) checkCondition(name, known(name, types), given[name], NOT_DEPTH_MAX)
  return given as Filter
}

function known(name: string, types: readonly EventType[]): Member {
  const member = memberNamed(name, types)
  if (member !== undefined) return member
  const meant = nearest(name.slice(0, NAME_COMPARED_CHARACTERS), memberNames(types))
  const hint = meant === undefined ? '; members are type, accountId and data.<member>' : `; did you mean "${meant}"?`
  throw wrong(`"${shortened(name)}" is no member of ${types.length === 1 ? types[0] : 'the subscribed event types'}${hint}`)
}

/** Longer names are cut before they are compared with all that are known. */
const NAME_COMPARED_CHARACTERS = 64

function checkCondition(name: string, member: Member, condition: unknown, depth: number): asserts condition is Condition {
  if (Array.isArray(condition)) throw wrong(`${name} is a list; write {"in": […]}`)
  if (!isObject(condition)) return checkValue(name, member, condition)
  const tests = Object.entries(condition)
  if (tests.length === 0) throw wrong(`${name} has no test; tests are ${Object.keys(TESTS).join(', ')}`)
  for (const [test, operand] of tests) {
    if (!Object.hasOwn(TESTS, test)) throw wrong(`${name} has the unknown test "${shortened(test)}"${hintOf(test)}`)
    TESTS[test as TestName]({ name, member, operand, depth, test })
  }
  checkTogether(name, member, condition)
}

/** One value must meet all tests. `not` is left out: of a list it speaks of all values, so that another one may meet it. */
function checkTogether(name: string, { values }: Member, { exists, not: _, ...ofValue }: Tests): void {
  if (Object.keys(ofValue).length === 0) return
  if (exists === false) throw wrong(`${name}: beside "exists": false no test but "not" is ever met`)
  checkRange(name, ofValue)
  const { in: among, ...tests } = ofValue
  const candidates = among ?? (values === null ? undefined : [...values])
  if (candidates === undefined || candidates.some(compileCondition(ofValue))) return
  const named = listed(candidates.map((value) => shortened(String(value))))
  throw wrong(`${name}: none of ${named} meets ${shortened(JSON.stringify(tests))}`)
}

const { NEGATIVE_INFINITY: LEAST, POSITIVE_INFINITY: GREATEST } = Number

function checkRange(name: string, { gt = LEAST, gte = LEAST, lt = GREATEST, lte = GREATEST }: Tests): void {
  const [from, to] = [Math.max(gt, gte), Math.min(lt, lte)]
  const hasBothEnds = gt < from && lt > to
  if (from < to || (from === to && hasBothEnds)) return
  throw wrong(
    `${name}: no number is ${gt < from ? 'at least' : 'greater than'} ${from} and ${lt > to ? 'at most' : 'less than'} ${to}`,
  )
}

function hintOf(test: string): string {
  const meant = nearest(test.slice(0, NAME_COMPARED_CHARACTERS), Object.keys(TESTS))
  return meant === undefined ? `; tests are ${Object.keys(TESTS).join(', ')}` : `; did you mean "${meant}"?`
}

interface Tested {
  readonly name: string
  readonly member: Member
  readonly test: string
  readonly operand: unknown
  readonly depth: number
}

const TESTS = {
  in: checkList,
  glob: checkGlob,
  prefix: checkText,
  gt: checkNumber,
  gte: checkNumber,
  lt: checkNumber,
  lte: checkNumber,
  exists({ name, operand }: Tested) {
    if (typeof operand !== 'boolean') throw wrong(`${name}: exists must be true or false, not ${shown(operand)}`)
  },
  not({ name, member, operand, depth }: Tested) {
    if (depth === 0) throw wrong(`${name}: at most ${NOT_DEPTH_MAX} times "not" within one another are taken`)
    checkCondition(name, member, operand, depth - 1)
  },
} as const
type TestName = keyof typeof TESTS

function checkList({ name, member, operand }: Tested): void {
  if (!Array.isArray(operand)) throw wrong(`${name}: in must be a list, not ${shown(operand)}`)
  if (operand.length < 1 || operand.length > LIST_VALUES_MAX)
    throw wrong(`${name}: in must have 1 to ${LIST_VALUES_MAX} values, not ${operand.length}`)
  for (const value of operand) checkValue(name, member, value)
}

function checkText({ name, member, test, operand }: Tested): void {
  checkKind(name, member, 'text', test)
  if (typeof operand !== 'string' || operand === '') throw wrong(`${name}: ${test} must be a text, not ${shown(operand)}`)
  checkLength(name, operand)
}

function checkGlob(tested: Tested): void {
  checkText(tested)
  const fault = faultOfGlob(String(tested.operand))
  if (fault !== undefined) throw wrong(`${tested.name}: the glob ${fault}`)
}

function checkNumber({ name, member, test, operand }: Tested): void {
  checkKind(name, member, 'number', test)
  if (typeof operand !== 'number') throw wrong(`${name}: ${test} must be a number, not ${shown(operand)}`)
}

function checkKind(name: string, { kinds }: Member, kind: Kind, test: string): void {
  if (!kinds.has(kind)) throw wrong(`${name} is ${phraseOf(kinds)}; ${test} is for members that are ${KINDS[kind]}`)
}

function checkValue(name: string, { kinds, values }: Member, value: unknown): asserts value is Scalar {
  if (value === null) throw wrong(`${name} is never null; write {"exists": false} for events without it`)
  const kind = kindOfValue(value)
  if (kind === 'object') throw wrong(`${name}: ${shown(value)} is no value to compare with; take a text, a number, true or false`)
  if (!kinds.has(kind)) throw wrong(`${name} is ${phraseOf(kinds)}, so it never equals ${shown(value)}`)
  if (typeof value === 'string') checkLength(name, value)
  if (values !== null && !values.has(value as Scalar))
    throw wrong(`${name} never equals ${shown(value)}; it is one of ${listed([...values])}`)
}

function checkLength(name: string, text: string): void {
  if (text.length > FILTER_TEXT_CHARACTERS_MAX)
    throw wrong(`${name}: a text of ${text.length} characters, at most ${FILTER_TEXT_CHARACTERS_MAX} are taken`)
}

function kindOfValue(value: unknown): Kind {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'number') return 'number'
  return typeof value === 'boolean' ? 'boolean' : 'object'
}

const KINDS: Record<Kind, string> = { text: 'a text', number: 'a number', boolean: 'true or false', object: 'an object' }

function phraseOf(kinds: ReadonlySet<Kind>): string {
  return [...kinds].map((kind) => KINDS[kind]).join(' or ')
}

/** As many values as a sentence can hold. */
const LISTED_MAX = 8

function listed(values: readonly Scalar[]): string {
  const more = values.length - LISTED_MAX
  return values.slice(0, LISTED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return isObject(value) ? 'an object' : shortened(String(JSON.stringify(value)))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(complaint: string) {
  return invalid('filter', `filter: ${complaint}`)
}
