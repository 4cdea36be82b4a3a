import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Compares a page of docs/ with what the code says; `UPDATE_DOCS=1` writes it instead. */
export function assertPage(name: string, expected: string): void {
  assertFile(`docs/${name}`, expected)
}

/** The same for any file of the project, by its path from the root. */
export function assertFile(name: string, expected: string): void {
  const path = fileURLToPath(new URL(`../../${name}`, import.meta.url))
  if (process.env.UPDATE_DOCS === '1') writeFileSync(path, expected)
  assert.equal(
    readFileSync(path, 'utf8'),
    expected,
    `${name} differs from the code: renew it with UPDATE_DOCS=1 npm test -- drift`,
  )
}

/** The same for one table of a page of docs/, which is known by its first line. */
export function assertTable(name: string, lines: readonly string[]): void {
  const page = readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8')
  const from = page.indexOf(`${lines[0]}\n`)
  assert.ok(from >= 0, `docs/${name} has no table that begins with ${lines[0]}`)
  const end = page.indexOf('\n\n', from)
  assertPage(name, `${page.slice(0, from)}${lines.join('\n')}${end < 0 ? '\n' : page.slice(end)}`)
}
