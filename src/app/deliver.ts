import type { EventStore } from '../events/port.ts'
import type { FileStore } from '../files/port.ts'
import type { Fact, Store } from '../store/store.ts'
import type { Engine } from '../webhooks/engine.ts'
import type { PlannedDelivery } from '../webhooks/webhook.ts'

type Recording = FileStore & Pick<EventStore, 'recordEvents'>

/**
 * Where files and events meet webhooks without knowing each other: what is recorded starts its deliveries at once, claimed by this node in
 * the write that lets them go. Those of a change are offered to the lanes when its intent is closed; those of a fact the store plans and
 * claims as far as the lanes have room. `said`: live streams need not wait for their next look.
 */
export function delivering(store: Store, engine: Pick<Engine, 'offer' | 'record'>, node: string, said: () => void): Recording {
  async function record(facts: readonly Fact[]): Promise<void> {
    await engine.record(facts.length, (room) => store.recordFacts(facts, room))
    said()
  }
  return {
    ...store,
    recordEvents: (events) => record(events.map((event) => ({ event, audit: null }))),
    recordFact: (event, audit) => record([{ event, audit }]),
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
