import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlob, faultOfGlob } from './glob.ts'

const cases: { glob: string; takes?: string[]; refuses?: string[] }[] = [
  { glob: '/a.csv', takes: ['/a.csv'], refuses: ['/a.csvx', '/b/a.csv', 'a.csv', ''] },
  { glob: '/incoming/*.csv', takes: ['/incoming/a.csv', '/incoming/.csv'], refuses: ['/incoming/x/a.csv', '/incoming/a.csv/'] },
  {
    glob: '/incoming/**/*.csv',
    takes: ['/incoming/a.csv', '/incoming/x/a.csv', '/incoming/x/y/a.csv'],
    refuses: ['/incoming', '/incoming/a.txt', '/x/incoming/a.csv', '/incomings/a.csv'],
  },
  { glob: '/incoming/**', takes: ['/incoming/a', '/incoming/a/b'], refuses: ['/incoming', '/incomings/a'] },
  { glob: '**', takes: ['', '/', '/a/b', 'a'] },
  { glob: '**/*.csv', takes: ['a.csv', '/a.csv', '/x/y/a.csv'], refuses: ['/x/a.csvx'] },
  { glob: '/**/done/**/x?', takes: ['/done/x1', '/a/done/b/c/xy'], refuses: ['/done/x', '/a/b/x1', '/done/x/'] },
  { glob: '/a/**/b/**/c', takes: ['/a/b/c', '/a/b/b/c', '/a/x/b/y/c'], refuses: ['/a/c', '/a/b/c/d'] },
  { glob: '*a*b', takes: ['ab', 'aab', 'xaybzb'], refuses: ['ba', 'a/b', 'abx'] },
  { glob: 'a**b', takes: ['ab', 'axxb'], refuses: ['a/b'] },
  { glob: '/?', takes: ['/a', '/é', '/😀'], refuses: ['/', '/ab', '//'] },
  { glob: '', takes: [''], refuses: ['/', 'a'] },
  { glob: '/[a-z].(csv)+', takes: ['/[a-z].(csv)+'], refuses: ['/a.csv'] },
]
for (const { glob, takes = [], refuses = [] } of cases) {
  test(`glob ${glob}`, () => {
    for (const path of takes) assert.ok(compileGlob(glob)(path), `${glob} takes ${path}`)
    for (const path of refuses) assert.ok(!compileGlob(glob)(path), `${glob} refuses ${path}`)
  })
}

/** The meaning of a glob as a recursion that tries everything. */
function takes(glob: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = glob
  if (first === undefined) return path.length === 0
  if (first === '**' && rest.length === 0) return path.length > 0
  if (first === '**') return takes(rest, path) || (path.length > 0 && takes(glob, path.slice(1)))
  return path.length > 0 && takesSegment(first, path[0]!) && takes(rest, path.slice(1))
}

function takesSegment(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob[0] === '*') return takesSegment(glob.slice(1), text) || (text !== '' && takesSegment(glob, text.slice(1)))
  return text !== '' && (glob[0] === '?' || glob[0] === text[0]) && takesSegment(glob.slice(1), text.slice(1))
}

const textOf = (...parts: string[]) => fc.array(fc.constantFrom(...parts), { maxLength: 10 }).map((list) => list.join(''))

test('property: a glob takes what the naive meaning takes', () => {
  fc.assert(
    fc.property(textOf('a', 'b', '/', '*', '?', '/**/', '**'), textOf('a', 'b', '/'), (glob, path) => {
      assert.equal(compileGlob(glob)(path), takes(glob.split('/'), path.split('/')), `${glob} on ${path}`)
    }),
    { numRuns: 5_000 },
  )
})

test('the worst globs that are taken cost little on the longest paths', () => {
  // What one path and one glob may keep the writer of the database busy on the slowest of machines, µs: 13,000 where this was written. With backtracking these
  // would not end within the life of the machine.
  const most = 300_000
  const paths = [`/${'a/'.repeat(2_040)}a`, `/${`${'a'.repeat(254)}/`.repeat(16)}`, `/${'a'.repeat(4_095)}`]
  const globs = [
    `/**/${'*a/'.repeat(29)}b`,
    `/${'**/a/'.repeat(15)}b`,
    `/**/${'a/'.repeat(15)}b/**/${'a/'.repeat(12)}b`,
    `/**/*${'a'.repeat(200)}b*/**`,
    `/${'*a'.repeat(125)}b`,
    `${'*'.repeat(255)}b`,
  ]
  for (const glob of globs) {
    assert.equal(faultOfGlob(glob), undefined)
    for (const path of paths) {
      const before = process.cpuUsage()
      assert.ok(!compileGlob(glob)(path))
      const { user, system } = process.cpuUsage(before)
      assert.ok(user + system < most, `${glob.slice(0, 20)}… on ${path.slice(0, 8)}… took ${user + system} µs`)
    }
  }
})
