import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { test } from 'node:test'
import { resolveHook } from './resolve.ts'

const here = 'file:///a%20folder/src/app/app.ts'
const kysely = import.meta.resolve('kysely')

const cases = [
  { specifier: './other.ts', from: here, url: 'file:///a%20folder/src/app/other.ts', format: 'module-typescript' },
  { specifier: '../base/id.ts', from: here, url: 'file:///a%20folder/src/base/id.ts', format: 'module-typescript' },
  { specifier: './kysely.js', from: kysely, url: new URL('kysely.js', kysely).href, format: 'module' },
  { specifier: './package.json', from: here },
  { specifier: './plain.js', from: here },
  { specifier: 'kysely', from: here },
  { specifier: 'node:fs', from: here },
  { specifier: './main.ts', from: undefined },
]
for (const { specifier, from, url, format } of cases) {
  test(`${specifier} of ${from}: ${url ?? "Node's way"}`, () => {
    const theirs = { url: "Node's way", format: null }
    const context = { conditions: [], importAttributes: {}, parentURL: from }
    const resolved = resolveHook(specifier, context, () => theirs)
    assert.deepEqual(resolved, url === undefined ? theirs : { url, format, shortCircuit: true })
  })
}

test('Kysely is where the hook looks for it, and all of it is ES modules', () => {
  const { type } = JSON.parse(readFileSync(findPackageJSON('kysely', import.meta.url)!, 'utf8'))
  assert.equal(type, 'module')
  assert.match(kysely, /\/node_modules\/kysely\/dist\/index\.js$/)
})
