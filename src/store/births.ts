import type { BirthRoom } from '../webhooks/port.ts'
import type { PlannedDelivery } from '../webhooks/webhook.ts'

/**
 * Who claims each delivery that is planned now, asked of one after the other: the node that told of its room, while there is some. Nobody
 * claims one that is in an order: whether it is the first shows only when it takes its place.
 */
export function claimantIn(room: BirthRoom | null): (delivery: PlannedDelivery) => string | null {
  if (room === null) return () => null
  const left = new Map(Object.entries(room.rooms))
  let most = room.most
  return ({ webhookId, orderKey }) => {
    const own = left.get(webhookId) ?? room.other
    if (orderKey !== null || own <= 0 || most <= 0) return null
    left.set(webhookId, own - 1)
    most -= 1
    return room.node
  }
}
