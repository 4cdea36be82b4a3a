import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import { TAKE_OVER_EVERY_MS } from './files.ts'
import type { Intent, Partial } from './port.ts'
import { openWorld, type World } from './testing.ts'

/** What another node left: a folder that is recorded and not made, and an upload that it was writing. */
function leaveBehind({ rows, home }: World): void {
  mkdirSync(home, { recursive: true })
  const intent: Intent = {
    ...{ id: 'int_1', node: 'node_gone', eventId: 'whevt_1', accountId: 'acc_1' },
    deed: { kind: 'mkdir', path: '/acme/pipeline/late', mode: 0o755 },
    usage: { bytes: 0, files: 0 },
    createdAt: 0,
  }
  const draft = { id: 'whevt_1', type: 'dir.created', accountId: 'acc_1', occurredAt: 0, data: { path: '/late' } } as const
  const partial: Partial = {
    ...{ id: 'upl_1', accountId: 'acc_1', userId: 'usr_1', node: 'node_gone', path: '/acme/pipeline/f' },
    ...{ temporary: '/.landfall/uploads/upl_1', identity: '', prefixBytes: 0, startedAt: 0, updatedAt: 0 },
  }
  rows.intents.set(intent.id, intent)
  rows.events.set(draft.id, { draft, state: 'held' })
  rows.partials.set(partial.id, partial)
}

test('what a node leaves that dies later is taken over within seconds, not at the next start', async (t) => {
  const due: (() => void)[] = []
  const clock: Clock = {
    ...systemClock,
    after(ms, call) {
      if (ms !== TAKE_OVER_EVERY_MS) return systemClock.after(ms, call)
      due.push(call)
      return () => {}
    },
  }
  const world = await openWorld({ clock })
  t.after(() => world.end())
  leaveBehind(world)
  assert.equal(due.length, 1)
  due.shift()!()
  await world.files.stop()
  assert.deepEqual(world.said(), ['dir.created /late'])
  assert.ok(existsSync(join(world.home, 'late')))
  assert.equal(world.rows.partials.get('upl_1')!.node, null)
  assert.equal(due.length, 0, 'a stopped process looks no more')
})

test('a look that fails is followed by the next one', async (t) => {
  const due: (() => void)[] = []
  const looks: (() => void)[] = []
  const clock: Clock = {
    ...systemClock,
    after(ms, call) {
      if (ms !== TAKE_OVER_EVERY_MS) return systemClock.after(ms, call)
      due.push(call)
      looks.shift()?.()
      return () => {}
    },
  }
  let failing = false
  const world = await openWorld({
    clock,
    wrapStore: (store) => ({
      ...store,
      takeIntents: (...given) => (failing ? Promise.reject(new Error('no answer')) : store.takeIntents(...given)),
    }),
  })
  t.after(() => world.end())
  leaveBehind(world)
  failing = true
  const planned = new Promise<void>((resolve) => looks.push(resolve))
  due.shift()!()
  await planned
  failing = false
  due.shift()!()
  await world.files.stop()
  assert.deepEqual(world.said(), ['dir.created /late'])
})
