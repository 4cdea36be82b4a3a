import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf } from './check.ts'
import type { Evidence } from './evidence.ts'
import type { Entry } from './log.ts'
import type { Loose } from './loose.ts'
import type { Post } from './receivers.ts'

/** A storm that went well: one file, acknowledged, said to one webhook at the second attempt; one partial; one void event. */
function goodEvidence(): Loose<Evidence> {
  const upload: Entry = { deed: { kind: 'upload', path: '/c/f1', hash: 'aa', bytes: 3 }, outcome: 'acknowledged' }
  const lost: Entry = { deed: { kind: 'remove', path: '/c/f1' }, outcome: 'lost' }
  const folder: Entry = { deed: { kind: 'make_folder', path: '/c' }, outcome: 'happened' }
  const taken: Post = {
    receiver: 'recovering',
    dialect: 'mftplus',
    deliveryId: 'd1',
    body: '{1}',
    problem: undefined,
    status: 204,
  }
  return {
    clients: [{ log: [folder, upload, lost], faults: [] }],
    webhooks: [{ id: 'w', receiver: 'recovering' }],
    posts: [{ ...taken, status: 503 }, taken, { ...taken, deliveryId: 'd2', body: '{2}' }],
    rows: {
      events: [
        { id: 'e1', type: 'file.uploaded', state: 'said', position: 1, data: { path: '/c/f1', size: 3, sha256: 'aa' } },
        { id: 'e2', type: 'dir.created', state: 'said', position: 2, data: { path: '/c' } },
        { id: 'e3', type: 'file.deleted', state: 'void', position: null, data: { path: '/c/f1' } },
        { id: 'e4', type: 'ftp_user.created', state: 'said', position: 3, data: {} },
      ],
      deliveries: [
        {
          id: 'd1',
          eventId: 'e1',
          webhookId: 'w',
          replayId: null,
          state: 'delivered',
          claimedBy: null,
          attempts: 2,
          body: '{1}',
        },
        {
          id: 'd2',
          eventId: 'e2',
          webhookId: 'w',
          replayId: null,
          state: 'delivered',
          claimedBy: null,
          attempts: 1,
          body: '{2}',
        },
        {
          id: 'd3',
          eventId: 'e3',
          webhookId: 'w',
          replayId: null,
          state: 'cancelled',
          claimedBy: null,
          attempts: 0,
          body: '{3}',
        },
      ],
      attempts: [
        { deliveryId: 'd1', number: 2, error: null },
        { deliveryId: 'd1', number: 1, error: 'status 503' },
        { deliveryId: 'd2', number: 1, error: null },
      ],
      replays: [],
      intents: [],
      lockedPaths: 0,
      partials: [{ id: 'p', node: null, temporary: '/.landfall/uploads/p', prefixBytes: 8 }],
      usage: { bytes: 3, files: 1 },
    },
    disk: {
      files: new Map([['/c/f1', { hash: 'aa', bytes: 3 }]]),
      folders: new Set(['/c']),
      temporaries: new Map([['/.landfall/uploads/p', 9]]),
    },
  }
}

test('a storm that went well has no faults', () => assert.deepEqual(faultsOf(goodEvidence()), []))

const planted: { name: string; plant: (evidence: Loose<Evidence>) => void; says: RegExp }[] = [
  { name: 'a refusal', plant: ({ clients }) => clients[0]!.faults.push('refused: x'), says: /^refused: x$/ },
  {
    name: 'an acknowledged upload without event',
    plant: ({ rows }) => rows.events.splice(0, 1),
    says: /^upload \/c\/f1 of 3 bytes: took place 1 times \(acknowledged\), but has 0 events/,
  },
  {
    name: 'an event of a change that did not happen',
    plant: ({ rows }) => (rows.events[2]!.state = 'said'),
    says: /^remove \/c\/f1: took place 0 times \(lost\), but has 1 events/,
  },
  {
    name: 'an event told twice',
    plant: ({ rows }) => rows.events.push({ ...rows.events[0]!, id: 'e9' }),
    says: /took place 1 times \(acknowledged\), but has 2 events/,
  },
  {
    name: 'another hash',
    plant: ({ rows }) => (rows.events[0]!.data.sha256 = 'bb'),
    says: /e1 of \/c\/f1 says sha256 bb, but aa was sent/,
  },
  { name: 'no hash', plant: ({ rows }) => delete rows.events[0]!.data.sha256, says: /says sha256 undefined/ },
  {
    name: 'an event still held',
    plant: ({ rows }) => (rows.events[2]!.state = 'held'),
    says: /event e3 \(file.deleted\) is still held/,
  },
  {
    name: 'a delivery not planned',
    plant: ({ rows }) => rows.deliveries.splice(1, 1),
    says: /event e2 \(dir.created\) has 0 deliveries/,
  },
  {
    name: 'a delivery planned twice',
    plant: ({ rows }) => rows.deliveries.push({ ...rows.deliveries[2]!, id: 'd9' }),
    says: /event e3 \(file.deleted\) has 2 deliveries/,
  },
  {
    name: 'a delivery that comes again after the next of its order',
    plant: ({ webhooks, posts }) => {
      webhooks[0]!.receiver = 'ordered'
      for (const post of posts) post.receiver = 'ordered'
      posts.push({ ...posts[1]! })
    },
    says: /^delivery d1 came again after the next one of its order$/,
  },
  {
    name: 'a delivery that was overtaken',
    plant: ({ webhooks, posts, rows }) => {
      webhooks[0]!.receiver = 'ordered'
      for (const post of posts) post.receiver = 'ordered'
      rows.events[0]!.position = 9
    },
    says: /^delivery d2 was overtaken by one of an event that was said later$/,
  },
  {
    name: 'an event that a replay planned twice',
    plant: ({ rows }) => {
      for (const id of ['d8', 'd9']) rows.deliveries.push({ ...rows.deliveries[1]!, id, replayId: 'r' })
    },
    says: /^replay r planned event e2 2 times$/,
  },
  {
    name: 'a replay without end',
    plant: ({ rows }) => rows.replays.push({ id: 'r', state: 'running' }),
    says: /^replay r is running$/,
  },
  {
    name: 'a delivery that waits',
    plant: ({ rows }) => (rows.deliveries[1]!.state = 'waiting'),
    says: /d2 of an event that is said is waiting, not delivered/,
  },
  {
    name: 'a delivery that failed',
    plant: ({ rows }) => (rows.deliveries[1]!.state = 'failed'),
    says: /is failed, not delivered/,
  },
  {
    name: 'a void event delivered',
    plant: ({ rows }) => (rows.deliveries[2]!.state = 'delivered'),
    says: /of an event that is void is delivered, not cancelled/,
  },
  {
    name: 'a delivery of no event',
    plant: ({ rows }) => (rows.deliveries[2]!.eventId = 'e9'),
    says: /of an event that is unknown is cancelled/,
  },
  {
    name: 'delivered, but never taken',
    plant: ({ posts }) => posts.splice(1, 1),
    says: /d1 is delivered, but the recovering receiver never took it/,
  },
  {
    name: 'taken by another receiver',
    plant: ({ webhooks }) => (webhooks[0]!.receiver = 'healthy'),
    says: /but the healthy receiver never took it/,
  },
  {
    name: 'a wrong signature',
    plant: ({ posts }) => (posts[0]!.problem = 'signature_mismatch'),
    says: /does not verify: signature_mismatch/,
  },
  {
    name: 'a POST of nothing',
    plant: ({ posts }) => (posts[0]!.deliveryId = 'd9'),
    says: /POST of delivery d9 was received, but no such delivery/,
  },
  {
    name: 'a POST of a cancelled delivery',
    plant: ({ posts }) => posts.push({ ...posts[0]!, deliveryId: 'd3', body: '{3}' }),
    says: /POST of delivery d3 was received, but no such delivery may be sent/,
  },
  {
    name: 'another body at a retry',
    plant: ({ posts }) => (posts[0]!.body = '{9}'),
    says: /POST of delivery d1 had another body than the one planned: \{9\}/,
  },
  {
    name: 'a gap between attempts',
    plant: ({ rows }) => (rows.attempts[0]!.number = 3),
    says: /d1 counts 2 attempts, but has rows 1, 3/,
  },
  {
    name: 'an attempt without row',
    plant: ({ rows }) => rows.attempts.splice(2, 1),
    says: /d2 counts 1 attempts, but has rows none/,
  },
  {
    name: 'an attempt that was no POST',
    plant: ({ posts }) => posts.splice(0, 1),
    says: /d1 has 2 attempts, but 1 POSTs arrived/,
  },
  {
    name: 'a success that was tried again',
    plant: ({ rows }) => (rows.attempts[1]!.error = null),
    says: /those that succeeded are: 1, 2/,
  },
  {
    name: 'attempts of nothing',
    plant: ({ rows }) => rows.attempts.push({ deliveryId: 'd9', number: 1, error: null }),
    says: /attempts of d9, but no such delivery/,
  },
  { name: 'a claim that stays', plant: ({ rows }) => (rows.deliveries[0]!.claimedBy = 'n'), says: /d1 is still claimed by n/ },
  { name: 'an open intent', plant: ({ rows }) => rows.intents.push({ id: 'i', deed: '{}' }), says: /intent i is still open/ },
  { name: 'a locked path', plant: ({ rows }) => (rows.lockedPaths = 1), says: /1 paths are still locked/ },
  {
    name: 'a partial that a dead node holds',
    plant: ({ rows }) => (rows.partials[0]!.node = 'n'),
    says: /partial p is still held by n/,
  },
  { name: 'a lost file', plant: ({ disk }) => disk.files.delete('/c/f1'), says: /^\/c\/f1 is missing/ },
  {
    name: 'a torn file',
    plant: ({ disk }) => (disk.files.get('/c/f1')!.hash = 'zz'),
    says: /\/c\/f1 holds 3 bytes that are not the 3 of its last upload/,
  },
  {
    name: 'a file of nobody',
    plant: ({ disk }) => disk.files.set('/c/x', { hash: 'aa', bytes: 0 }),
    says: /\/c\/x is there, but no client left it/,
  },
  { name: 'a lost folder', plant: ({ disk }) => disk.folders.delete('/c'), says: /folder \/c is missing/ },
  { name: 'a folder of nobody', plant: ({ disk }) => disk.folders.add('/x'), says: /folder \/x is there, but no client left it/ },
  { name: 'a temporary of nobody', plant: ({ disk }) => disk.temporaries.set('/t', 1), says: /temporary \/t belongs to nothing/ },
  { name: 'a partial without temporary', plant: ({ disk }) => disk.temporaries.clear(), says: /partial p has no temporary/ },
  {
    name: 'a partial that promises too much',
    plant: ({ rows }) => (rows.partials[0]!.prefixBytes = 10),
    says: /promises 10 bytes, but its temporary has 9/,
  },
  {
    name: 'wrong bytes in the usage',
    plant: ({ rows }) => (rows.usage.bytes = 4),
    says: /counts 4 bytes in 1 files, but 3 in 1 are stored/,
  },
  { name: 'wrong files in the usage', plant: ({ rows }) => (rows.usage.files = 0), says: /counts 3 bytes in 0 files/ },
]
for (const { name, plant, says } of planted) {
  test(`found: ${name}`, () => {
    const evidence = goodEvidence()
    plant(evidence)
    assert.match(faultsOf(evidence).join('\n'), new RegExp(says.source, 'm'))
  })
}
