import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { EventStore } from '../../events/port.ts'
import type { WebhookAdmin } from '../admin/administer.ts'
import { shortened } from '../invalid.ts'
import type { WebhookStore } from '../port.ts'
import { type ExplainStore, type Explanation, explain, type PauseLeft } from './explain.ts'
import { createFeed, type Feed } from './feed.ts'
import { createReplayAdmin, type ReplayAdmin } from './replay.ts'
import type { ReplayStore } from './replay-port.ts'
import { ReplayWorker } from './replay-worker.ts'
import { EventStreams } from './stream.ts'

export interface RecoveryParts {
  readonly store: ReplayStore & ExplainStore & WebhookStore & Pick<EventStore, 'eventsAfter' | 'eventsEnd'>
  readonly webhooks: Pick<WebhookAdmin, 'get' | 'getIncluded'>
  readonly clock: Clock
  readonly log: Log
  readonly node: string
  readonly pauseLeftMs: PauseLeft
}

/** Everything by which a receiver gets what it missed, and people see why; the worker and the streams live until `stop`. */
export interface Recovery extends Feed {
  readonly replays: ReplayAdmin
  readonly streams: EventStreams
  /** `not_found` for a delivery that the caller may not see. */
  explain(webhookId: string, deliveryId: string, caller: Parameters<WebhookAdmin['get']>[1]): Promise<Explanation>
  start(): void
  stop(): Promise<void>
}

export function createRecovery(parts: RecoveryParts): Recovery {
  const { store, webhooks, clock } = parts
  const worker = new ReplayWorker(parts)
  const streams = new EventStreams(parts)
  return {
    ...createFeed({ store, webhooks }),
    replays: createReplayAdmin({ store, webhooks, clock, wake: () => worker.wake() }),
    streams,
    async explain(webhookId, deliveryId, caller) {
      const webhook = await webhooks.get(webhookId, caller)
      const found = await store.findDelivery(webhook.id, deliveryId)
      if (found === undefined) throw new AppError('not_found', `no delivery ${shortened(deliveryId)} of webhook ${webhook.id}`)
      const standing = await store.standingOf(webhook.id, deliveryId)
      return explain({ webhook, ...found, standing, pauseLeftMs: parts.pauseLeftMs(webhook.id), now: clock.now() })
    },
    start: () => worker.start(),
    async stop() {
      streams.stop()
      await worker.stop()
    },
  }
}
