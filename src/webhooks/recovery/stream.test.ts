import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movingClock } from '../../base/testing.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { SaidEvents } from '../../events/port.ts'
import { eventOf } from '../testing.ts'
import { EventStreams, HEARTBEAT_MS, STREAMS_MAX, STREAMS_OF_ACCOUNT_MAX, type StreamStep } from './stream.ts'

/** A store whose cursors count events, and a clock that moves when told. */
function worldOf(count = 0) {
  const said: RecordedEvent[] = []
  const say = (more: Partial<RecordedEvent> = {}) => void said.push(eventOf({ id: `whevt_${said.length}`, ...more }))
  for (let number = 0; number < count; number++) say()
  let reads = 0
  const store = {
    async eventsAfter(cursor: string | null, limit: number): Promise<SaidEvents> {
      reads++
      if (cursor === 'wrong') throw new Error('no cursor')
      const from = Number(cursor)
      const events = said.slice(from, from + limit)
      const cursors = events.map((_, index) => String(from + index + 1))
      return { events, cursors, next: cursors.at(-1) ?? String(from), isEnd: events.length < limit }
    },
    eventsEnd: async () => String(said.length),
  }
  const { clock, timers, pass } = movingClock()
  const streams = new EventStreams({ store, clock })
  const open = (
    after: string | null = null,
    chooses: (event: RecordedEvent) => boolean = () => true,
    owner: string | null = null,
  ) => streams.open({ owner, after, chooses })
  return { say, streams, open, pass, timers, reads: () => reads }
}

const idsOf = (step: StreamStep) => (step.kind === 'events' ? step.items.map(({ event }) => event.id) : step.kind)

test('a stream tells what is said from now on, at once when nudged and within a second when not', async () => {
  const { say, streams, open, pass } = worldOf(3)
  const stream = await open()
  const first = stream.next()
  await pass(10)
  say()
  streams.said()
  await pass(20)
  assert.deepEqual(idsOf(await first), ['whevt_3'])
  const second = stream.next()
  say()
  await pass(1_000)
  assert.deepEqual(idsOf(await second), ['whevt_4'])
})

test('from a cursor on it tells everything, each item with the cursor behind it', async () => {
  const { open } = worldOf(250)
  const stream = await open('100')
  const told: string[] = []
  for (let step = await stream.next(); told.length < 150; step = await stream.next()) {
    assert.equal(step.kind, 'events')
    if (step.kind === 'events') told.push(...step.items.map(({ cursor }) => cursor))
    if (told.length === 150) break
  }
  assert.deepEqual(
    told,
    Array.from({ length: 150 }, (_, index) => String(101 + index)),
  )
})

test('one that begins from a cursor is told once when it has all that was said before', async () => {
  const { open, pass, say } = worldOf(3)
  const stream = await open('1', ({ id }) => id !== 'whevt_2')
  assert.deepEqual(idsOf(await stream.next()), ['whevt_1'])
  assert.deepEqual(await stream.next(), { kind: 'live', cursor: '3' })
  const next = stream.next()
  say()
  await pass(1_000)
  assert.deepEqual(idsOf(await next), ['whevt_3'])
  const last = stream.next()
  await pass(HEARTBEAT_MS)
  assert.equal((await last).kind, 'idle')
})

test('what was not asked for moves the cursor silently, and is told with the heartbeat', async () => {
  const { open, pass, say } = worldOf()
  const stream = await open(null, ({ type }) => type === 'dir.created')
  const step = stream.next()
  say()
  say()
  await pass(HEARTBEAT_MS)
  assert.deepEqual(await step, { kind: 'idle', cursor: '2' })
  const next = stream.next()
  say({ type: 'dir.created' })
  await pass(1_000)
  assert.deepEqual(idsOf(await next), ['whevt_2'])
})

test('streams that keep up share one reading', async () => {
  const { open, pass, say, reads } = worldOf()
  const all = await Promise.all(Array.from({ length: 50 }, () => open()))
  const steps = all.map((stream) => stream.next())
  await pass(10)
  const before = reads()
  say()
  await pass(1_000)
  for (const step of await Promise.all(steps)) assert.deepEqual(idsOf(step), ['whevt_0'])
  assert.equal(reads() - before, 1)
})

test('a slow reader misses nothing and holds up nobody', async () => {
  const { open, pass, say } = worldOf()
  const [slow, quick] = [await open(), await open()]
  for (let number = 0; number < 300; number++) {
    const step = quick.next()
    say()
    await pass(1_000)
    assert.deepEqual(idsOf(await step), [`whevt_${number}`])
  }
  const told: unknown[] = []
  while (told.length < 300) told.push(...(idsOf(await slow.next()) as string[]))
  assert.equal(new Set(told).size, 300)
})

test('a sample is shown to those who would be told, and is not in the store', async () => {
  const { open, pass, streams } = worldOf(2)
  const [all, none] = [await open(), await open(null, () => false)]
  const [step, silent] = [all.next(), none.next()]
  await pass(10)
  assert.equal(streams.show(eventOf({ id: 'whevt_sample' })), 1)
  const shown = await step
  assert.deepEqual([idsOf(shown), shown.kind === 'events' && shown.items[0]?.cursor], [['whevt_sample'], '2'])
  await pass(HEARTBEAT_MS)
  assert.equal((await silent).kind, 'idle')
})

test('a cursor that is none is refused, and takes no place', async () => {
  const { open, timers } = worldOf()
  await assert.rejects(open('wrong'), /no cursor/)
  assert.equal(timers.size, 0)
})

test('so many streams and no more; one that is closed makes room', async () => {
  const { open } = worldOf()
  const streams = await Promise.all(Array.from({ length: STREAMS_MAX }, () => open()))
  await assert.rejects(open(), { code: 'limit_reached' })
  streams[0]!.close()
  await open()
})

test('when the server stops, all end and none begins', async () => {
  const { open, streams, pass, timers } = worldOf()
  const stream = await open()
  const step = stream.next()
  await pass(10)
  streams.stop()
  assert.deepEqual(await step, { kind: 'ended', cursor: '0', reason: 'the server is stopping' })
  await assert.rejects(open(), { code: 'stopping' })
  assert.equal(timers.size, 0)
})

test('an account cannot take all streams of a node', async () => {
  const { open } = worldOf()
  const openAs = (owner: string | null) => open(null, () => true, owner)
  const own = await Promise.all(Array.from({ length: STREAMS_OF_ACCOUNT_MAX }, () => openAs('acc_a')))
  await assert.rejects(openAs('acc_a'), {
    code: 'limit_reached',
    message: /^the account has 10 streams open on this node; at most 10/,
  })
  const others = [await openAs('acc_b'), await openAs(null)]
  own[0]!.close()
  for (const stream of [await openAs('acc_a'), ...own, ...others]) stream.close()
})
