import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { eventually } from '../../test/eventually.ts'
import type { Agent } from '../agents/agent.ts'
import type { Admission, Enrolment } from '../agents/enroll.ts'
import { AppError } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { SECOND_MS } from '../base/units.ts'
import type { BuiltinAgentData } from '../wire/agent/builtin.ts'
import { runBuiltinAgent } from './builtin-agent.ts'

const DATA: BuiltinAgentData = { folder: '/f', roots: [], server: 'http://s', agents: 's:1', ca: 'CA', version: '1.2.3' }

/** Threads that run this code in place of an agent. */
function keep(code: string | ((nth: number) => string), enrol: Enrolment['register'] = async () => assert.fail('nobody asked')) {
  const time = movingClock()
  const logged: string[] = []
  const line = (_fields: object, message: string) => void logged.push(message)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const startedAt: number[] = []
  let running = 0
  const threads: Worker[] = []
  const startThread = (data: BuiltinAgentData) => {
    startedAt.push(time.clock.now())
    const text = typeof code === 'string' ? code : code(startedAt.length)
    const thread = new Worker(`const { parentPort } = require('node:worker_threads'); ${text}`, { eval: true, workerData: data })
    running++
    thread.once('exit', () => running--)
    threads.push(thread)
    return thread
  }
  const agent = runBuiltinAgent({ data: DATA, enrolment: { register: enrol }, clock: time.clock, log, startThread })
  const isDown = () => eventually(async () => assert.equal(running, 0))
  return { agent, time, logged, startedAt, threads, isDown }
}

test('a thread that dies is started again within a minute, however often it dies', async () => {
  const { agent, time, startedAt, isDown, logged } = keep('process.exit(1)')
  assert.deepEqual(startedAt, [])
  await time.pass(250)
  for (let starts = 1; starts < 9; starts++) {
    await isDown()
    await time.pass(60 * SECOND_MS)
    assert.equal(startedAt.length, starts + 1)
  }
  await isDown()
  await agent.stop()
  assert.ok(logged.includes('the built-in agent ended; it is started again'))
  await time.pass(600 * SECOND_MS)
  assert.equal(startedAt.length, 9)
})

test('the first times it is started again after 1, 2, 4 and 8 seconds', async () => {
  const { agent, time, startedAt, isDown } = keep('throw new Error("broken")')
  await time.pass(250)
  for (const seconds of [1, 2, 4, 8]) {
    const before = startedAt.length
    await isDown()
    await time.pass(seconds * SECOND_MS - 1)
    assert.equal(startedAt.length, before)
    await time.pass(1)
    assert.equal(startedAt.length, before + 1)
  }
  await isDown()
  await agent.stop()
})

test('a thread that ran for long is started again soon, however often it died before', async () => {
  const { agent, time, startedAt, threads, isDown } = keep((nth) => (nth === 4 ? 'setInterval(() => {}, 1_000)' : ''))
  await time.pass(250)
  for (const seconds of [1, 2, 4]) {
    await isDown()
    await time.pass(seconds * SECOND_MS)
  }
  assert.equal(startedAt.length, 4)
  // Five minutes go by while it runs.
  await time.pass(300 * SECOND_MS)
  assert.equal(startedAt.length, 4)
  await threads.at(-1)!.terminate()
  await isDown()
  await time.pass(SECOND_MS)
  assert.equal(startedAt.length, 5)
  await isDown()
  await agent.stop()
})

test('an agent that was revoked is not started again', async () => {
  const { agent, time, startedAt, isDown, logged } = keep(`parentPort.postMessage({ type: 'revoked' })`)
  await time.pass(250)
  await isDown()
  await time.pass(600 * SECOND_MS)
  assert.equal(startedAt.length, 1)
  assert.deepEqual(logged, ['the built-in agent was revoked and ends'])
  await agent.stop()
})

const ASKS = `parentPort.once('message', (heard) => parentPort.postMessage({ type: 'log', level: 'info', text: JSON.stringify(heard) }))
  parentPort.postMessage({ type: 'enrol', csr: 'CSR', hostname: 'here', os: 'linux' })`

test('the server lets its own agent in, and no token is made for it', async () => {
  const asked: unknown[] = []
  const { agent, time, logged, isDown } = keep(ASKS, async (admission: Admission, input, address) => {
    asked.push('admin' in admission && admission.admin.actor, input, address)
    return { agent: { id: 'agent_1', name: 'builtin' } as Agent, apiKey: 'mft_ak_1', certificate: 'CERT' }
  })
  await time.pass(250)
  await isDown()
  assert.deepEqual(asked, [
    'server',
    { name: 'builtin', hostname: 'here', os: 'linux', version: '1.2.3', csr: 'CSR', isBuiltin: true },
    null,
  ])
  const enrolled = { type: 'enrolled', id: 'agent_1', name: 'builtin', apiKey: 'mft_ak_1', certificate: 'CERT' }
  assert.equal(logged[0], JSON.stringify(enrolled))
  await agent.stop()
})

for (const [name, error, why] of [
  ['what the person can mend is told', new AppError('forbidden', 'not now'), 'not now'],
  ['a fault of the server stays in its log', new Error('secret'), 'the server failed; its log has the details'],
] as const) {
  test(`an enrolment that fails: ${name}`, async () => {
    const { agent, time, logged, isDown } = keep(ASKS, () => Promise.reject(error))
    await time.pass(250)
    await isDown()
    assert.ok(logged.includes(JSON.stringify({ type: 'refused', why })))
    await agent.stop()
  })
}

test('a server that stops asks its agent to, and does not wait for ever', async () => {
  const polite = keep(`parentPort.on('message', ({ type }) => type === 'stop' && process.exit(0))`)
  await polite.time.pass(250)
  await polite.agent.stop()
  await polite.isDown()
  const deaf = keep(`parentPort.on('message', () => {})`)
  await deaf.time.pass(250)
  const stopped = deaf.agent.stop()
  await deaf.time.pass(6 * SECOND_MS)
  await stopped
  await deaf.isDown()
  await deaf.time.pass(600 * SECOND_MS)
  assert.deepEqual([polite.startedAt.length, deaf.startedAt.length], [1, 1])
})

test('a server that stops before its agent began has none', async () => {
  const { agent, time, startedAt } = keep('')
  await agent.stop()
  await time.pass(600 * SECOND_MS)
  assert.deepEqual(startedAt, [])
})
