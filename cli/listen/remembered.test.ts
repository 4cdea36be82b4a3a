import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Memory, Progress, stateFolder } from './remembered.ts'

const folder = mkdtempSync(join(tmpdir(), 'landfall-remembered-'))
after(() => rmSync(folder, { recursive: true }))
const ALL = { place: '/srv/data', events: undefined, account: undefined, webhook: undefined }

test('remembered: a place for each selection, a secret for each server, for the owner only', async () => {
  const state = join(folder, 'state')
  const memory = new Memory(state)
  assert.equal(await memory.place(ALL), undefined)
  assert.equal(await memory.secret('/srv/data'), undefined)
  const others = [{ events: 'file.*' }, { account: 'acme' }, { webhook: 'wh_1' }, { place: 'https://files.example.com' }]
  await memory.keepPlace(ALL, { cursor: '1', at: 10 })
  for (const [index, other] of others.entries())
    await memory.keepPlace({ ...ALL, ...other }, { cursor: `other-${index}`, at: 20 })
  await memory.keepPlace(ALL, { cursor: '2', at: 30 })
  await memory.keepSecret('/srv/data', 'whsec_1')

  const later = new Memory(state)
  assert.deepEqual(await later.place(ALL), { cursor: '2', at: 30 })
  assert.deepEqual(await later.place({ ...ALL, webhook: 'wh_1' }), { cursor: 'other-2', at: 20 })
  assert.deepEqual([await later.secret('/srv/data'), await later.secret('/srv/other')], ['whsec_1', undefined])
  assert.deepEqual(
    readdirSync(state).map((name) => [name.endsWith('.json'), statSync(join(state, name)).mode & 0o777]),
    Array.from({ length: 6 }, () => [true, 0o600]),
  )
  assert.equal(statSync(state).mode & 0o777, 0o700)
})

test('remembered: the order of --events makes no difference', async () => {
  const memory = new Memory(join(folder, 'order'))
  await memory.keepPlace({ ...ALL, events: 'a.*,b.*' }, { cursor: '1', at: 10 })
  assert.equal((await memory.place({ ...ALL, events: 'b.*,a.*' }))?.cursor, '1')
})

test('remembered: what cannot be read is not there, what cannot be written is told', async () => {
  const state = join(folder, 'broken')
  const memory = new Memory(state)
  for (const text of ['', 'null', '[]', '{"cursor":7,"at":"x"}', '{"cursor":"7"', '\0']) {
    await memory.keepPlace(ALL, { cursor: '1', at: 10 })
    writeFileSync(join(state, readdirSync(state)[0]!), text)
    assert.equal(await memory.place(ALL), undefined, text)
  }
  const file = join(folder, 'a-file')
  writeFileSync(file, '')
  await assert.rejects(new Memory(file).keepPlace(ALL, { cursor: '1', at: 10 }), /EEXIST|ENOTDIR/)
})

test('remembered: in the folder that XDG names, where it is absolute', () => {
  assert.equal(stateFolder({ XDG_STATE_HOME: '/var/state' }), '/var/state/landfall')
  for (const environment of [{}, { XDG_STATE_HOME: '' }, { XDG_STATE_HOME: 'state' }])
    assert.equal(stateFolder(environment), join(homedir(), '.local/state/landfall'))
})

test('progress: the cursor before which everything has ended, in whatever order it ends', () => {
  const world = fc
    .nat(20)
    .chain((count) => fc.shuffledSubarray(Array.from({ length: count }, (_, index) => index)).map((order) => ({ count, order })))
  fc.assert(
    fc.property(world, ({ count, order }) => {
      const progress = new Progress()
      const ends = Array.from({ length: count }, (_, index) => progress.begin(String(index)))
      const ended = new Set<number>()
      for (const index of order) {
        ends[index]!()
        ended.add(index)
        let prefix = 0
        while (ended.has(prefix)) prefix++
        assert.equal(progress.cursor, prefix === 0 ? undefined : String(prefix - 1))
      }
    }),
  )
})

test('progress: what was not asked for counts only once all before it has ended', () => {
  const progress = new Progress()
  progress.moved('1')
  const end = progress.begin('2')
  progress.moved('3')
  assert.equal(progress.cursor, '1')
  end()
  assert.equal(progress.cursor, '3')
})
