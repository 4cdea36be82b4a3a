import { invalid, shortened } from '../invalid.ts'

export const HEADERS_MAX = 20
const HEADER_NAME_CHARACTERS_MAX = 100
export const HEADER_VALUE_CHARACTERS_MAX = 4_096

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible ASCII with blanks between; what is not ASCII has no one meaning in a header (RFC 9110 section 5.5). */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/

/** Set by us for every request, or about the connection, which is not the webhook's. */
const OURS = new Set([
  ...['content-type', 'content-length', 'content-encoding', 'user-agent', 'host', 'accept-encoding', 'date', 'expect'],
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
])
/** By which receivers recognise and verify a delivery. */
const OURS_BY_PREFIX = ['x-webhook-', 'x-trueftp-', 'webhook-', 'ce-']

/** Headers that a webhook's owner adds, secret values included; throws `invalid` with the name of the first that cannot be sent. */
export function checkHeaders(headers: Readonly<Record<string, string>>, hasAuth: boolean): void {
  const names = Object.keys(headers)
  if (names.length > HEADERS_MAX)
    throw invalid('headers', `headers has ${names.length} entries, at most ${HEADERS_MAX} are taken`)
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    checkName(name, lower, hasAuth)
    if (seen.has(lower)) throw invalid('headers', `headers: ${name} is there twice; its case makes no difference`)
    seen.add(lower)
    checkValue(name, value)
  }
}

function checkName(name: string, lower: string, hasAuth: boolean): void {
  if (!TOKEN.test(name) || name.length > HEADER_NAME_CHARACTERS_MAX)
    throw invalid('headers', `headers: "${shortened(name)}" is no header name of 1 to ${HEADER_NAME_CHARACTERS_MAX} characters`)
  if (OURS.has(lower) || OURS_BY_PREFIX.some((prefix) => lower.startsWith(prefix)))
    throw invalid('headers', `headers: ${name} is set by the server and cannot be chosen`)
  if (lower === 'authorization' && hasAuth) throw invalid('headers', `headers: ${name} is set by auth; give one or the other`)
}

/** No message repeats a value: it may be secret. */
function checkValue(name: string, value: string): void {
  if (value.length > HEADER_VALUE_CHARACTERS_MAX)
    throw invalid('headers', `headers: ${name} has ${value.length} characters, at most ${HEADER_VALUE_CHARACTERS_MAX} are taken`)
  if (!VALUE.test(value))
    throw invalid('headers', `headers: ${name} must have visible ASCII characters, with blanks only between them`)
}
