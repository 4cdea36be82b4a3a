import { after, before, describe } from 'node:test'
import { accountCases } from './conformance/accounts.ts'
import { deliveryCases } from './conformance/deliveries.ts'
import { eventCases } from './conformance/events.ts'
import { fileCases } from './conformance/files.ts'
import { lifecycleCases } from './conformance/lifecycle.ts'
import { nodeCases } from './conformance/nodes.ts'
import { webhookCases } from './conformance/webhooks.ts'
import type { Store, StoreHooks } from './store.ts'

/** A fresh, empty store; `close` ends it and removes what it was made of. */
export type OpenStore = (hooks: StoreHooks) => Promise<{ store: Store; close(): Promise<void> }>

/** What the cases of one group work with. */
export interface World {
  store: Store
  /** Webhooks that the store nudged about, in order. */
  nudged: string[]
}

const GROUPS = { accountCases, webhookCases, eventCases, fileCases, deliveryCases, nodeCases, lifecycleCases }

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
