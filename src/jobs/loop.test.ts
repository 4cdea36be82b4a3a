import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileGlob } from '../base/glob.ts'
import { checkLoop, leadsInto } from './loop.ts'

const cases: [string, string, boolean][] = [
  ['/o/**/*.csv', '/o/done/', true],
  ['/o/**/*.csv', '/o/done', true],
  ['/o/**/*.csv', '/o//x/./done/', true],
  ['/o/**', '/o/done/', true],
  ['/**', '/anywhere/', true],
  ['/o/**/in/*.csv', '/o/done/', true],
  ['/o/**/*.csv', '/o/', true],
  ['/o/*.csv', '/o', true],
  // As deep as the files were found, and a folder deeper.
  ['/o/*.csv', '/o/done/', false],
  ['/o/*/*.csv', '/o/done/', false],
  ['/o/**/*.csv', '/done/', false],
  ['/o/**/*.csv', '/other/o/', false],
  ['/o/in/**', '/o/', false],
  ['/o/**', '/old/', false],
  // Wildcards pass over what begins with a dot.
  ['/o/**/*.csv', '/o/.done/', false],
  ['/o/**/*.csv', '/o/x/.done/', false],
  ['/o/.*/**', '/o/.done/', false],
  ['/o/.*/x/**', '/o/.done/x/y/', false],
  // Folders before the gap have to fit.
  ['/o/a*/**', '/o/archive/', true],
  ['/o/a*/**', '/o/done/', false],
  ['/o/?/b/**', '/o/c/', true],
  ['/o/?/b/**', '/o/c/b/', true],
  ['/o/?/b/**', '/o/c/d/', false],
  ['/o/in*/out*/**', '/o/inner/', false],
  ['/o/*/x*/**', '/o/done/', true],
]
for (const [glob, folder, leads] of cases) {
  test(`${glob} ${leads ? 'leads' : 'does not lead'} into ${folder}`, () => assert.equal(leadsInto(glob, folder), leads))
}

test('a glob leads into a folder exactly where it takes a file, and takes it again there', () => {
  const paths = (names: readonly string[], most: number): string[][] =>
    most === 0 ? [[]] : [[], ...paths(names, most - 1).flatMap((path) => names.map((name) => [...path, name]))]
  const [targets, relatives] = [2, 4].map((most) => paths(['a', 'b', 'ab'], most).filter(({ length }) => length > 0))
  const patterns = paths(['a', '*', '?', '**', 'a*', '*b'], 3).filter(([first]) => first !== undefined && /[*?]/.test(first))
  for (const pattern of patterns) {
    const takes = compileGlob(pattern.join('/'))
    const taken = relatives!.map((relative) => relative.join('/')).filter(takes)
    for (const target of targets!) {
      const folder = target.join('/')
      const isTakenAgain = taken.some((relative) => takes(`${folder}/${relative}`))
      assert.equal(leadsInto(`/o/${pattern.join('/')}`, `/o/${folder}/`), isTakenAgain, `${pattern.join('/')} into ${folder}`)
    }
  }
})

const KEPT = { postAction: { kind: 'keep' } } as const
const moved = (to: string) => ({ postAction: { kind: 'move', to } }) as const
const routes: [string, Parameters<typeof checkLoop>[0], string | undefined][] = [
  ['on one machine', { remoteId: null, sourcePath: '/o/**', destinationPath: '/o/copy/', options: KEPT }, 'destinationPath'],
  [
    'in one space',
    { remoteId: null, sourcePath: 'space://acme/anna/**', destinationPath: 'space://acme/anna/copy/', options: KEPT },
    'destinationPath',
  ],
  [
    'in spaces of two users',
    { remoteId: null, sourcePath: 'space://acme/anna/**', destinationPath: 'space://acme/bob/copy/', options: KEPT },
    undefined,
  ],
  [
    'from a space to the machine',
    { remoteId: null, sourcePath: 'space://acme/anna/o/**', destinationPath: '/o/copy/', options: KEPT },
    undefined,
  ],
  ['from a remote', { remoteId: 'rmt_1', sourcePath: '/o/**', destinationPath: '/o/copy/', options: KEPT }, undefined],
  [
    'moved at the remote',
    { remoteId: 'rmt_1', sourcePath: '/o/**', destinationPath: '/in/', options: moved('/o/done/') },
    'postAction.to',
  ],
  [
    'moved in the space',
    { remoteId: null, sourcePath: 'space://acme/anna/o/**', destinationPath: '/in/', options: moved('/o/done/') },
    'postAction.to',
  ],
  ['one file', { remoteId: null, sourcePath: '/o/a', destinationPath: '/o/b', options: moved('/o/c') }, undefined],
]
for (const [name, route, field] of routes) {
  test(`${name}: ${field === undefined ? 'goes' : 'is refused'}`, () => {
    if (field === undefined) checkLoop(route)
    else assert.throws(() => checkLoop(route), { code: 'invalid', field })
  })
}
