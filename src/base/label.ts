/**
 * What no name has that people read: control characters (NUL, which PostgreSQL does not store, and line ends among them), ends of lines
 * and paragraphs of Unicode, and what turns the direction of all text behind it (UAX #9 sections 2.1 to 2.5), by which one name looks
 * like another. Joiners and marks, which scripts and emoji need, are no such thing.
 */
const UNREADABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/** What is wrong with a name or another text of one line for people, to stand behind the name of its field; undefined: nothing. */
export function faultOfLabel(text: string): string | undefined {
  if (!text.isWellFormed()) return 'has half of a surrogate pair'
  const found = UNREADABLE.exec(text)?.[0]
  if (found === undefined) return undefined
  return `has a control character (U+${found.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')})`
}
