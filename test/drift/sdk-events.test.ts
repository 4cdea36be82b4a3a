import { test } from 'node:test'
import type { TSchema } from 'typebox'
import { CATALOGUE, EVENT_TYPES, type EventType } from '../../src/events/catalogue.ts'
import { PAYLOADS } from '../../src/events/payloads.ts'
import { assertFile } from './page.ts'

test('sdk/events.ts equals the catalogue and the schemas', () => assertFile('sdk/events.ts', sdkEvents()))

/** TypeScript in the style of the project, so that the checks of style pass over it like over any other file. */
function sdkEvents(): string {
  return `// Generated from src/events/catalogue.ts and src/events/payloads.ts by test/drift/sdk-events.test.ts, not to be
// edited by hand: UPDATE_DOCS=1 npm test -- drift renews it.

/** The \`data\` of every event type, the same in every dialect. Members may be added: pass over those that you do not know. */
export interface EventData {
${EVENT_TYPES.map(dataOf).join('\n')}
}

export type EventType = keyof EventData

/** The members of every \`data\`, in the order in which the server writes them. */
export const EVENT_MEMBERS: Readonly<Record<EventType, readonly string[]>> = {
${EVENT_TYPES.map(membersOf).join('\n')}
}
`
}

interface Schema {
  description?: string
  anyOf?: Schema[]
  const?: string
  items?: Schema
  type?: string
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  required?: string[]
}

function schemaOf(type: EventType): Required<Pick<Schema, 'properties'>> & Schema {
  return PAYLOADS[type] as TSchema as never
}

function dataOf(type: EventType): string {
  return `  /** ${CATALOGUE[type].trigger} */\n  '${type}': ${objectText(schemaOf(type), '  ')}`
}

function objectText({ properties = {}, required = [] }: Schema, indent: string): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const comment = schema.description === undefined ? '' : `${indent}  /** ${schema.description} */\n`
    return `${comment}${indent}  ${name}${required.includes(name) ? '' : '?'}: ${typeText(schema, `${indent}  `)}`
  })
  return `{\n${members.join('\n')}\n${indent}}`
}

function typeText(schema: Schema, indent: string): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => typeText(one, indent)).join(' | ')
  if (schema.const !== undefined) return `'${schema.const}'`
  if (schema.items !== undefined) return `${typeText(schema.items, indent)}[]`
  if (schema.patternProperties !== undefined) {
    const [value = {}] = Object.values(schema.patternProperties)
    return `Record<\n${indent}  string,\n${indent}  ${typeText(value, `${indent}  `)}\n${indent}>`
  }
  if (schema.properties !== undefined) return objectText(schema, indent)
  if (schema.type === 'string' || schema.type === 'boolean') return schema.type
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  throw new Error(`the sdk has no type for ${JSON.stringify(schema)}`)
}

/** Lines of at most this many characters, as the formatter sets them. */
const LINE_CHARACTERS = 130

function membersOf(type: EventType): string {
  const names = Object.keys(schemaOf(type).properties).map((name) => `'${name}'`)
  const line = `  '${type}': [${names.join(', ')}],`
  return line.length <= LINE_CHARACTERS ? line : `  '${type}': [\n${names.map((name) => `    ${name},`).join('\n')}\n  ],`
}
