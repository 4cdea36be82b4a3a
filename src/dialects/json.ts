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
