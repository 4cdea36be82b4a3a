import type { FileStore } from '../files/port.ts'
import type { Store } from '../store/store.ts'
import type { Engine } from '../webhooks/engine.ts'
import type { PlannedDelivery } from '../webhooks/webhook.ts'

/**
 * Where files meet webhooks without knowing each other: when a change is let go, its deliveries are offered to the lanes,
 * which start them at once; those taken are written as claimed by this node, in the write that closes the intent. `said`: live streams
 * need not wait for their next look.
 */
export function deliveringFiles(store: Store, engine: Pick<Engine, 'offer'>, node: string, said: () => void): FileStore {
  return {
    ...store,
    async recordFact(event, audit) {
      await store.recordFact(event, audit)
      said()
    },
    closeIntent(intent, held) {
      const written = Promise.withResolvers<void>()
      // The engine looks at it only while it has something of this change in hand.
      written.promise.catch(() => undefined)
      const deliveries = (held?.deliveries ?? []) as readonly PlannedDelivery[]
      const deliveryIds = engine.offer(deliveries, written.promise)
      const closing = store.closeIntent(intent, { node, deliveryIds })
      closing.then(written.resolve, written.reject)
      closing.then(said, () => undefined)
      return closing
    },
  }
}
