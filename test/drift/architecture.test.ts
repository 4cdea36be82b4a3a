import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const ROOT = new URL('../../', import.meta.url)
const PAGE = readFileSync(new URL('docs/architecture.md', ROOT), 'utf8')

test('docs/architecture.md explains every folder of src', () => {
  const folders = readdirSync(new URL('src', ROOT), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.ok(folders.length > 0)
  for (const { name } of folders) assert.match(PAGE, new RegExp(`^\\| \`src/${name}\` \\|`, 'm'))
})

test('docs/architecture.md explains every table of the database', () => {
  const schema = readFileSync(new URL('src/store/schema.sqlite.sql', ROOT), 'utf8')
  const tables = [...schema.matchAll(/^CREATE TABLE "?(\w+)"?/gm)].map(([, name]) => name)
  assert.ok(tables.length > 0)
  for (const table of tables) assert.match(PAGE, new RegExp(`^\\| .*\`${table}\`.* \\|`, 'm'))
})

test('docs/architecture.md links every decision', () => {
  for (const name of readdirSync(new URL('docs/decisions', ROOT))) assert.ok(PAGE.includes(`(decisions/${name})`), name)
})
