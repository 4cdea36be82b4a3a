/** What a command writes to: stdout for results, stderr for progress and errors; colours only on a terminal. */
export interface Terminal {
  out(text: string): void
  note(text: string): void
  readonly colours: boolean
}

export const terminal: Terminal = {
  out: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
  // https://no-color.org: any non-empty value switches colours off.
  colours: process.stdout.isTTY === true && !process.env.NO_COLOR,
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

export function paint(to: Terminal, style: keyof typeof CODES, text: string): string {
  return to.colours ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text
}

/** Rows as columns of equal width, for people; the last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => printable(row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === head.length - 1 ? printable(cell) : printable(cell).padEnd(widths[column]!)))
      .join('  ')
  return [line(head), ...rows.map(line)].join('\n')
}

/** Control characters shown as escapes, so that a name from outside cannot drive the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
