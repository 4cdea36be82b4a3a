import { after, before, describe } from 'node:test'
import type { Store, StoreHooks } from './store.ts'
import { accountCases } from './suite/accounts.conformance.ts'
import { agentCases } from './suite/agents.conformance.ts'
import { alertCases } from './suite/alerts.conformance.ts'
import { deliveryCases } from './suite/deliveries.conformance.ts'
import { eventCases } from './suite/events.conformance.ts'
import { fileCases } from './suite/files.conformance.ts'
import { jobCases } from './suite/jobs.conformance.ts'
import { lifecycleCases } from './suite/lifecycle.conformance.ts'
import { listCases } from './suite/lists.conformance.ts'
import { nodeCases } from './suite/nodes.conformance.ts'
import { orderCases } from './suite/order.conformance.ts'
import { remoteCases } from './suite/remotes.conformance.ts'
import { replayCases } from './suite/replays.conformance.ts'
import { retentionCases } from './suite/retention.conformance.ts'
import { sealedCases } from './suite/sealed.conformance.ts'
import { totalsCases } from './suite/totals.conformance.ts'
import { transferCases } from './suite/transfers.conformance.ts'
import { webhookCases } from './suite/webhooks.conformance.ts'

/** A fresh, empty store; `close` ends it and removes what it was made of. */
export type OpenStore = (hooks: StoreHooks) => Promise<{ store: Store; close(): Promise<void> }>

/** What the cases of one group work with. */
export interface World {
  store: Store
  /** Webhooks that the store nudged about, in order. */
  nudged: string[]
}

const GROUPS = {
  agentCases,
  alertCases,
  accountCases,
  webhookCases,
  eventCases,
  fileCases,
  deliveryCases,
  nodeCases,
  listCases,
  retentionCases,
  orderCases,
  remoteCases,
  replayCases,
  transferCases,
  sealedCases,
  jobCases,
  totalsCases,
  lifecycleCases,
}

/** What both stores must mean. Each group has a database of its own; its cases share it and make their own accounts and webhooks. */
export function storeConformance(name: string, openStore: OpenStore): void {
  for (const [group, cases] of Object.entries(GROUPS)) {
    describe(`${name}: ${group}`, () => {
      const world = { nudged: [] } as unknown as World
      let close: () => Promise<void>
      before(async () => {
        const opened = await openStore({ onPlanned: (webhookIds) => world.nudged.push(...webhookIds) })
        world.store = opened.store
        close = opened.close
      })
      after(() => close())
      cases(world)
    })
  }
}
