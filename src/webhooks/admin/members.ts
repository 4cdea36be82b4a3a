import { EVENT_TYPES, type EventType, matches } from '../../events/catalogue.ts'
import { PAYLOADS } from '../../events/payloads.ts'
import { EVENT_MEMBERS, type Scalar } from '../filter.ts'

/** What a filter may say about one member of the events of some types. */
export interface Member {
  /** Of a list, the kinds of its values. */
  readonly kinds: ReadonlySet<Kind>
  /** All that it can be, where the types say so; null: any of its kinds. */
  readonly values: ReadonlySet<Scalar> | null
}

export type Kind = 'text' | 'number' | 'boolean' | 'object'

/** Event types that these subscriptions cover, in the order of the catalogue. */
export function typesOf(subscriptions: readonly string[]): EventType[] {
  return EVENT_TYPES.filter((type) => subscriptions.some((subscription) => matches(subscription, type)))
}

/** The member of this name in the events of these types; undefined: none of them has it. */
export function memberNamed(name: string, types: readonly EventType[]): Member | undefined {
  if (name === 'type' || name === 'event') return { kinds: new Set(['text']), values: new Set(types) }
  if (Object.hasOwn(EVENT_MEMBERS, name)) return { kinds: new Set(['text']), values: null }
  const [root, ...path] = name.split('.')
  if (root !== 'data') return undefined
  const found = types.map((type) => schemaAt(PAYLOADS[type], path)).filter((schema) => schema !== undefined)
  return found.length === 0 ? undefined : memberOf(found)
}

/** Names of all members of the events of these types, for those who misspell one. */
export function memberNames(types: readonly EventType[]): Set<string> {
  return new Set([...Object.keys(EVENT_MEMBERS), ...types.flatMap((type) => namesBelow('data', PAYLOADS[type]))])
}

/** JSON Schema, as far as payloads use it. */
interface Schema {
  readonly type?: string
  readonly const?: Scalar
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  /** Members of any name. */
  readonly patternProperties?: Readonly<Record<string, Schema>>
}

function schemaAt(schema: Schema, [name, ...rest]: readonly string[]): Schema | undefined {
  if (schema.items !== undefined) return name === undefined ? schema.items : undefined
  if (name === undefined) return schema
  const { properties = {}, patternProperties = {} } = schema
  const member = Object.hasOwn(properties, name) ? properties[name] : Object.values(patternProperties)[0]
  return member && schemaAt(member, rest)
}

function memberOf(schemas: readonly Schema[]): Member {
  const choices = schemas.flatMap((schema) => schema.anyOf ?? [schema])
  const values = choices.map((choice) => choice.const).filter((value) => value !== undefined)
  return {
    kinds: new Set(choices.map(kindOf)),
    values: values.length === choices.length ? new Set(values) : null,
  }
}

function kindOf({ type }: Schema): Kind {
  if (type === 'string') return 'text'
  if (type === 'integer' || type === 'number') return 'number'
  return type === 'boolean' ? 'boolean' : 'object'
}

function namesBelow(name: string, { properties = {} }: Schema): string[] {
  return Object.entries(properties).flatMap(([member, schema]) => {
    const full = `${name}.${member}`
    return [full, ...namesBelow(full, schema)]
  })
}
