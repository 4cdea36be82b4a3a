import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { SECOND_MS } from '../base/units.ts'
import { HAND_OUT_AGAIN_AFTER_MS, type Hello, type ServerMessage, type Work } from '../wire/agent/work.ts'
import { createDispatcher, createSilenceWatch, SILENCE_SWEEP_MS, STOP_SWEEP_MS, SWEEP_MS } from './dispatch.ts'
import { anAgent } from './testing.ts'
import type { HeldWork, WorkSource } from './work-source.ts'

const AGENT = anAgent(0, { concurrency: 2 })
const hello = (leases: string[] = []): Hello => ({ instance: 'i', leases, version: '1', hostname: 'h', os: 'linux' })
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
}

/** Work that is kept in memory, as a source would in the database. */
class Source implements WorkSource {
  readonly waiting: string[] = []
  readonly holding = new Map<string, HeldWork>()
  readonly asked: string[] = []
  /** Calls wait for it. */
  gate: Promise<void> = Promise.resolve()
  failures = 0

  async #enter(call: string) {
    this.asked.push(call)
    await this.gate
    if (this.failures > 0) {
      this.failures -= 1
      throw new Error('no answer')
    }
  }
  async take(_agentId: string, limit: number): Promise<readonly Work[]> {
    await this.#enter(`take ${limit}`)
    return this.waiting.splice(0, limit).map((lease) => {
      this.holding.set(lease, { lease, isCancelled: false })
      return { kind: 'transfer', lease } as Work
    })
  }
  async report(_agentId: string, lease: string) {
    return this.holding.delete(lease) ? { go: true } : undefined
  }
  async putBack(_agentId: string, kept: readonly string[]) {
    await this.#enter(`put back all but ${kept.join()}`)
    for (const lease of [...this.holding.keys()].filter((held) => !kept.includes(held))) {
      this.holding.delete(lease)
      this.waiting.push(`${lease}'`)
    }
  }
  async held() {
    return [...this.holding.values()]
  }
}

function open(
  more: {
    sources?: Source[]
    released?: () => Promise<void>
    silent?: () => string[]
    stopping?: () => string[]
    clock?: Clock
  } = {},
) {
  const moving = movingClock(1_000_000)
  const source = new Source()
  const logged: string[] = []
  const line = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const seenBefore: number[] = []
  const store = {
    async silentHolders(before: number) {
      seenBefore.push(before)
      return more.silent?.() ?? []
    },
    stoppingAgents: async () => more.stopping?.() ?? [],
  }
  const dispatcher = createDispatcher({
    sources: more.sources ?? [source],
    released: more.released ?? (async () => {}),
    store,
    clock: more.clock ?? moving.clock,
    log,
  })
  const sent: string[] = []
  const send = (message: ServerMessage) =>
    void sent.push(message.type === 'work' ? message.work.lease : `${message.type} ${'lease' in message ? message.lease : ''}`)
  return { ...moving, source, dispatcher, sent, send, logged, seenBefore }
}

test('what the hello does not name is put back before anything is handed out', async () => {
  const { source, dispatcher, sent, send } = open()
  source.holding.set('kept', { lease: 'kept', isCancelled: false }).set('gone', { lease: 'gone', isCancelled: false })
  dispatcher.attach(AGENT, hello(['kept']), send)
  await settle()
  assert.deepEqual([source.asked, sent], [['put back all but kept', 'take 1'], ["gone'"]])
})

test('nothing is handed out before what was released by the agent is closed', async () => {
  const closing = Promise.withResolvers<void>()
  const { source, dispatcher, sent, send } = open({ released: () => closing.promise })
  source.holding.set('gone', { lease: 'gone', isCancelled: false })
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  assert.deepEqual([source.asked, sent], [['put back all but '], []])
  closing.resolve()
  await settle()
  assert.deepEqual(sent, ["gone'"])
})

test('no more than the free slots; the next one when a report frees one', async () => {
  const { source, dispatcher, sent, send } = open()
  source.waiting.push('a', 'b', 'c')
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  assert.deepEqual(sent, ['a', 'b'])
  assert.deepEqual(await dispatcher.report(AGENT.id, 'a', { state: 'cancelled', bytesTransferred: 0 }), { go: true })
  await settle()
  assert.deepEqual(sent, ['a', 'b', 'c'])
  assert.deepEqual(await dispatcher.report(AGENT.id, 'nobody', { state: 'cancelled', bytesTransferred: 0 }), { go: false })
})

test('sources are asked in turn, for what is left', async () => {
  const [first, second] = [new Source(), new Source()]
  const { dispatcher, sent, send } = open({ sources: [first, second] })
  first.waiting.push('list')
  second.waiting.push('move', 'wait')
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  assert.deepEqual(
    [sent, second.asked],
    [
      ['list', 'move'],
      ['put back all but ', 'take 1'],
    ],
  )
})

test('work that takes no slot is handed out where none is free, so many at a time', async () => {
  const [slots, beside] = [new Source(), Object.assign(new Source(), { besideMax: 3 })]
  const { dispatcher, sent, send } = open({ sources: [slots, beside] })
  slots.waiting.push('a', 'b', 'c')
  beside.waiting.push('x', 'y')
  beside.held = async () => []
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  assert.deepEqual(sent, ['a', 'b', 'x', 'y'])
  assert.equal(beside.asked.at(-1), 'take 3')
})

test('work that takes no slot and is told as held counts among its own', async () => {
  const [slots, beside] = [new Source(), Object.assign(new Source(), { besideMax: 3 })]
  const { dispatcher, sent, send } = open({ sources: [slots, beside] })
  slots.waiting.push('a', 'b', 'c')
  beside.holding.set('w', { lease: 'w', isCancelled: false })
  beside.waiting.push('x', 'y', 'z')
  dispatcher.attach(AGENT, hello(['w']), send)
  await settle()
  assert.deepEqual(sent, ['a', 'b', 'x', 'y'])
})

test('what another node was asked to stop is said down the stream of this one within a quarter of a second', async () => {
  const stopping: string[] = []
  const { source, dispatcher, sent, send, pass } = open({ stopping: () => stopping })
  dispatcher.start()
  source.holding.set('a', { lease: 'a', isCancelled: false })
  dispatcher.attach(AGENT, hello(['a']), send)
  await settle()
  source.holding.set('a', { lease: 'a', isCancelled: true })
  stopping.push('agent elsewhere', AGENT.id)
  await pass(STOP_SWEEP_MS)
  await settle()
  assert.deepEqual(sent, ['cancel a'])
  await dispatcher.stop()
})

test('any number of nudges is one look, and never two at the same time', async () => {
  const { source, dispatcher, sent, send } = open()
  let release = () => {}
  source.gate = new Promise((resolve) => {
    release = resolve
  })
  source.waiting.push('a')
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  for (let nudge = 0; nudge < 50; nudge += 1) dispatcher.nudge(nudge % 2 === 0 ? AGENT.id : null)
  assert.deepEqual(source.asked, ['put back all but '])
  release()
  await settle()
  assert.deepEqual([source.asked, sent], [['put back all but ', 'take 2', 'take 1'], ['a']])
})

test('what is to be stopped is said until the agent has stopped', async () => {
  const { source, dispatcher, sent, send, pass } = open()
  dispatcher.start()
  source.waiting.push('a')
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  source.holding.set('a', { lease: 'a', isCancelled: true })
  dispatcher.nudge(AGENT.id)
  await settle()
  assert.deepEqual(sent, ['a', 'cancel a'])
  await pass(SWEEP_MS)
  await settle()
  assert.deepEqual(sent, ['a', 'cancel a', 'cancel a'])
  await dispatcher.stop()
})

test('a later stream takes the place of the one before', async () => {
  const { source, dispatcher, sent, send } = open()
  const old: ServerMessage[] = []
  const before = dispatcher.attach(AGENT, hello(), (message) => old.push(message))
  await settle()
  dispatcher.attach(AGENT, hello(), send)
  before.detach()
  source.waiting.push('a')
  dispatcher.nudge(AGENT.id)
  await settle()
  assert.deepEqual([old, sent], [[], ['a']])
})

test('nothing goes down a stream that is closed; orders take effect at once', async () => {
  const { source, dispatcher, sent, send } = open()
  const line = dispatcher.attach({ ...AGENT, concurrency: 1 }, hello(), send)
  source.waiting.push('a', 'b', 'c')
  dispatcher.nudge(null)
  await settle()
  assert.deepEqual(sent, ['a'])
  line.changed({ ...AGENT, concurrency: 2 })
  await settle()
  assert.deepEqual(sent, ['a', 'b'])
  line.detach()
  source.holding.clear()
  dispatcher.nudge(AGENT.id)
  await settle()
  assert.deepEqual([sent, source.waiting], [['a', 'b'], ['c']])
})

test('a store that does not answer is asked again; nothing is handed out before the rest is put back', async () => {
  const { source, dispatcher, sent, send, pass, logged } = open()
  dispatcher.start()
  source.failures = 2
  source.holding.set('gone', { lease: 'gone', isCancelled: false })
  dispatcher.attach(AGENT, hello(), send)
  await settle()
  assert.deepEqual([sent, logged.length], [[], 1])
  await pass(SWEEP_MS)
  await settle()
  assert.deepEqual([sent, logged.length], [[], 2])
  await pass(SWEEP_MS)
  await settle()
  assert.deepEqual(sent, ["gone'"])
  await dispatcher.stop()
})

test('what silent agents held is put back, 90 s after they were last heard of', async () => {
  let silent: string[] = []
  const { source, dispatcher, pass, seenBefore, clock } = open({ silent: () => silent })
  dispatcher.start()
  source.holding.set('a', { lease: 'a', isCancelled: false })
  await pass(SILENCE_SWEEP_MS)
  assert.deepEqual([seenBefore, source.asked], [[clock.now() - HAND_OUT_AGAIN_AFTER_MS], []])
  silent = [AGENT.id]
  await pass(SILENCE_SWEEP_MS)
  await settle()
  assert.deepEqual([source.asked, source.waiting], [['put back all but '], ["a'"]])
  await dispatcher.stop()
  const { length } = seenBefore
  await pass(10 * SILENCE_SWEEP_MS)
  assert.equal(seenBefore.length, length)
})

test('a clock that was set makes nobody silent', () => {
  let wall = 0
  let monotonic = 0
  const clock: Clock = { now: () => wall, monotonic: () => monotonic, after: () => () => {} }
  const watch = createSilenceWatch(clock)
  const pass = (ms: number, step = 0) => {
    wall += ms + step
    monotonic += ms
    return watch.mayJudge()
  }
  assert.equal(pass(10 * SECOND_MS), true)
  assert.equal(pass(10 * SECOND_MS, 500), true)
  assert.equal(pass(10 * SECOND_MS, 120 * SECOND_MS), false)
  assert.equal(pass(HAND_OUT_AGAIN_AFTER_MS - SECOND_MS), false)
  assert.equal(pass(SECOND_MS), true)
  assert.equal(pass(SECOND_MS, -3_600 * SECOND_MS), false)
})
