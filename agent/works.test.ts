import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movingClock } from '../src/base/testing.ts'
import type { Work, WorkReport } from '../src/wire/agent/work.ts'
import type { AgentNews } from './news.ts'
import { transferWork } from './testing.ts'
import { type Holding, Works } from './works.ts'

const ARRIVAL = { size: 1, bytesTransferred: 1, speed: 1, sha256: 'a' }

/** Works whose pieces end when they are told to, and a server that answers as it is told. */
function world(concurrency = 2) {
  const { clock, pass } = movingClock()
  const sent: { lease: string; report: WorkReport }[] = []
  const news: AgentNews[] = []
  const begun = new Map<string, { work: Work; holding: Holding; end: () => void; fail: (error: Error) => void }>()
  const server = { answer: (_report: WorkReport): { go: boolean } | undefined => ({ go: true }) }
  const works = new Works({
    clock,
    tell: (one) => news.push(one),
    doWork(work, holding) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      begun.set(work.lease, { work, holding, end: resolve, fail: reject })
      return promise
    },
    async send(lease, report) {
      sent.push({ lease, report })
      const answer = server.answer(report)
      if (answer === undefined) throw new Error('no answer')
      return answer
    },
  })
  works.allow(concurrency)
  const settle = () => pass(0)
  return { works, clock, pass, settle, sent, news, begun, server, leases: () => [...begun.keys()] }
}

test('as much is done at the same time as is allowed; the next begins when one has ended', async () => {
  const { works, begun, leases, settle } = world(2)
  for (const lease of ['a', 'b', 'c', 'd']) works.take(transferWork(lease))
  assert.deepEqual(leases(), ['a', 'b'])
  assert.deepEqual(works.leases, ['a', 'b', 'c', 'd'])
  assert.equal(works.isBusy, true)
  begun.get('a')!.end()
  await settle()
  assert.deepEqual(leases(), ['a', 'b', 'c'])
  works.allow(3)
  assert.deepEqual(leases(), ['a', 'b', 'c', 'd'])
})

test('looking for files takes no turn: what waits in it holds up no transfer', async () => {
  const { works, leases } = world(1)
  works.take({ ...transferWork('list'), kind: 'list', runId: 'run_1' } as unknown as Work)
  works.take(transferWork('a'))
  assert.deepEqual([leases(), works.isBusy], [['list', 'a'], true])
  works.take({ ...transferWork('next'), kind: 'list', runId: 'run_2' } as unknown as Work)
  works.take(transferWork('b'))
  assert.deepEqual(leases(), ['list', 'a', 'next'])
})

test('the same lease, handed out again by mistake, is done once', () => {
  const { works, leases } = world()
  works.take(transferWork('a'))
  works.take(transferWork('a'))
  assert.deepEqual(leases(), ['a'])
})

test('a lease is held until its end was answered, and no longer', async () => {
  const { works, begun, server, pass, sent } = world()
  works.take(transferWork('a'))
  server.answer = () => undefined
  const { holding, end } = begun.get('a')!
  const reported = holding.report({ state: 'completed', ...ARRIVAL })
  await pass(60_000)
  assert.deepEqual(works.leases, ['a'])
  const tries = sent.length
  assert.ok(tries > 10, `${tries} tries in a minute`)
  server.answer = () => ({ go: true })
  await pass(5_000)
  assert.deepEqual(await reported, { go: true })
  assert.equal(sent.length, tries + 1)
  assert.deepEqual(works.leases, [])
  end()
})

test('progress is tried once and keeps nobody waiting', async () => {
  const { works, begun, server, sent } = world()
  works.take(transferWork('a'))
  server.answer = () => undefined
  const report = { state: 'running', size: 2, bytesTransferred: 1, speed: 1 } as const
  assert.deepEqual(await begun.get('a')!.holding.report(report), { go: true })
  assert.equal(sent.length, 1)
})

for (const state of ['running', 'arrived'] as const)
  test(`a lease that is lost (told at ${state}) stops its work, which says nothing more`, async () => {
    const { works, begun, server, sent } = world()
    works.take(transferWork('a'))
    server.answer = () => ({ go: false })
    const { holding } = begun.get('a')!
    const report = state === 'running' ? { state, size: 2, bytesTransferred: 1, speed: 1 } : { state, ...ARRIVAL }
    assert.deepEqual(await holding.report(report), { go: false })
    assert.equal(holding.signal.reason, 'lease lost')
    assert.deepEqual(works.leases, [])
    assert.deepEqual(await holding.report({ state: 'failed', error: 'x', errorCode: 'INTERNAL', bytesTransferred: 0 }), {
      go: false,
    })
    assert.equal(sent.length, 1)
  })

test('cancelled work ends at once and says so, also when its turn has not come', async () => {
  const { works, begun, sent, settle } = world(1)
  works.take(transferWork('a'))
  works.take(transferWork('b'))
  works.cancel('a')
  assert.equal(begun.get('a')!.holding.signal.reason, 'cancelled')
  works.cancel('b')
  assert.equal(begun.get('b')!.holding.signal.reason, 'cancelled')
  await begun.get('b')!.holding.report({ state: 'cancelled', bytesTransferred: 0 })
  begun.get('b')!.end()
  await settle()
  assert.deepEqual(sent, [{ lease: 'b', report: { state: 'cancelled', bytesTransferred: 0 } }])
  assert.deepEqual(works.leases, ['a'])
  works.cancel('never heard of')
})

test('what was dropped is not named any more, and is waited for', async () => {
  const { works, begun, server, settle, pass, sent } = world(3)
  for (const lease of ['a', 'b', 'c']) works.take(transferWork(lease))
  server.answer = () => undefined
  const kept = begun.get('b')!.holding.report({ state: 'completed', ...ARRIVAL })
  await settle()
  works.dropAll('contact lost')
  assert.deepEqual(works.leases, [])
  assert.deepEqual(await kept, { go: false })
  const before = sent.length
  let hasStopped = false
  void works.stopped().then(() => {
    hasStopped = true
  })
  for (const lease of ['a', 'b', 'c']) {
    assert.equal(begun.get(lease)!.holding.signal.reason, 'contact lost')
    await settle()
    assert.equal(hasStopped, false)
    begun.get(lease)!.end()
  }
  await settle()
  assert.equal(hasStopped, true)
  await pass(60_000)
  assert.equal(sent.length, before)
})

test('a transfer that comes back by another lease begins when the one before has stopped', async () => {
  const { works, begun, leases, settle } = world(4)
  works.take(transferWork('a', { transferId: 'trf_1' }))
  works.drop('a', 'lease lost')
  works.take(transferWork('b', { transferId: 'trf_1' }))
  works.take(transferWork('c', { transferId: 'trf_2' }))
  assert.deepEqual(leases(), ['a', 'c'])
  begun.get('a')!.end()
  await settle()
  assert.deepEqual(leases(), ['a', 'c', 'b'])
})

test('discarding takes no turn, but waits for the transfer whose rest it is', async () => {
  const { works, begun, leases, settle } = world(1)
  const destination = { endpoint: { protocol: 'local' } as const, path: '/b' }
  works.take(transferWork('a', { transferId: 'trf_1' }))
  works.take({ kind: 'discard', lease: 'd1', transferId: 'trf_1', destination })
  works.take({ kind: 'discard', lease: 'd2', transferId: 'trf_2', destination })
  assert.deepEqual(leases(), ['a', 'd2'])
  begun.get('a')!.end()
  await settle()
  assert.deepEqual(leases(), ['a', 'd2', 'd1'])
})

test('the server hears that what it wants cancelled is not held', async () => {
  const { works, sent, settle } = world()
  works.cancel('never heard of')
  await settle()
  const report: WorkReport = { state: 'cancelled', bytesTransferred: 0, leavesPart: true }
  assert.deepEqual(sent, [{ lease: 'never heard of', report }])
})

test('work that throws has failed', async () => {
  const { works, begun, sent, settle } = world()
  works.take(transferWork('a'))
  begun.get('a')!.fail(new Error('a bug'))
  await settle()
  assert.deepEqual(sent, [
    { lease: 'a', report: { state: 'failed', error: 'Error: a bug', errorCode: 'INTERNAL', bytesTransferred: 0 } },
  ])
  assert.deepEqual(works.leases, [])
})

test('more than is ever handed out is refused', async () => {
  const { works, sent, settle } = world(1)
  for (let count = 0; count <= 1_000; count++) works.take(transferWork(`l${count}`))
  await settle()
  assert.deepEqual(
    sent.map(({ lease, report }) => [lease, report.state]),
    [['l1000', 'failed']],
  )
  assert.equal(works.leases.length, 1_000)
})

test('news of work show where from and where to, and no credentials', () => {
  const { works, news } = world()
  const endpoint = { protocol: 'sftp', host: 'files.example.com', port: 22, username: 'u', password: 'hunter2' } as const
  const source = { endpoint: { ...endpoint, hostKeys: [], trustsFirstKey: false }, path: '/out/a.csv' }
  const web = { endpoint: { protocol: 'https', host: 'h', port: 443 } as const, path: '/in?token=hunter2' }
  works.take(transferWork('a', { source, destination: web }))
  works.cancel('a')
  assert.deepEqual(news, [{ type: 'work', lease: 'a', what: 'pull sftp://files.example.com:22/out/a.csv → https://h:443/in' }])
})
