/**
 * A text as one who undoes its escapes reads it. All texts here have a character for each byte (Latin-1), and are folded: what
 * reads the same but for case, or for the `+` that forms have for a blank, is the same.
 */
export interface Reading {
  readonly text: string
  /** Where a character of the reading begins in the text that was read; that behind the last one is where the reading ends. */
  startOf(index: number): number
}

/** One way of writing what cannot be written as it is. */
interface Escapes {
  readonly whole: RegExp
  /** At the end of a text that was cut: it says nothing. */
  readonly half: RegExp
  meaningOf(written: string): string
}

const JSON_ESCAPES: Escapes = {
  whole: /\\u(?:d[89ab][\da-f]{2}\\ud[c-f][\da-f]{2}|[\da-f]{4})|\\[^u]/g,
  half: /\\(?:u[\da-f]{0,3})?$/,
  meaningOf: (written) => (/^\\[u"\\/bfnrt]/.test(written) ? bytesOf(JSON.parse(`"${written}"`)) : written.slice(1)),
}
const URL_ESCAPES: Escapes = {
  whole: /%[\da-f]{2}/g,
  half: /%[\da-f]?$/,
  meaningOf: (written) => String.fromCharCode(Number.parseInt(written.slice(1), 16)),
}
const NAMED: Readonly<Record<string, string>> = { quot: '"', amp: '&', lt: '<', gt: '>', apos: "'" }
const HTML_ESCAPES: Escapes = {
  whole: /&(?:#\d{1,6}|#x[\da-f]{1,5}|quot|amp|lt|gt|apos);/g,
  half: /&[#\da-z]{0,7}$/,
  meaningOf(written) {
    const name = written.slice(1, -1)
    return bytesOf(NAMED[name] ?? String.fromCodePoint(Number(name.replace('#x', '0x').replace('#', ''))))
  },
}
const ESCAPES = [JSON_ESCAPES, URL_ESCAPES, HTML_ESCAPES]

/** How often escapes are undone: a JSON text in a JSON text, or a url in one, has two layers. */
const LAYERS_MAX = 2

/** The text itself, and all that is read in it where it has escapes of JSON, urls or HTML. */
export function readingsOf(text: string): Reading[] {
  const readings: Reading[] = [{ text: folded(text), startOf: (index) => index }]
  // Most answers have none.
  let outer = /[\\%&]/.test(text) ? readings : []
  for (let layer = 1; layer <= LAYERS_MAX; layer++) {
    outer = outer.flatMap((reading) => ESCAPES.flatMap((escapes) => unescaped(reading, escapes)))
    readings.push(...outer)
  }
  return readings
}

export function folded(text: string): string {
  return text.toLowerCase().replaceAll('+', ' ')
}

/** The bytes of a text in UTF-8, each as a character. */
export function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** None where there is no escape. */
function unescaped({ text, startOf }: Reading, { whole, half, meaningOf }: Escapes): Reading[] {
  const cut = text.search(half)
  const end = cut < 0 ? text.length : cut
  let plain = ''
  let done = 0
  const starts: number[] = []
  const copyTo = (to: number) => {
    for (let index = done; index < to; index++) starts.push(startOf(index))
    plain += text.slice(done, to)
    done = to
  }
  for (const { 0: written, index: at } of text.slice(0, end).matchAll(whole)) {
    const meaning = folded(meaningOf(written))
    copyTo(at)
    starts.push(...Array(meaning.length).fill(startOf(at)))
    plain += meaning
    done = at + written.length
  }
  if (done === 0 && cut < 0) return []
  copyTo(end)
  starts.push(startOf(end))
  return [{ text: plain, startOf: (index) => starts[index]! }]
}
