import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Agent } from '../../agents/agent.ts'
import { systemClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { openWorld } from '../../files/testing.ts'
import { createGround } from '../ground.ts'
import { asMftplusError } from '../mftplus/shapes.ts'
import { createSpaces } from './spaces.ts'

// The agent dies in the middle of a file, and says hello again before the server has noticed that its space is unused.

const AGENT = 'agt_of_tests'

async function openDoor(t: TestContext) {
  const world = await openWorld()
  const held = new Set(['first'])
  let isOpen = true
  const spaces = createSpaces({
    grantsOf: async (_agentId, lease) =>
      held.has(lease) ? [{ account: 'acme', user: 'pipeline', transferId: 'trf_1', may: () => true }] : undefined,
    isOpen: async () => isOpen,
    openSpace: async ({ address }) => ({
      space: world.files.openSpace({ user: world.user, address, door: 'api' }),
      refresh: async () => {},
      checkRoom: async () => {},
    }),
    ...{ clock: systemClock, log: silentLog },
  })
  const api = createGround(silentLog, (_request, refusal) => asMftplusError(refusal), {})
  let agentId = AGENT
  api.addHook('onRequest', async (request) => {
    request.agent = { id: agentId } as Agent
  })
  spaces.addRoutes(api)
  t.after(async () => {
    await api.close()
    await spaces.stop()
    await world.end()
  })
  async function call<Answer>(lease: string, method: 'POST' | 'PUT', path: string, query: object, body: object | Buffer) {
    const answer = await api.inject({
      ...{ method, url: `/agent/v1/work/${lease}/space${path}` },
      query: { account: 'acme', user: 'pipeline', ...query } as Record<string, string>,
      headers: { 'content-type': Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json' },
      payload: body,
    })
    if (answer.statusCode >= 300) throw new Error(`${answer.statusCode} ${answer.body}`)
    return answer.json() as Answer
  }
  const open = (lease: string) => call<{ bytes: number }>(lease, 'POST', '/part', { path: '/a' }, { resumes: true, size: null })
  await open('first')
  await call('first', 'PUT', '/part', { offset: '0' }, Buffer.from('hel'))
  return {
    ...{ world, spaces, call, open },
    /** The transfer is queued again and taken, or it was cancelled. */
    becomes(state: 'taken again' | 'cancelled') {
      held.delete('first')
      if (state === 'taken again') held.add('second')
      else isOpen = false
    },
    as(id: string) {
      agentId = id
    },
    temporaries: () => readdirSync(join(world.folder, '.landfall/uploads')),
  }
}

test('the next attempt goes on with what the dead one brought, of which nothing is said later', async (t) => {
  const { world, spaces, call, open, becomes } = await openDoor(t)
  becomes('taken again')
  await spaces.release(AGENT, [])
  const failures = world.said().filter((said) => said.startsWith('file.upload_failed')).length
  assert.equal((await open('second')).bytes, 3)
  await call('second', 'PUT', '/part', { offset: '3' }, Buffer.from('lo'))
  const sha256 = createHash('sha256').update('hello').digest('hex')
  await call('second', 'POST', '/part/commit', {}, { size: 5, sha256, modifiedAt: null })
  assert.equal(readFileSync(join(world.home, 'a'), 'utf8'), 'hello')
  assert.equal(world.said().filter((said) => said.startsWith('file.upload_failed')).length, failures)
})

test('a transfer that was cancelled while its agent was dead leaves nothing', async (t) => {
  const { world, spaces, becomes, temporaries } = await openDoor(t)
  becomes('cancelled')
  await spaces.release(AGENT, [])
  assert.deepEqual([temporaries(), world.rows.partials.size], [[], 0])
})

test('what the agent still does, and what others do, stays open', async (t) => {
  const { spaces, call } = await openDoor(t)
  await spaces.release('another', [])
  await spaces.release(AGENT, ['first'])
  assert.deepEqual(await call('first', 'PUT', '/part', { offset: '3' }, Buffer.from('lo')), { bytes: 5 })
})

test('giving up where nothing is open is refused, for nobody knows what is left; by another agent too', async (t) => {
  const { call, as, temporaries } = await openDoor(t)
  await assert.rejects(call('second', 'POST', '/part/abandon', {}, { keeps: false }), /409/)
  as('another')
  await assert.rejects(call('first', 'POST', '/part/abandon', {}, { keeps: false }), /409/)
  await call('first', 'POST', '/close', {}, {})
  assert.equal(temporaries().length, 1)
  as(AGENT)
  await call('first', 'POST', '/part/abandon', {}, { keeps: false })
  assert.deepEqual(temporaries(), [])
})
