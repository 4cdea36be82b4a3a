import type { Account } from '../accounts/account.ts'
import type { User } from '../accounts/user.ts'
import type { AgentStore, Taker } from '../agents/port.ts'
import type { AuditAction, AuditEntry } from '../audit/entry.ts'
import { newId } from '../base/id.ts'
import type { EventDraft } from '../events/event.ts'
import type { Change, Deed, Partial } from '../files/port.ts'
import type { Settlement } from '../webhooks/port.ts'
import { PLAIN } from '../webhooks/testing.ts'
import type { Attempt, ClaimedDelivery, Webhook } from '../webhooks/webhook.ts'

// Values for tests of the stores. Time is made up: it starts at START and moves on by a millisecond with every thing made, so that ids sort.

export const START = 1_800_000_000_000
let clock = START

export function tick(): number {
  clock += 1
  return clock
}

export function anAudit(action: AuditAction = 'upload', more: Partially<AuditEntry> = {}): AuditEntry {
  const at = tick()
  const rest = {
    accountId: null,
    actor: 'somebody',
    address: '192.0.2.1',
    door: 'sftp',
    target: '/x',
    result: 'ok',
    detail: null,
  } as const
  return { id: newId('audit', at), at, action, ...rest, ...more }
}

export function anAccount(more: Partially<Account> = {}): Account {
  const at = tick()
  const id = newId('account', at)
  return {
    id,
    slug: id.slice(4),
    name: 'An account',
    plan: 'business',
    egressAllow: null,
    quotaBytes: null,
    createdAt: at,
    updatedAt: at,
    ...more,
  }
}

export function aUser(account: Account, more: Partially<User> = {}): User {
  const at = tick()
  return {
    id: newId('user', at),
    accountId: account.id,
    accountSlug: account.slug,
    name: 'pipeline',
    passwordHash: '$argon2id$made-up',
    publicKeys: [],
    home: `/${account.slug}/pipeline`,
    permissions: ['list', 'read', 'write', 'delete'],
    disabled: false,
    createdAt: at,
    updatedAt: at,
    ...more,
  }
}

export function aWebhook(more: Partially<Webhook> = {}): Webhook {
  const at = tick()
  return {
    id: newId('webhook', at),
    accountId: null,
    name: 'receiver',
    url: 'https://receiver.example/hook',
    events: ['file.uploaded'],
    dialect: 'mftplus',
    sealedSecret: 'v1.made-up',
    ...PLAIN,
    retryDelaysSeconds: null,
    state: 'active',
    failedReason: null,
    createdAt: at,
    updatedAt: at,
    ...more,
  }
}

export function anEvent(accountId: string | null = null, more: Partially<EventDraft> = {}): EventDraft {
  const occurredAt = tick()
  return {
    id: newId('event', occurredAt),
    type: 'file.uploaded',
    accountId,
    occurredAt,
    data: { path: '/in/ü.csv', size: 3 },
    ...more,
  }
}

export function aChange(
  account: Account,
  deed: Partially<Deed> & { path: string },
  more: Partially<Change['intent']> = {},
): Change {
  const event = anEvent(account.id)
  const at = tick()
  return {
    intent: {
      id: newId('intent', at),
      node: 'node_a',
      eventId: event.id,
      accountId: account.id,
      deed: { kind: 'place', temporary: `/.landfall/uploads/${event.id}`, identity: '12.34', ...deed } as Deed,
      usage: { bytes: 3, files: 1 },
      createdAt: at,
      ...more,
    },
    event,
    audit: anAudit('upload', { accountId: account.id }),
    endsUpload: null,
  }
}

export function aPartial(user: User, more: Partially<Partial> = {}): Partial {
  const at = tick()
  const id = newId('upload', at)
  return {
    id,
    accountId: user.accountId,
    userId: user.id,
    node: 'node_a',
    path: '/in/big.bin',
    temporary: `/.landfall/uploads/${id}`,
    identity: '12.34',
    prefixBytes: 1024,
    startedAt: at,
    updatedAt: at,
    ...more,
  }
}

/** An attempt that was answered with `status`. */
export function anAttempt(number: number, status = 200, more: Partially<Attempt> = {}): Attempt {
  const error = status === 200 ? null : `status ${status}`
  return {
    number,
    startedAt: tick(),
    durationMs: 12.5,
    statusCode: status,
    error,
    responseHeaders: { 'content-type': 'text/plain' },
    responseBody: 'ok',
    ...more,
  }
}

/** The settlement of a claimed delivery's next attempt. */
export function settling(
  delivery: ClaimedDelivery,
  outcome: Settlement['outcome'],
  more: Partially<Settlement> = {},
): Settlement {
  const attempt = anAttempt(delivery.attempts + 1, outcome.state === 'delivered' ? 200 : 500)
  const { id: deliveryId, webhookId, orderKey, collapseKey } = delivery
  return {
    ...{ deliveryId, webhookId, orderKey, collapseKey },
    ...{ node: 'node_a', attempt, outcome, endedAt: tick() },
    ...more,
  }
}

type Partially<T> = { [Name in keyof T]?: T[Name] }

/** An agent is heard of, as by a heartbeat. */
export async function heard(store: Pick<AgentStore, 'seeAgent'>, agentId: string, at: number): Promise<void> {
  await store.seeAgent({ agentId, at, ipAddress: null }, anEvent(null, { type: 'agent.connected' }))
}

/** An agent that was heard of, however long ago. */
export function taker(agentId: string, node: string, seenSince = 0): Taker {
  return { agentId, node, seenSince }
}
