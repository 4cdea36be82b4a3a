import { VerifyError } from './error.ts'

/** Headers as servers hand them over: a plain object with names in any case, or the `Headers` of fetch. */
export type HeadersLike =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined }

/** Reads one header by its lower-case name; undefined where it is absent or empty. */
export type ReadHeader = (name: string) => string | undefined

export function readerOf(headers: HeadersLike): ReadHeader {
  if (typeof headers !== 'object' || headers === null) {
    throw new VerifyError(
      'headers_malformed',
      `The headers of the request are needed, as an object or the Headers of fetch, not ${typeof headers}.`,
    )
  }
  if (isFetchHeaders(headers)) return (name) => headers.get(name)?.trim() || undefined
  const values = new Map<string, string>()
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || value === null) continue
    // Node and fetch join what is repeated in the same way (RFC 9110 section 5.2).
    values.set(name.toLowerCase(), (Array.isArray(value) ? value.join(', ') : String(value)).trim())
  }
  return (name) => values.get(name) || undefined
}

function isFetchHeaders(headers: HeadersLike): headers is { get(name: string): string | null } {
  return typeof headers.get === 'function'
}
