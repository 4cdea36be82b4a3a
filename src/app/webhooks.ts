import { createAllowances } from '../accounts/allowance.ts'
import { sealedAuthority } from '../agents/sealed.ts'
import type { ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { SealedKind } from '../base/reseal.ts'
import type { EgressGuard } from '../http/guard.ts'
import { createTlsInspector } from '../http/inspect.ts'
import type { Poster } from '../http/post.ts'
import type { Store } from '../store/store.ts'
import { sealedRemotes } from '../transfers/sealed.ts'
import { noticingFailures, type Watch } from '../watch/watch.ts'
import { createWebhookAdmin } from '../webhooks/admin/administer.ts'
import { createDoctor } from '../webhooks/admin/doctor.ts'
import { createTrigger } from '../webhooks/admin/trigger.ts'
import { createMonitor } from '../webhooks/monitoring/monitor.ts'
import type { PauseLeft } from '../webhooks/recovery/explain.ts'
import { createRecovery, type Recovery } from '../webhooks/recovery/recovery.ts'
import { createMasterKeyAdmin, type MasterKeys } from '../webhooks/secrets/reseal.ts'
import { createSecretAdmin } from '../webhooks/secrets/rotate.ts'
import { sealedWebhooks } from '../webhooks/secrets/sealed.ts'

/** Everything in the database that is sealed under the master key. */
export function sealedKinds(store: Store): readonly SealedKind[] {
  return [sealedWebhooks(store), sealedRemotes(store), sealedAuthority(store)]
}

export interface WebhookDeskParts {
  readonly store: Store
  readonly guard: EgressGuard
  readonly poster: Pick<Poster, 'post'>
  readonly masterKeys: MasterKeys
  readonly watch: Pick<Watch, 'lookAt'>
  /** There may be something due for these webhooks. */
  readonly nudge: (webhookIds: readonly string[]) => void
  readonly pauseLeftMs: PauseLeft
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/** What people ask about webhooks, besides the deliveries that the engine makes by itself. */
export interface WebhookDesk extends Pick<ApiNeeds, 'webhooks' | 'secrets' | 'masterKey' | 'trigger' | 'doctor' | 'monitor'> {
  /** Not started yet: replays go on and live streams are served only from `start` to `stop`. */
  readonly recovery: Recovery
}

export function createWebhookDesk({
  store,
  guard,
  poster,
  masterKeys,
  watch,
  nudge,
  pauseLeftMs,
  clock,
  log,
  node,
}: WebhookDeskParts): WebhookDesk {
  const seal = masterKeys.ring
  const webhooks = createWebhookAdmin({
    ...{ store: noticingFailures(store, watch), events: store, guard, seal, clock, nudge },
    allowanceOf: createAllowances(store),
  })
  const recovery = createRecovery({ store, webhooks, clock, log: log.child({ part: 'recovery' }), node, pauseLeftMs })
  const inspectTls = createTlsInspector(guard, clock)
  return {
    webhooks,
    secrets: createSecretAdmin({ store, seal, clock }),
    masterKey: createMasterKeyAdmin({ store, kinds: sealedKinds(store), keys: masterKeys, clock, log }),
    recovery,
    trigger: createTrigger({ webhooks, show: (sample) => recovery.streams.show(sample), clock }),
    doctor: createDoctor({ webhooks, audit: store, seal, post: poster.post, inspectTls, clock }),
    monitor: createMonitor({ store, webhooks, clock, pauseLeftMs }),
  }
}
