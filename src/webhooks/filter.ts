import { compileGlob } from '../base/glob.ts'
import type { EventDraft } from '../events/event.ts'

/**
 * Which events of its types a webhook wants: conditions on members of event and data, all of which must hold. A member is
 * `type` (or `event`), `accountId` or a path into the payload such as `data.path`.
 *
 * A member that an event does not have meets no condition but `exists: false` and `not`. Of a member that is a list, one
 * value must meet the condition.
 */
export type Filter = Readonly<Record<string, Condition>>

/** A value that the member equals, or one or more tests that must all hold. */
export type Condition = Scalar | Tests

export type Scalar = string | number | boolean | null

export interface Tests {
  readonly in?: readonly Scalar[]
  /** `*` within a folder, `**` across folders, `?` one character. */
  readonly glob?: string
  readonly prefix?: string
  readonly gt?: number
  readonly gte?: number
  readonly lt?: number
  readonly lte?: number
  readonly exists?: boolean
  /** Holds exactly when this condition does not. */
  readonly not?: Condition
}

/** What a filter looks at. */
export type Filtered = Pick<EventDraft, 'type' | 'accountId' | 'data'>

/** Whether the event meets all conditions; null: there are none. Pure; it runs inside the transaction that records the event. */
export function matchesFilter(filter: Filter | null, event: Filtered): boolean {
  return filter === null || unmetMember(filter, event) === null
}

/** The member whose condition the event does not meet, the first in the filter's order; null: it meets all. */
export function unmetMember(filter: Filter, event: Filtered): string | null {
  for (const { member, read, holds } of compiled(filter)) if (!holds(read(event))) return member
  return null
}

/** What a filter reads under this name; undefined: the event has no such member. */
export function memberValue(member: string, event: Filtered): unknown {
  return readerOf(member)(event)
}

/** Names of the members of an event itself; all others begin with `data.`. */
export const EVENT_MEMBERS = {
  type: ({ type }) => type,
  event: ({ type }) => type,
  accountId: ({ accountId }) => accountId ?? undefined,
  account_id: ({ accountId }) => accountId ?? undefined,
} as const satisfies Record<string, Read>

type Read = (event: Filtered) => unknown
type Holds = (value: unknown) => boolean

interface CompiledCondition {
  readonly member: string
  readonly read: Read
  readonly holds: Holds
}

/** By identity: a webhook keeps its filter object for as long as the set of webhooks is cached. */
const COMPILED = new WeakMap<Filter, readonly CompiledCondition[]>()

function compiled(filter: Filter): readonly CompiledCondition[] {
  const known = COMPILED.get(filter)
  if (known !== undefined) return known
  const made = Object.entries(filter).map(([member, condition]) => ({
    ...{ member, read: readerOf(member), holds: compileCondition(condition) },
  }))
  COMPILED.set(filter, made)
  return made
}

function readerOf(member: string): Read {
  if (Object.hasOwn(EVENT_MEMBERS, member)) return EVENT_MEMBERS[member as keyof typeof EVENT_MEMBERS]
  const [root, ...path] = member.split('.')
  if (root !== 'data') return () => undefined
  return ({ data }) => path.reduce<unknown>(memberOf, data)
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
}

/** The test of one condition, for the value of its member; undefined stands for a member that is not there. */
export function compileCondition(condition: Condition): Holds {
  if (!isTests(condition)) return ofOneValue([(value) => value === condition])
  const { exists, not } = condition
  const ofMember: Holds[] = []
  if (exists !== undefined) ofMember.push((value) => (value !== undefined) === exists)
  if (not !== undefined) {
    const holds = compileCondition(not)
    ofMember.push((value) => !holds(value))
  }
  const ofValue = valueTests(condition)
  if (ofValue.length > 0) ofMember.push(ofOneValue(ofValue))
  return (value) => ofMember.every((holds) => holds(value))
}

/** All tests hold of the value; of a list, of one and the same of its values. */
function ofOneValue(tests: readonly Holds[]): Holds {
  const holds: Holds = (value) => value !== undefined && tests.every((test) => test(value))
  return (value) => (Array.isArray(value) ? value.some(holds) : holds(value))
}

function valueTests({ in: among, glob, prefix, gt, gte, lt, lte }: Tests): Holds[] {
  const tests: Holds[] = []
  if (among !== undefined) {
    const values = new Set<unknown>(among)
    tests.push((value) => values.has(value))
  }
  if (glob !== undefined) tests.push(ofText(compileGlob(glob)))
  if (prefix !== undefined) tests.push(ofText((text) => text.startsWith(prefix)))
  if (gt !== undefined) tests.push(ofNumber((number) => number > gt))
  if (gte !== undefined) tests.push(ofNumber((number) => number >= gte))
  if (lt !== undefined) tests.push(ofNumber((number) => number < lt))
  if (lte !== undefined) tests.push(ofNumber((number) => number <= lte))
  return tests
}

function ofText(test: (text: string) => boolean): Holds {
  return (value) => typeof value === 'string' && test(value)
}

function ofNumber(test: (number: number) => boolean): Holds {
  return (value) => typeof value === 'number' && test(value)
}

function isTests(condition: Condition): condition is Tests {
  return typeof condition === 'object' && condition !== null
}
