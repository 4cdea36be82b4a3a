import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grantsOfListing, grantsOfTransfer, type SpaceAction } from './space-grant.ts'
import { aTransfer } from './testing.ts'

const ACTIONS: readonly SpaceAction[] = ['look', 'list', 'read', 'write', 'remove']

test('a transfer that keeps its source may read it, and write its destination', () => {
  const [source, destination] = grantsOfTransfer(
    aTransfer(0, { sourceUrl: 'space://default/anna/out/a.csv', destinationPath: 'space://default/bob/in/a.csv' }),
  )
  assert.deepEqual([source!.account, source!.user, destination!.user], ['default', 'anna', 'bob'])
  assert.deepEqual(
    ACTIONS.filter((action) => source!.may(action, '/out/a.csv')),
    ['look', 'read'],
  )
  assert.deepEqual(
    ACTIONS.filter((action) => destination!.may(action, '/in/a.csv')),
    ['look', 'write'],
  )
  for (const path of ['/out/b.csv', '/out', '/', '/in/a.csv', '/out/a.csv/..'])
    assert.deepEqual(
      ACTIONS.filter((action) => source!.may(action, path)),
      [],
      path,
    )
})

test('what happens to the source is part of the work', () => {
  const sourceUrl = 'space://default/anna/out/a.csv'
  const policy = aTransfer(0).policy
  const [deletes] = grantsOfTransfer(aTransfer(0, { sourceUrl, policy: { ...policy, postAction: { kind: 'delete' } } }))
  assert.deepEqual(
    ACTIONS.filter((action) => deletes!.may(action, '/out/a.csv')),
    ['look', 'read', 'remove'],
  )
  const moving = aTransfer(0, { sourceUrl, policy: { ...policy, postAction: { kind: 'move', to: '/done/a.csv' } } })
  const [moves] = grantsOfTransfer(moving)
  for (const path of ['/done/a.csv', `/done/a.${moving.id}.csv`])
    assert.deepEqual(
      ACTIONS.filter((action) => moves!.may(action, path)),
      ['look', 'write'],
      path,
    )
})

test('where the source goes from, the part of this very transfer may be looked at', () => {
  const sourceUrl = 'space://default/anna/out/a.csv'
  const transfer = aTransfer(0, { sourceUrl })
  const part = `/out/.a.csv.${transfer.id}.part`
  const [keeps] = grantsOfTransfer(transfer)
  assert.equal(keeps!.may('look', part), false)
  const [deletes] = grantsOfTransfer({ ...transfer, policy: { ...transfer.policy, postAction: { kind: 'delete' } } })
  assert.deepEqual(
    ACTIONS.filter((action) => deletes!.may(action, part)),
    ['look'],
  )
  for (const path of [`/in/.a.csv.${transfer.id}.part`, `/out/x/../.a.csv.${transfer.id}.part`, '/out/.a.csv.trf_other.part'])
    assert.equal(deletes!.may('look', path), false, path)
})

test('a transfer between other places lets nobody into a space', () => {
  assert.deepEqual(grantsOfTransfer(aTransfer(0, { sourceUrl: 'sftp://host/a', destinationPath: '/a' })), [])
})

const listings = [
  { glob: '/out/*.csv', inside: ['/out', '/out/a.csv', '/out/x/y'], outside: ['/', '/outer', '/in/a.csv'] },
  { glob: '/out/**', inside: ['/out', '/out/x/y'], outside: ['/'] },
  { glob: '/*', inside: ['/', '/a'], outside: [] },
  { glob: '/out/a.csv', inside: ['/out/a.csv'], outside: ['/out', '/out/b.csv'] },
]
for (const { glob, inside, outside } of listings) {
  test(`a listing of ${glob}`, () => {
    const [grant] = grantsOfListing(`space://default/anna${glob}`)
    for (const path of inside)
      assert.deepEqual(
        ACTIONS.filter((action) => grant!.may(action, path)),
        ['look', 'list', 'read'],
        path,
      )
    for (const path of outside)
      assert.deepEqual(
        ACTIONS.filter((action) => grant!.may(action, path)),
        [],
        path,
      )
  })
}
