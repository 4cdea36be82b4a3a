// Globs on paths: `*` stands for any characters of one segment, `**` as a segment of its own for any number of segments (none
// too, but at the end at least one), `?` for one character; everything else for itself. So `/incoming/**/*.csv` takes
// `/incoming/a.csv` and `/incoming/x/y/a.csv`.

/**
 * The test of one glob. There is no backtracking beyond the last gap: what came before it was matched as early as possible,
 * so nothing is gained by matching it later. The work is at most the length of the glob times that of the text.
 */
export function compileGlob(glob: string): (text: string) => boolean {
  const segments = glob.split('/')
  // `/incoming/**` is what lies below the folder, not the folder itself.
  if (segments.at(-1) === '**') segments.push('*')
  const pattern = segments.map(compileSegment)
  return (text) => fitsWithGaps(pattern, text.split('/'), fitsSegment)
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

function fitsSegment(pattern: Segment, text: string): boolean {
  return typeof pattern === 'string' ? pattern === text : fitsWithGaps(pattern, [...text], fitsCharacter)
}

function fitsCharacter(pattern: string, character: string): boolean {
  return pattern === ANY || pattern === character
}

function fitsWithGaps<Item, Value>(
  pattern: WithGaps<Item>,
  values: readonly Value[],
  fits: (item: Item, value: Value) => boolean,
): boolean {
  let at = 0
  let value = 0
  // Behind the last gap, and the first value that this gap does not take yet.
  let behindGap = -1
  let gapEnd = 0
  while (value < values.length) {
    const item = pattern[at]
    if (item === GAP) {
      behindGap = ++at
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
