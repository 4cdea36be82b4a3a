import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSyncGate } from './sync-gate.ts'

test('who asks during a sync gets the next one, together with all who asked by then', async () => {
  const syncs: PromiseWithResolvers<void>[] = []
  const gate = createSyncGate(() => {
    const sync = Promise.withResolvers<void>()
    syncs.push(sync)
    return sync.promise
  })
  const order: string[] = []
  const first = gate().then(() => order.push('first'))
  const others = [gate().then(() => order.push('second')), gate().then(() => order.push('third'))]
  assert.equal(syncs.length, 1)
  syncs[0]!.resolve()
  await first
  assert.deepEqual(order, ['first'])
  while (syncs.length < 2) await Promise.resolve()
  syncs[1]!.resolve()
  await Promise.all(others)
  assert.equal(syncs.length, 2)
})

test('a sync that fails fails for those it was for, and not for the next', async () => {
  let failing = true
  const gate = createSyncGate(async () => {
    if (failing) throw new Error('the disk is gone')
  })
  const failed = gate()
  const next = gate()
  failing = false
  await assert.rejects(failed)
  await next
})
