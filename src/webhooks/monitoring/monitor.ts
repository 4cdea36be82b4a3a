import type { Caller } from '../../audit/caller.ts'
import type { Clock } from '../../base/clock.ts'
import type { Webhook } from '../webhook.ts'
import { HEALTH_LONG_MS, HEALTH_RECENT_MS, type Health, healthOf } from './health.ts'
import { type Figures, figuresOf, type StatsWindow, WINDOW_DEFAULT, windowNamed, windowOf } from './stats.ts'
import type { FailedDelivery, StatsStore, Vitals } from './stats-port.ts'

/** Failures that are shown (MFTPlus, "Monitoring": last 10 failed deliveries with error details). */
export const RECENT_FAILURES = 10
/** Webhooks with the most failures that the figures of the server name. */
export const WORST_WEBHOOKS = 5

export interface WebhookStats {
  readonly webhook: Webhook
  readonly window: StatsWindow
  readonly figures: Figures
  readonly health: Health
  readonly recentFailures: readonly FailedDelivery[]
}

export interface ServerStats {
  readonly window: StatsWindow
  readonly figures: Figures
  readonly worst: readonly { webhookId: string; webhookName: string; accountId: string | null; figures: Figures }[]
}

/** How webhooks are doing. Reads roll-ups only, so it is as fast with ten million attempts as with ten. */
export interface Monitor {
  /** `window` such as `5m`, `1h`, `30d`; absent: an hour. Throws `invalid` for another, `not_found` as `WebhookAdmin.get`. */
  stats(id: string, window: string | undefined, caller: Pick<Caller, 'accountId'>): Promise<WebhookStats>
  /** All webhooks together; for administrators. */
  serverStats(window: string | undefined): Promise<ServerStats>
  /** Of these webhooks, by id, with one question to the store. */
  health(webhooks: readonly Webhook[]): Promise<ReadonlyMap<string, Health>>
}

export interface MonitorParts {
  readonly store: StatsStore
  readonly webhooks: { get(id: string, caller: Pick<Caller, 'accountId'>): Promise<Webhook> }
  readonly clock: Clock
  readonly pauseLeftMs: (webhookId: string) => number
}

export function createMonitor({ store, webhooks, clock, pauseLeftMs }: MonitorParts): Monitor {
  async function health(asked: readonly Webhook[]): Promise<ReadonlyMap<string, Health>> {
    const now = clock.now()
    const [hourFrom, recentFrom] = [windowOf(HEALTH_LONG_MS, now).from, windowOf(HEALTH_RECENT_MS, now).from]
    const ids = asked.map(({ id }) => id)
    const vitals = new Map((await store.vitals(ids, hourFrom, recentFrom)).map((each) => [each.webhookId, each]))
    const factsOf = (id: string) => ({ ...(vitals.get(id) ?? NOTHING), pauseLeftMs: pauseLeftMs(id) })
    return new Map(asked.map((webhook) => [webhook.id, healthOf(webhook, factsOf(webhook.id), now)]))
  }

  return {
    health,

    async stats(id, asked, caller) {
      const window = windowNamed(asked ?? WINDOW_DEFAULT, clock.now())
      const webhook = await webhooks.get(id, caller)
      const tally = await store.tallyOf(id, window)
      const recentFailures = await store.recentFailures(id, RECENT_FAILURES)
      return { webhook, window, figures: figuresOf(tally), health: (await health([webhook])).get(id)!, recentFailures }
    },

    async serverStats(asked) {
      const window = windowNamed(asked ?? WINDOW_DEFAULT, clock.now())
      const { all, worst } = await store.tallyOfAll(window, WORST_WEBHOOKS)
      return {
        window,
        figures: figuresOf(all),
        worst: worst.map(({ tally, ...rest }) => ({ ...rest, figures: figuresOf(tally) })),
      }
    },
  }
}

/** Of a webhook that was removed while it was read. */
const NOTHING: Omit<Vitals, 'webhookId'> = {
  ...{ hour: { attempts: 0, failures: 0, slow: 0 }, recent: { attempts: 0, failures: 0, slow: 0 }, oldestDueAt: null },
}
