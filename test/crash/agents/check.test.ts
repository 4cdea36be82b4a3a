import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Loose } from '../loose.ts'
import { faultsOf } from './check.ts'
import type { Evidence } from './evidence.ts'

/** A storm that went well: a run moved two files, one of them deleted at its source; a transfer of its own was cancelled. */
function goodEvidence(): Loose<Evidence> {
  const said = (id: string, type: string, data: Record<string, unknown>) => ({ id, type, state: 'said', data })
  const events = [
    said('e1', 'agent.registered', { agentId: 'a' }),
    said('e2', 'job.started', { runId: 'r' }),
    said('e3', 'transfer.created', { transferId: 't1' }),
    said('e4', 'transfer.created', { transferId: 't2' }),
    said('e5', 'transfer.progress', { transferId: 't1', progress: 34 }),
    said('e6', 'transfer.completed', { transferId: 't1' }),
    said('e7', 'transfer.completed', { transferId: 't2' }),
    said('e8', 'job.completed', { runId: 'r' }),
    said('e9', 'transfer.created', { transferId: 't3' }),
    said('e10', 'transfer.cancelled', { transferId: 't3' }),
  ]
  const moved = (id: string, status: string, source: string, destination: string, runId: string | null = null) => {
    return { id, runId, source, destination, status, errorCode: null, error: null, lease: null }
  }
  return {
    enrolled: ['a'],
    placed: [
      { path: 'far:/out/f1', post: 'delete' },
      { path: 'far:/kept/f2', post: 'keep' },
      { path: '/a/asked/f3', post: 'delete' },
      { path: 'far:/out/f4', post: 'move' },
    ],
    files: new Map([
      ['/a/inbox/f1', true],
      ['far:/kept/f2', true],
      ['/a/inbox/f2', true],
      ['/a/asked/f3', true],
      ['far:/out/f4', true],
    ]),
    leftovers: [],
    posts: events.map(({ id }) => ({ deliveryId: `d-${id}`, status: 204 })),
    rows: {
      agents: [{ id: 'a' }],
      tokens: [{ id: 'k', uses: 1 }],
      transfers: [
        moved('t1', 'completed', 'far:/out/f1', '/a/inbox/f1', 'r'),
        moved('t2', 'completed', 'far:/kept/f2', '/a/inbox/f2', 'r'),
        moved('t3', 'cancelled', '/a/asked/f3', 'far:/in/f3'),
      ],
      runs: [
        {
          ...{ id: 'r', jobId: 'j', status: 'completed', error: null },
          ...{ transfersTotal: 2, transfersCompleted: 2, transfersFailed: 0 },
        },
      ],
      events,
      deliveries: events.map(({ id }) => ({ id: `d-${id}`, eventId: id, state: 'delivered' })),
    },
  }
}

test('a storm that went well has no faults', () => assert.deepEqual(faultsOf(goodEvidence()), []))

const planted: { name: string; plant: (evidence: Loose<Evidence>) => void; says: RegExp }[] = [
  {
    name: 'a transfer without end',
    plant: ({ rows }) => (rows.transfers[2]!.status = 'running'),
    says: /^transfer t3 is still running$/,
  },
  {
    name: 'an ended transfer that somebody holds',
    plant: ({ rows }) => (rows.transfers[0]!.lease = 'l'),
    says: /^transfer t1 has ended, but is held by a lease$/,
  },
  { name: 'a run without end', plant: ({ rows }) => (rows.runs[0]!.status = 'running'), says: /^run r is still running$/ },
  {
    name: 'a transfer that failed',
    plant: ({ rows }) => Object.assign(rows.transfers[0]!, { status: 'failed', errorCode: 'NOT_FOUND', error: 'it is gone' }),
    says: /^transfer t1 of far:\/out\/f1 failed: NOT_FOUND, it is gone$/,
  },
  {
    name: 'a run that failed by itself',
    plant: ({ rows }) => Object.assign(rows.runs[0]!, { status: 'failed', error: 'why' }),
    says: /^run r failed, though none of its transfers did: why$/,
  },
  {
    name: 'an end that is not told',
    plant: ({ rows }) => rows.events.splice(5, 1),
    says: /^transfer t1 is completed, and was told of by transfer.created$/,
  },
  {
    name: 'an end that is told twice',
    plant: ({ rows }) => rows.events.push({ ...rows.events[5]!, id: 'e11' }),
    says: /^transfer t1 is completed, and was told of by transfer.created, transfer.completed, transfer.completed$/,
  },
  {
    name: 'two ends',
    plant: ({ rows }) => rows.events.push({ ...rows.events[9]!, id: 'e11', type: 'transfer.failed' }),
    says: /^transfer t3 is cancelled, and was told of by transfer.created, transfer.cancelled, transfer.failed$/,
  },
  {
    name: 'a creation that is not told',
    plant: ({ rows }) => rows.events.splice(2, 1),
    says: /^transfer t1 is completed, and was told of by transfer.completed$/,
  },
  {
    name: 'progress twice',
    plant: ({ rows }) => rows.events.splice(5, 0, { ...rows.events[4]!, id: 'e11' }),
    says: /^transfer t1 told of the tenths 3, 3$/,
  },
  {
    name: 'progress after completion',
    plant: ({ rows }) => rows.events.push({ ...rows.events[4]!, id: 'e11', data: { transferId: 't1', progress: 90 } }),
    says: /^transfer t1 told of its progress after its completion$/,
  },
  {
    name: 'a run that ends twice',
    plant: ({ rows }) => rows.events.push({ ...rows.events[7]!, id: 'e11' }),
    says: /^run r is completed, and was told of by job.started, job.completed, job.completed$/,
  },
  {
    name: 'a run that ended before its transfers',
    plant: ({ rows }) => (rows.transfers[1]!.status = 'running'),
    says: /^run r completed, but 1 of its transfers did not$/,
  },
  {
    name: 'a wrong tally',
    plant: ({ rows }) => (rows.runs[0]!.transfersTotal = 3),
    says: /^run r tells of 3 transfers, 2 completed, 0 not, but 2 of its 2 transfers completed$/,
  },
  {
    name: 'an event of nothing',
    plant: ({ rows }) => (rows.events[9]!.data.transferId = 't9'),
    says: /^event e10 \(transfer.cancelled\) tells of t9, which is not there$/,
  },
  { name: 'an event that is held', plant: ({ rows }) => (rows.events[9]!.state = 'held'), says: /^event e10 .* is held$/ },
  {
    name: 'an agent more',
    plant: ({ rows }) => rows.agents.push({ id: 'b' }),
    says: /^enrolled were a, but the server knows a, b$/,
  },
  {
    name: 'an agent registered twice',
    plant: ({ rows }) => rows.events.push({ ...rows.events[0]!, id: 'e11' }),
    says: /^agent a was told of as registered 2 times$/,
  },
  { name: 'a token used twice', plant: ({ rows }) => (rows.tokens[0]!.uses = 2), says: /^token k was used 2 times$/ },
  { name: 'an event for nobody', plant: ({ rows }) => rows.deliveries.splice(1, 1), says: /^event e2 .* has 0 deliveries$/ },
  {
    name: 'an event planned twice',
    plant: ({ rows }) => rows.deliveries.push({ ...rows.deliveries[1]!, id: 'd9' }),
    says: /^event e2 .* has 2 deliveries$/,
  },
  {
    name: 'a delivery that failed',
    plant: ({ rows }) => (rows.deliveries[1]!.state = 'failed'),
    says: /^delivery d-e2 of job.started is failed$/,
  },
  {
    name: 'a delivery that nobody took',
    plant: ({ posts }) => posts.splice(1, 1),
    says: /^delivery d-e2 of job.started counts as delivered, but was never taken$/,
  },
  { name: 'half a file', plant: ({ files }) => files.set('/a/x', false), says: /^\/a\/x is not what its name says$/ },
  {
    name: 'a completed transfer of nothing',
    plant: ({ files }) => files.delete('/a/inbox/f2'),
    says: /^transfer t2 completed, but \/a\/inbox\/f2 is not there$/,
  },
  {
    name: 'a source that should be gone',
    plant: ({ files }) => files.set('far:/out/f1', true),
    says: /^transfer t1 completed, but its source far:\/out\/f1 is still there$/,
  },
  {
    name: 'a source that is gone too early',
    plant: ({ files }) => files.delete('/a/asked/f3'),
    says: /^\/a\/asked\/f3 is gone, and arrived nowhere$/,
  },
  {
    name: 'a source that was to be kept',
    plant: ({ files }) => files.delete('far:/kept/f2'),
    says: /^far:\/kept\/f2 was to be kept, and is gone$/,
  },
  {
    name: 'a source that is nowhere',
    plant: ({ files }) => files.delete('far:/out/f4'),
    says: /^far:\/out\/f4 is gone, and not at far:\/done\/f4$/,
  },
  {
    name: 'a file moved again',
    plant: ({ rows }) => rows.transfers.push({ ...rows.transfers[1]!, id: 't4' }),
    says: /^far:\/kept\/f2 was to be moved once, but 2 transfers of it completed$/,
  },
  { name: 'a part', plant: ({ leftovers }) => leftovers.push('/a/.f.part'), says: /^\/a\/\.f\.part was left$/ },
]
for (const { name, plant, says } of planted) {
  test(`found: ${name}`, () => {
    const evidence = goodEvidence()
    plant(evidence)
    assert.match(faultsOf(evidence).join('\n'), new RegExp(says.source, 'm'))
  })
}
