import { isRecord } from './envelope.ts'
import { EVENT_MEMBERS } from './events.ts'

export function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}

/** As the server writes every body: without spaces, with no escape that JSON does not demand. Undefined where it is nested too deeply. */
export function compactOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** What a text does that `compact`, the same value, does not: for people. */
export function describeForm(text: string, compact: string): string {
  const [strings, between] = [[] as string[], [] as string[]]
  for (const [index, part] of text.split(/("(?:[^"\\]|\\.)*")/s).entries()) (index % 2 === 1 ? strings : between).push(part)
  const found = [
    between.some((part) => /\s/.test(part)) ? 'other spacing' : undefined,
    strings.some((part) => /\\u[0-9a-f]{4}/i.test(part)) && !compact.includes('\\u') ? 'unicode escapes' : undefined,
    strings.some((part) => part.includes('\\/')) ? 'escaped slashes' : undefined,
  ].filter((one) => one !== undefined)
  return found.length === 0 ? 'another writing of its numbers, texts or members' : found.join(' and ')
}

/** In the order in which the server writes members: that of the envelope, then that of the event's type. Others keep their place behind. */
export function orderedOf(value: unknown): unknown {
  if (!isRecord(value)) return value
  const ordered = inOrder(
    value,
    ENVELOPE_ORDERS.find((names) => names.every((name) => name === 'subject' || name in value)) ?? [],
  )
  const type = ordered.event ?? ordered.type
  const names =
    typeof type === 'string' && Object.hasOwn(EVENT_MEMBERS, type) ? EVENT_MEMBERS[type as keyof typeof EVENT_MEMBERS] : []
  return isRecord(ordered.data) ? { ...ordered, data: inOrder(ordered.data, names) } : ordered
}

const ENVELOPE_ORDERS: readonly (readonly string[])[] = [
  ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data'],
  ['event', 'delivery_id', 'timestamp', 'account_id', 'data'],
  ['id', 'event', 'timestamp', 'data'],
  ['type', 'timestamp', 'data'],
]

function inOrder(value: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  const first = names.filter((name) => name in value).map((name) => [name, value[name]])
  return { ...Object.fromEntries(first), ...value }
}
