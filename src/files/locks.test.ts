import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Clock, systemClock } from '../base/clock.ts'
import { codeOf } from '../base/error.ts'
import { createPathLocks, type Lock } from './locks.ts'

const b = (text: string) => Buffer.from(text)

const pairs = [
  { first: ['/a', 'path'], second: ['/a', 'path'], waits: true },
  { first: ['/a', 'path'], second: ['/b', 'path'], waits: false },
  { first: ['/a', 'path'], second: ['/a/b', 'path'], waits: false },
  { first: ['/a', 'tree'], second: ['/a/b/c', 'path'], waits: true },
  { first: ['/a/b/c', 'path'], second: ['/a', 'tree'], waits: true },
  { first: ['/a', 'tree'], second: ['/ab', 'path'], waits: false },
  { first: ['/', 'tree'], second: ['/a', 'path'], waits: true },
  { first: ['/a\xff', 'path'], second: ['/a', 'tree'], waits: false },
] as const
for (const { first, second, waits } of pairs) {
  test(`locks: ${second.join(' ')} ${waits ? 'waits for' : 'passes'} ${first.join(' ')}`, async () => {
    const locks = createPathLocks(systemClock, 10_000)
    const held = await locks.acquire([b(first[0])], first[1])
    let entered = false
    const next = locks.acquire([b(second[0])], second[1]).then((lock) => {
      entered = true
      return lock
    })
    await setImmediate()
    assert.equal(entered, !waits)
    held.release()
    ;(await next).release()
  })
}

test('locks: in the order of asking, across two paths', async () => {
  const locks = createPathLocks(systemClock, 10_000)
  const order: number[] = []
  const first = await locks.acquire([b('/a')], 'path')
  const enter = async (n: number, paths: string[]) => {
    const lock = await locks.acquire(paths.map(b), 'path')
    order.push(n)
    await setImmediate()
    lock.release()
  }
  const all = [enter(1, ['/a', '/b']), enter(2, ['/b']), enter(3, ['/b', '/a']), enter(4, ['/a'])]
  first.release()
  await Promise.all(all)
  assert.deepEqual(order, [1, 2, 3, 4])
})

test('locks: who waits too long hears path_busy and holds nobody up', async () => {
  let late = () => {}
  const clock: Clock = {
    ...systemClock,
    after(_ms, call) {
      late = call
      return () => {}
    },
  }
  const locks = createPathLocks(clock, 1000)
  const held = await locks.acquire([b('/a')], 'path')
  const waiting = locks.acquire([b('/a')], 'path')
  late()
  await assert.rejects(waiting, (error) => codeOf(error) === 'path_busy')
  const next: Promise<Lock> = locks.acquire([b('/a')], 'path')
  held.release()
  ;(await next).release()
})
