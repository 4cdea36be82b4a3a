// Globs on paths: `*` stands for any characters of one segment, `**` as a segment of its own for any number of segments (none
// too, but at the end at least one), `?` for one character; everything else for itself. So `/incoming/**/*.csv` takes
// `/incoming/a.csv` and `/incoming/x/y/a.csv`.

/**
 * Bounds of a glob that a person gives. It is tried in the transaction that records an event: the longest path there can be, 2,000 folders
 * deep, must cost a few ms against any glob.
 */
export const GLOB_CHARACTERS_MAX = 256
export const GLOB_SEGMENTS_MAX = 32

/** Why this is no glob that is taken, as the end of a sentence; undefined: it is one. */
export function faultOfGlob(glob: string): string | undefined {
  if (glob.length > GLOB_CHARACTERS_MAX) return `has ${glob.length} characters, at most ${GLOB_CHARACTERS_MAX} are taken`
  const segments = glob.split('/').length
  return segments > GLOB_SEGMENTS_MAX ? `has ${segments} segments, at most ${GLOB_SEGMENTS_MAX} are taken` : undefined
}

/**
 * The test of one glob. There is no backtracking beyond the last gap: what came before it was matched as early as possible,
 * so nothing is gained by matching it later; and what follows the last gap of all is compared with the end. The work is at most the length
 * of the glob times that of the text.
 */
export function compileGlob(glob: string): (text: string) => boolean {
  const segments = glob.split('/')
  // `/incoming/**` is what lies below the folder, not the folder itself.
  if (segments.at(-1) === '**') segments.push('*')
  const pattern = segments.map(compileSegment)
  return (text) => fitsWithGaps(pattern, text.split('/').map(asName), fitsSegment)
}

/** Whether there is a name that both segments fit, by the rule of shells that a dot in front is only fitted by a dot. */
export function meet(one: string, other: string): boolean {
  if (one.startsWith('.') !== other.startsWith('.')) return false
  const [left, right] = [[...one], [...other]]
  // Whether what is left of the first fits what is left of the second, from the ends backwards.
  let behind: readonly boolean[] = []
  for (let at = left.length; at >= 0; at--) {
    const row: boolean[] = []
    for (let beside = right.length; beside >= 0; beside--) {
      const [mine, theirs] = [left[at], right[beside]]
      const isEnd = mine === undefined && theirs === undefined
      const isTakenByWildcard =
        (mine === '*' && (behind[beside] || row[beside + 1])) || (theirs === '*' && (row[beside + 1] || behind[beside]))
      const isSame = mine !== undefined && theirs !== undefined && (mine === theirs || mine === ANY || theirs === ANY)
      row[beside] = isEnd || isTakenByWildcard || (isSame && behind[beside + 1]) || false
    }
    behind = row
  }
  return behind[0] === true
}

/** Stands for any number of items, none too. */
const GAP = Symbol('gap')
type WithGaps<Item> = readonly (Item | typeof GAP)[]

/** A segment without wildcards is compared as a whole; else its characters, `ANY` for any one. */
type Segment = string | WithGaps<string>
const ANY = '?'

function compileSegment(segment: string): Segment | typeof GAP {
  if (segment === '**') return GAP
  if (!/[*?]/.test(segment)) return segment
  return [...segment].map((character) => (character === '*' ? GAP : character))
}

/** A segment of a path, taken apart when first asked. */
interface Name {
  readonly text: string
  characters: readonly string[] | undefined
}

function asName(text: string): Name {
  return { text, characters: undefined }
}

function fitsSegment(pattern: Segment, name: Name): boolean {
  if (typeof pattern === 'string') return pattern === name.text
  name.characters ??= [...name.text]
  return fitsWithGaps(pattern, name.characters, fitsCharacter)
}

function fitsCharacter(pattern: string, character: string): boolean {
  return pattern === ANY || pattern === character
}

function fitsWithGaps<Item, Value>(
  pattern: WithGaps<Item>,
  values: readonly Value[],
  fits: (item: Item, value: Value) => boolean,
): boolean {
  const lastGap = pattern.lastIndexOf(GAP)
  let at = 0
  let value = 0
  // Behind the last gap that was met, and the first value that this gap does not take yet.
  let behindGap = -1
  let gapEnd = 0
  while (value < values.length) {
    const item = pattern[at]
    if (item === GAP) {
      behindGap = ++at
      // What is left has its place at the end.
      if (behindGap > lastGap) {
        const tail = values.length - (pattern.length - behindGap)
        if (tail < value) return false
        value = tail
        behindGap = -1
      }
      gapEnd = value
    } else if (item !== undefined && fits(item, values[value]!)) {
      at++
      value++
    } else if (behindGap >= 0) {
      at = behindGap
      value = ++gapEnd
    } else return false
  }
  while (pattern[at] === GAP) at++
  return at === pattern.length
}
