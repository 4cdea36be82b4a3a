import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventDraft } from '../../events/event.ts'
import { eventOf, webhookOf } from '../testing.ts'
import type { Webhook } from '../webhook.ts'
import type { ReplayRequest } from './replay-port.ts'
import { chooserOf, isOpen } from './select.ts'

const outcomes = [
  { name: 'never planned', sendings: [], failed: false, missing: true },
  { name: 'delivered', sendings: ['delivered'], failed: false, missing: false },
  { name: 'waiting', sendings: ['waiting'], failed: false, missing: false },
  { name: 'failed', sendings: ['failed'], failed: true, missing: true },
  { name: 'failed, then sent again', sendings: ['failed', 'delivered'], failed: false, missing: false },
  { name: 'failed, then waiting', sendings: ['failed', 'waiting'], failed: false, missing: false },
  { name: 'delivered, then sent again in vain', sendings: ['delivered', 'failed'], failed: true, missing: false },
  { name: 'cancelled with a replay', sendings: ['cancelled'], failed: false, missing: true },
  { name: 'superseded by a newer state', sendings: ['superseded'], failed: false, missing: false },
] as const
for (const { name, sendings, failed, missing } of outcomes) {
  test(`an event ${name}: ${failed ? 'failed' : 'not failed'}, ${missing ? 'missing' : 'not missing'}`, () => {
    const rows = sendings.map((state) =>
      state === 'superseded'
        ? ({ state: 'cancelled', lastError: 'superseded by a newer event' } as const)
        : { state, lastError: state === 'failed' ? 'status 500' : null },
    )
    assert.deepEqual([isOpen('failed', rows), isOpen('missing', rows), isOpen('all', rows)], [failed, missing, true])
  })
}

type Asked = Partial<Pick<ReplayRequest, 'events' | 'path' | 'eventIds'>>
const ours = { accountId: 'acc_1', events: ['file.*'] }
const choices: { name: string; webhook?: Partial<Webhook>; asked?: Asked; event?: Partial<EventDraft>; is: boolean }[] = [
  { name: 'what the webhook subscribes to', is: true },
  { name: 'of another account', event: { accountId: 'acc_2' }, is: false },
  { name: 'of another type', event: { type: 'dir.created' }, is: false },
  { name: 'of another type that is named', event: { type: 'dir.created' }, asked: { events: ['dir.*'] }, is: true },
  {
    name: 'that the filter leaves out',
    webhook: { filter: { 'data.size': { gt: 5 } } },
    event: { data: { size: 1 } },
    is: false,
  },
  { name: 'on the path', asked: { path: '/in/**' }, event: { data: { path: '/in/a/b.csv' } }, is: true },
  { name: 'on another path', asked: { path: '/in/**' }, event: { data: { path: '/out/b.csv' } }, is: false },
  { name: 'renamed from the path', asked: { path: '/in/*' }, event: { data: { path: '/x', previous_path: '/in/a' } }, is: true },
  { name: 'with a list of paths', asked: { path: '/in/*' }, event: { data: { paths: ['/x', '/in/a'] } }, is: true },
  { name: 'without any path', asked: { path: '/**' }, event: { data: {} }, is: false },
  { name: 'named by id, of another type', asked: { eventIds: ['whevt_1'] }, event: { type: 'dir.created' }, is: true },
  { name: 'named by id, of another account', asked: { eventIds: ['whevt_1'] }, event: { accountId: 'acc_2' }, is: false },
]
for (const { name, webhook = {}, asked = {}, event = {}, is } of choices) {
  test(`an event ${name} is ${is ? '' : 'not '}asked for`, () => {
    const chooses = chooserOf(webhookOf({ ...ours, ...webhook }), { events: null, path: null, eventIds: null, ...asked })
    assert.equal(chooses(eventOf({ data: { path: '/in/a.csv', size: 9 }, ...event })), is)
  })
}
