import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from './arguments.ts'

test('without words: 25 rounds over files on SQLite, and the fresh seed', () => {
  assert.deepEqual(parseArguments([], 7), { what: 'files', rounds: 25, seed: 7, stores: ['sqlite'] })
})

test('every word counts', () => {
  const wish = parseArguments(['--what', 'agents', '--store', 'both', '--seed', '0', '--rounds', '3'], 7)
  assert.deepEqual(wish, { what: 'agents', rounds: 3, seed: 0, stores: ['sqlite', 'postgres'] })
})

const refused = [
  { words: ['--round', '3'], says: /^--round is not known: npm run crash/ },
  { words: ['--rounds'], says: /^--rounds needs a value/ },
  { words: ['--rounds', '0'], says: /^--rounds is a whole number from 1 to 100000, not '0'$/ },
  { words: ['--rounds', '1e3'], says: /not '1e3'$/ },
  { words: ['--seed', '4294967296'], says: /^--seed is a whole number from 0 to 4294967295/ },
  { words: ['--seed', ''], says: /not ''$/ },
  { words: ['--store', 'mysql'], says: /^--store is one of sqlite, postgres, both, not 'mysql'$/ },
  { words: ['--store', 'toString'], says: /not 'toString'$/ },
  { words: ['--what', 'jobs'], says: /^--what is one of files, agents, not 'jobs'$/ },
]
for (const { words, says } of refused) {
  test(`refused: ${words.join(' ')}`, () => assert.throws(() => parseArguments(words, 7), { message: says }))
}
