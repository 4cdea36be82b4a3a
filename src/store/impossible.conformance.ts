import assert from 'node:assert/strict'
import { test } from 'node:test'

const DELIVERY = `insert into delivery
  (id, event_id, event_type, webhook_id, cause, dialect, body, state, due_at, claimed_by, attempts, created_at, settled_at, last_status_code, last_error)`
const ATTEMPT = `insert into attempt (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error)`
const EVENT = `insert into event (id, type, account_id, occurred_at, data, state, is_test)`
const WEBHOOK = `insert into webhook (id, account_id, name, url, events, dialect, state, failed_reason, created_at, updated_at)`

/** `refused` is wrong in one thing only: the same row without it is `taken`. */
const CASES = [
  {
    name: 'a delivery of no known state',
    refused: `${DELIVERY} values ('d1', 'e1', 't', 'w', 'event', 'mftplus', '', 'lost', null, null, 0, 1, null, null, null)`,
    taken: `${DELIVERY} values ('d1', 'e1', 't', 'w', 'event', 'mftplus', '', 'held', null, null, 0, 1, null, null, null)`,
  },
  {
    name: 'a waiting delivery without a time',
    refused: `${DELIVERY} values ('d2', 'e2', 't', 'w', 'event', 'mftplus', '', 'waiting', null, null, 0, 1, null, null, null)`,
    taken: `${DELIVERY} values ('d2', 'e2', 't', 'w', 'event', 'mftplus', '', 'waiting', 5, null, 0, 1, null, null, null)`,
  },
  {
    name: 'a settled delivery that is due',
    refused: `${DELIVERY} values ('d3', 'e3', 't', 'w', 'event', 'mftplus', '', 'failed', 5, null, 1, 1, 2, 500, 'x')`,
    taken: `${DELIVERY} values ('d3', 'e3', 't', 'w', 'event', 'mftplus', '', 'failed', null, null, 1, 1, 2, 500, 'x')`,
  },
  {
    name: 'a settled delivery in somebody’s hands',
    refused: `${DELIVERY} values ('d4', 'e4', 't', 'w', 'event', 'mftplus', '', 'cancelled', null, 'node_a', 0, 1, 2, null, null)`,
    taken: `${DELIVERY} values ('d4', 'e4', 't', 'w', 'event', 'mftplus', '', 'cancelled', null, null, 0, 1, 2, null, null)`,
  },
  {
    name: 'a delivery that ended at no time',
    refused: `${DELIVERY} values ('d5', 'e5', 't', 'w', 'event', 'mftplus', '', 'failed', null, null, 1, 1, null, 500, 'x')`,
    taken: `${DELIVERY} values ('d5', 'e5', 't', 'w', 'event', 'mftplus', '', 'failed', null, null, 1, 1, 2, 500, 'x')`,
  },
  {
    name: 'a delivery delivered without an attempt',
    refused: `${DELIVERY} values ('d6', 'e6', 't', 'w', 'event', 'mftplus', '', 'delivered', null, null, 0, 1, 2, 200, null)`,
    taken: `${DELIVERY} values ('d6', 'e6', 't', 'w', 'event', 'mftplus', '', 'delivered', null, null, 1, 1, 2, 200, null)`,
  },
  {
    name: 'a delivery delivered with an error',
    refused: `${DELIVERY} values ('d7', 'e7', 't', 'w', 'event', 'mftplus', '', 'delivered', null, null, 1, 1, 2, 500, 'status 500')`,
    taken: `${DELIVERY} values ('d7', 'e7', 't', 'w', 'event', 'mftplus', '', 'delivered', null, null, 1, 1, 2, 200, null)`,
  },
  {
    name: 'a held delivery that was tried',
    refused: `${DELIVERY} values ('d8', 'e8', 't', 'w', 'event', 'mftplus', '', 'held', null, null, 1, 1, null, null, null)`,
    taken: `${DELIVERY} values ('d8', 'e8', 't', 'w', 'event', 'mftplus', '', 'held', null, null, 0, 1, null, null, null)`,
  },
  {
    name: 'an event planned twice for one webhook',
    refused: `${DELIVERY} values ('d10', 'e8', 't', 'w', 'event', 'mftplus', '', 'held', null, null, 0, 1, null, null, null)`,
    taken: `${DELIVERY} values ('d10', 'e8', 't', 'w', 'resend', 'mftplus', '', 'held', null, null, 0, 1, null, null, null)`,
  },
  {
    name: 'attempt number nought',
    refused: `${ATTEMPT} values ('d1', 0, 'w', 1, 1.5, 200, null)`,
    taken: `${ATTEMPT} values ('d1', 1, 'w', 1, 1.5, 200, null)`,
  },
  {
    name: 'the same attempt twice',
    refused: `${ATTEMPT} values ('d1', 1, 'w', 2, 1.5, 200, null)`,
    taken: `${ATTEMPT} values ('d1', 2, 'w', 2, 1.5, 200, null)`,
  },
  {
    name: 'an attempt with neither answer nor error',
    refused: `${ATTEMPT} values ('d2', 1, 'w', 1, 1.5, null, null)`,
    taken: `${ATTEMPT} values ('d2', 1, 'w', 1, 1.5, null, 'timed out')`,
  },
  {
    name: 'a test event that is held',
    refused: `${EVENT} values ('e1', 't', null, 1, '{}', 'held', 1)`,
    taken: `${EVENT} values ('e1', 't', null, 1, '{}', 'said', 1)`,
  },
  {
    name: 'a failed webhook without a reason',
    refused: `${WEBHOOK} values ('w1', null, 'n', 'u', '[]', 'mftplus', 'failed', null, 1, 1)`,
    taken: `${WEBHOOK} values ('w1', null, 'n', 'u', '[]', 'mftplus', 'failed', 'attempts used up', 1, 1)`,
  },
  {
    name: 'a webhook of no account that exists',
    refused: `${WEBHOOK} values ('w2', 'acc_x', 'n', 'u', '[]', 'mftplus', 'active', null, 1, 1)`,
    taken: `${WEBHOOK} values ('w2', null, 'n', 'u', '[]', 'mftplus', 'active', null, 1, 1)`,
  },
  {
    name: 'a second set of webhooks',
    refused: 'insert into webhook_set (id, version) values (2, 1)',
    taken: 'update webhook_set set version = version + 1',
  },
]

/** Rows that must not be possible, whatever the code does. */
export function impossibleRows(run: (sql: string) => Promise<unknown>, isConstraint: (error: unknown) => boolean): void {
  for (const { name, refused, taken } of CASES) {
    test(`refused by the database: ${name}`, async () => {
      await assert.rejects(run(refused), isConstraint)
      await run(taken)
    })
  }
}
