import { AppError } from '../../src/base/error.ts'
import { NODE_SILENT_MS } from '../../src/webhooks/beat.ts'
import type { WebhookStore } from '../../src/webhooks/port.ts'
import type { Replay, ReplayState, ReplayStore } from '../../src/webhooks/recovery/replay-port.ts'
import type { Client, Database, DeliveryRow } from './database.ts'
import type { FakeTime } from './time.ts'

export interface ReplayRow {
  readonly replay: Replay
  /** How many events had been said when it was made. */
  readonly said: number
  state: ReplayState
  isOpen: boolean
  cursor: string | null
  node: string | null
}

/** The table of replays; what the worker asks of it, as the port promises. */
export class Replays {
  readonly rows = new Map<string, ReplayRow>()
  readonly #database: Database
  readonly #time: FakeTime

  constructor(database: Database, time: FakeTime) {
    this.#database = database
    this.#time = time
  }

  create(replay: Replay, said: number): void {
    this.rows.set(replay.id, { replay, said, state: 'running', isOpen: true, cursor: null, node: null })
  }

  cancel(id: string): void {
    const row = this.rows.get(id)
    if (row?.state !== 'running') return
    row.state = 'cancelled'
    this.#database.cancelledReplays.add(id)
    this.#cancelWaiting(id)
  }

  portFor(client: Client): ReplayStore & Pick<WebhookStore, 'findWebhook'> {
    const database = this.#database
    const call = <T>(commit: () => T) => database.call(client, commit)
    const said = () => database.events.map(({ event }) => event).toSorted((a, b) => (a.id < b.id ? -1 : 1))
    return {
      findWebhook: (id) => call(() => database.webhooks.get(id)),
      eventsInRange: ({ accountId, from, after, before }, limit) =>
        call(() => {
          const isIn = (id: string) => (after === null ? id >= from : id > after) && id < before
          const isOf = (owner: string | null) => accountId === null || owner === accountId
          return said().filter((event) => isIn(event.id) && isOf(event.accountId)).slice(0, limit) // biome-ignore format: one line
        }),
      eventsByIds: (ids) => call(() => said().filter(({ id }) => ids.includes(id))),
      sendingsOf: (webhookId, eventIds) =>
        call(() =>
          [...database.deliveries.values()]
            .filter(({ planned }) => planned.webhookId === webhookId && eventIds.includes(planned.eventId))
            .map(({ planned, state, reason }) => ({
              ...{ id: planned.id, eventId: planned.eventId, state, lastError: reason, isResend: planned.cause === 'resend' },
            })),
        ),
      takeReplays: (node, limit) =>
        call(() => {
          const silentSince = this.#time.now - NODE_SILENT_MS
          const open = [...this.rows.values()].filter((row) => row.isOpen)
          for (const row of open) if (row.node === null || database.isGone(node, row.node, silentSince)) row.node = node
          const ours = open.filter((row) => row.node === node).slice(0, limit)
          return ours.map(({ replay, state, cursor }) => ({ ...replay, state, cursor }))
        }),
      releaseReplays: (node) =>
        call(() => {
          for (const row of this.rows.values()) if (row.node === node) row.node = null
        }),
      countWaiting: (id, limit) => call(() => Math.min(this.#waitingOf(id).length, limit)),
      advanceReplay: ({ id, node, cursorBefore, cursor, deliveries, at, isLast }) =>
        call(() => {
          const row = this.rows.get(id)
          if (row?.state !== 'running' || row.node !== node || row.cursor !== cursorBefore) return false
          row.cursor = cursor
          for (const one of deliveries) database.insert(marked(one), at)
          if (isLast) Object.assign(row, { state: 'done', isOpen: false })
          return true
        }),
      cancelLeftovers: (id) =>
        call(() => {
          this.#cancelWaiting(id)
          const row = this.rows.get(id)
          if (row !== undefined && this.#waitingOf(id).length === 0) row.isOpen = false
        }),
      cancelReplay: (_webhookId, id) => call(() => this.cancel(id)),
      createReplay: notAsked,
      findReplay: notAsked,
      listReplays: notAsked,
    }
  }

  #waitingOf(id: string): DeliveryRow[] {
    return [...this.#database.deliveries.values()].filter(({ planned, state }) => planned.replayId === id && state === 'waiting')
  }

  #cancelWaiting(id: string): void {
    for (const row of this.#waitingOf(id))
      if (row.claimedBy === null) this.#database.end(row, 'cancelled', 'the replay was cancelled')
  }
}

/** The header by which the network knows the delivery, whatever its dialect says. */
export const DELIVERY_HEADER = 'X-Simulated-Delivery'

export function marked<Planned extends { readonly id: string }>(planned: Planned): Planned & { headers: Record<string, string> } {
  return { ...planned, headers: { [DELIVERY_HEADER]: planned.id } }
}

async function notAsked(): Promise<never> {
  throw new AppError('internal', 'the worker does not ask for this')
}
