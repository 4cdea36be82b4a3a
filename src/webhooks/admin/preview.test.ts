import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordedEvent } from '../../events/event.ts'
import type { EventFilter } from '../../events/port.ts'
import { plan } from '../plan.ts'
import { eventOf, NOW, webhookOf } from '../testing.ts'
import type { Webhook } from '../webhook.ts'
import { PREVIEW_EVENTS_MAX, previewOf } from './preview.ts'

function partsOf(rows: RecordedEvent[]) {
  const asked: { filter: EventFilter; limit: number }[] = []
  const parts = {
    events: {
      listEvents: async (filter: EventFilter, { limit }: { limit: number }) => {
        asked.push({ filter, limit })
        return { rows, total: rows.length }
      },
    },
    clock: { now: () => NOW },
  }
  return { asked, parts }
}

const csv = eventOf({ id: 'whevt_1', data: { path: '/in/a.csv', size: 7 } })
const txt = eventOf({ id: 'whevt_2', data: { path: '/in/a.txt' } })
const filter = { 'data.path': { glob: '/in/*.csv' }, 'data.size': { gt: 5 } }

test('shows the exact request of what would be sent, and the condition that keeps back what would not', async () => {
  const webhook = webhookOf({
    ...{ accountId: 'acc_1', events: ['file.*', 'dir.created'], dialect: 'trueftp', filter, sealedSecret: 'v1.x' },
    options: { headers: { 'X-Team': 'a', 'X-Key': null }, auth: { kind: 'bearer' } },
  })
  const { parts, asked } = partsOf([csv, txt])
  const { wouldSend, events } = await previewOf(webhook, undefined, parts)
  assert.equal(wouldSend, 1)
  const [sent, kept] = events
  assert.deepEqual([sent?.event.id, sent?.unmet], ['whevt_1', null])
  const { url, headers, body } = sent!.request!
  assert.equal(url, webhook.url)
  assert.equal(JSON.parse(body).delivery_id, headers['X-TrueFTP-Delivery'])
  assert.deepEqual(JSON.parse(body).data, csv.data)
  assert.deepEqual(
    [headers['X-TrueFTP-Signature'], headers['X-Team'], headers['X-Key'], headers.Authorization],
    ['sha256=********', 'a', '********', 'Bearer ********'],
  )
  assert.deepEqual(kept, {
    ...{ event: txt, request: null },
    unmet: {
      member: 'data.path',
      condition: { glob: '/in/*.csv' },
      reason: 'data.path is "/in/a.txt", which does not meet {"glob":"/in/*.csv"}',
    },
  })
  assert.equal(asked[0]?.limit, 20)
  assert.equal(asked[0]?.filter.accountId, 'acc_1')
  assert.ok(asked[0]?.filter.types?.includes('file.renamed') && asked[0]?.filter.types?.includes('dir.created'))
  assert.ok(!asked[0]?.filter.types?.includes('dir.deleted'))
})

test('a member that is not there is said so', async () => {
  const { parts } = partsOf([txt])
  const { events } = await previewOf(webhookOf({ filter: { 'data.size': { gt: 1 } } }), 1, parts)
  assert.equal(events[0]?.unmet?.reason, 'data.size is not there, which does not meet {"gt":1}')
})

test('what a preview would send is what is planned', async () => {
  const webhooks: Webhook[] = [
    webhookOf(),
    webhookOf({ filter }),
    webhookOf({ dialect: 'cloudevents', options: { cloudEventsMode: 'binary' } }),
  ]
  for (const webhook of webhooks) {
    for (const event of [csv, txt]) {
      const { parts } = partsOf([event])
      const { events } = await previewOf(webhook, 1, parts)
      const [planned] = plan(event, [webhook])
      assert.equal(events[0]?.request === null, planned === undefined)
      if (planned !== undefined && webhook.dialect !== 'trueftp') assert.equal(events[0]?.request?.body, planned.body)
    }
  }
})

test('the number of events is bounded', async () => {
  const { parts, asked } = partsOf([])
  await previewOf(webhookOf(), PREVIEW_EVENTS_MAX, parts)
  for (const limit of [0, 201, 1.5])
    await assert.rejects(previewOf(webhookOf(), limit, parts), { field: 'limit', message: /1 to 200/ })
  assert.equal(asked.length, 1)
})
