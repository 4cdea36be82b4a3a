// JSON.stringify writes a surrogate without its other half as an escape such as \ud800 and nothing else as \ud...;
// an escaped backslash before `ud...` is matched first, so that it is left alone.
const BACKSLASH_OR_LONE_SURROGATE = /\\(?:\\|ud[0-9a-f]{3})/g

/**
 * JSON text that is valid UTF-8 and stays so after decoding: half a surrogate pair becomes U+FFFD. Receivers in
 * languages whose strings are UTF-8 refuse a body, or a field of it, that holds one.
 */
export function wellFormedJson(value: object): string {
  const text = JSON.stringify(value)
  if (!text.includes('\\ud')) return text
  return text.replace(BACKSLASH_OR_LONE_SURROGATE, (found) => (found === '\\\\' ? found : '\uFFFD'))
}

/**
 * A body that is the same for all webhooks of an event: made once for those that are planned one after the other. Events do not change once
 * they are recorded, so the last one is known by itself.
 */
export function onceAnEvent<Event extends object>(make: (event: Event) => string): (event: Event) => string {
  let last: { readonly event: Event; readonly body: string } | undefined
  return (event) => {
    if (last?.event !== event) last = { event, body: make(event) }
    return last.body
  }
}
