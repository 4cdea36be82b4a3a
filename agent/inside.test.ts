import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { BuiltinAgentData, BuiltinAgentHears, BuiltinAgentSays } from '../src/wire/agent/builtin.ts'
import { eventually } from '../test/eventually.ts'
import { openAgentFolder } from './folder.ts'
import { type Peer, removeTemporaryFolders, startPeer, temporaryFolder } from './testing.ts'

let peer: Peer
const threads: Worker[] = []
beforeEach(async () => {
  peer = await startPeer()
})
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate()
  await peer.stop()
})
after(removeTemporaryFolders)

/** The thread of a built-in agent, and what it says; `answer` is what the server says to its request. */
function start(folder: string, answer: (csr: string) => Promise<BuiltinAgentHears>, more: Partial<BuiltinAgentData> = {}) {
  const workerData: BuiltinAgentData = {
    ...{ folder, roots: [], server: peer.url, agents: peer.address, ca: peer.ca, version: '1.2.3' },
    ...more,
  }
  const thread = new Worker(new URL('./builtin.ts', import.meta.url), { workerData })
  threads.push(thread)
  const said: BuiltinAgentSays[] = []
  thread.on('message', async (one: BuiltinAgentSays) => {
    said.push(one)
    if (one.type === 'enrol') thread.postMessage(await answer(one.csr))
  })
  return { thread, said, stop: () => thread.postMessage({ type: 'stop' }), ended: once(thread, 'exit') }
}

const letIn = async (csr: string): Promise<BuiltinAgentHears> => {
  const certificate = await peer.issue(csr)
  return { type: 'enrolled', id: 'agent_1', name: 'builtin', apiKey: 'mft_ak_x', certificate }
}
const hellos = (count: number) => eventually(async () => assert.equal(peer.hellos.length, count))
const asked = (said: readonly BuiltinAgentSays[]) => said.filter(({ type }) => type === 'enrol').length

test('it is let in once, dials like any other agent, ends when it is told to, and comes back with what it has', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const first = start(folder, letIn)
  await hellos(1)
  first.stop()
  assert.deepEqual(await first.ended, [0])
  assert.equal(asked(first.said), 1)
  assert.doesNotMatch(JSON.stringify(first.said), /PRIVATE KEY/)

  // The ports of a server may be others at its next start.
  const other = { server: 'http://127.0.0.1:1', roots: [folder] }
  const second = start(folder, letIn, other)
  await hellos(2)
  second.stop()
  assert.deepEqual(await second.ended, [0])
  assert.equal(asked(second.said), 0)
  const { server, roots } = (await openAgentFolder(folder).read())!
  assert.deepEqual({ server, roots }, other)
})

test('another authority, or a folder that is damaged: it asks to be let in again', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const first = start(folder, letIn)
  await hellos(1)
  first.stop()
  await first.ended
  const key = await readFile(join(folder, 'key.pem'), 'utf8')

  await peer.stop()
  peer = await startPeer()
  const second = start(folder, letIn)
  await hellos(1)
  second.stop()
  await second.ended
  assert.equal(asked(second.said), 1)
  assert.equal(await readFile(join(folder, 'key.pem'), 'utf8'), key, 'it stays the agent that it was')

  await writeFile(join(folder, 'key.pem'), 'nothing of the kind')
  const third = start(folder, letIn)
  await hellos(2)
  third.stop()
  await third.ended
  assert.equal(asked(third.said), 1)
})

test('revoked, it says so and ends', async () => {
  const { said, ended } = start(join(await temporaryFolder(), 'agent'), letIn)
  await hellos(1)
  peer.send({ type: 'revoked' })
  assert.deepEqual(await ended, [0])
  assert.deepEqual(said.at(-1), { type: 'revoked' })
})

test('a thread that is killed leaves its folder free for the next one', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const { thread } = start(folder, letIn)
  await hellos(1)
  await thread.terminate()
  const next = start(folder, letIn)
  await hellos(2)
  next.stop()
  assert.deepEqual(await next.ended, [0])
})

test('refused, it says why and ends', async () => {
  const { said, ended } = start(join(await temporaryFolder(), 'agent'), async () => ({
    type: 'refused',
    why: 'the disk is full',
  }))
  assert.deepEqual(await ended, [0])
  assert.deepEqual(said.at(-1), { type: 'log', level: 'error', text: 'built-in agent: the disk is full' })
})

test('a server that stops before it has answered is not waited for', async () => {
  const { ended } = start(join(await temporaryFolder(), 'agent'), async () => ({ type: 'stop' }))
  assert.deepEqual(await ended, [0])
})
