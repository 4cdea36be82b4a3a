import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import fastify from 'fastify'
import { movingClock } from '../../base/testing.ts'
import type { ServerMessage } from '../../wire/agent/work.ts'
import { LINE_BYTES_MAX } from '../../wire/agent/work.ts'
import { AgentStream, STALLED_MS, UNREAD_BYTES_MAX } from './stream.ts'

/** A stream to somebody who has not read anything yet. */
async function openStream(t: { after: (end: () => unknown) => void }) {
  const time = movingClock()
  const { promise, resolve } = Promise.withResolvers<AgentStream>()
  const app = fastify()
  app.get('/', async (_request, reply) => {
    const stream = new AgentStream(reply, time.clock)
    stream.begin(named(''))
    resolve(stream)
    await stream.over
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  t.after(() => {
    socket.destroy()
    app.server.closeAllConnections()
    return app.close()
  })
  return { stream: await promise, socket, time }
}

function named(name: string): ServerMessage {
  return { type: 'orders', name, heartbeatMs: 1, concurrency: 1, renewBeforeMs: 1 }
}

/** Looks in a row, with 5 ms between them, at which nothing was taken: longer than a system puts off what it acknowledges. */
const LOOKS = 40

/** Sends until the system takes no more: what comes then waits in this process. */
async function fill(stream: AgentStream) {
  const message = named('x'.repeat(100_000))
  for (let looks = 0; looks < LOOKS; looks++) {
    if (stream.unreadBytes === 0) {
      stream.send(message)
      looks = 0
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('an agent that takes nothing for a while is stalled, however little waits', async (t) => {
  const { stream, time, socket } = await openStream(t)
  await fill(stream)
  assert.ok(stream.unreadBytes < UNREAD_BYTES_MAX)
  await time.pass(STALLED_MS - 1)
  assert.equal(stream.isStalled, false)
  await time.pass(1)
  assert.equal(stream.isStalled, true)
  // It has only been slow.
  socket.resume()
  while (stream.unreadBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(stream.isStalled, false)
})

test('what waits for an agent has a bound, and then it is cut', async (t) => {
  const { stream, socket } = await openStream(t)
  await fill(stream)
  for (let sent = 0; !stream.isOver; sent += 100_000) {
    stream.send(named('x'.repeat(100_000)))
    assert.ok(sent <= UNREAD_BYTES_MAX)
  }
  await stream.over
  await once(socket.resume(), 'close')
})

test('a stream that is ended to somebody who does not read is cut soon', async (t) => {
  const { stream, socket, time } = await openStream(t)
  await fill(stream)
  stream.end({ type: 'revoked' })
  await stream.over
  const closed = once(socket, 'close')
  await time.pass(2_000)
  socket.resume()
  await closed
})

test('what is sent after the end, or to somebody who has gone, goes nowhere', async (t) => {
  const { stream, socket } = await openStream(t)
  socket.destroy()
  await stream.over
  stream.send({ type: 'beat' })
  stream.end()
  assert.equal(stream.isOver, true)
})

test('a line that agents would not read is a fault of whoever sends it', async (t) => {
  const { stream } = await openStream(t)
  assert.throws(() => stream.send(named('x'.repeat(LINE_BYTES_MAX))), /a message of type orders has \d+ bytes/)
})
