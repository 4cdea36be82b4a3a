import { changeEntry, SERVER_CALLER } from '../../audit/caller.ts'
import type { Clock } from '../../base/clock.ts'
import { codeOf } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import { Rounds } from '../../base/rounds.ts'
import { SECOND_MS } from '../../base/units.ts'
import { planDelivery } from '../plan.ts'
import type { WebhookStore } from '../port.ts'
import type { OpenReplay, ReplayStore } from './replay-port.ts'
import { select } from './select.ts'

/** Deliveries of one replay that wait at the same time: what is live is never far behind them. */
export const REPLAY_WAITING_MAX = 100
/** Replays that one node carries on at the same time. */
const REPLAYS_MAX = 1_000
/** Stretches of events that a step looks through for one that has something to send. */
const STRETCHES_PER_STEP = 5
/** Between two steps of a replay, ms; while its receiver is behind, longer. */
const STEP_MS = 100
const BEHIND_MS = SECOND_MS
/** After a failure of our own, ms. */
const RETRY_MS = SECOND_MS
/** How often replays are looked for that somebody else made or left, ms. */
const SWEEP_MS = 2 * SECOND_MS

export interface ReplayWorkerParts {
  readonly store: ReplayStore & Pick<WebhookStore, 'findWebhook'>
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/**
 * Carries on the replays of this node, and of nodes that are gone. A step is one transaction that inserts deliveries and moves the
 * cursor, if the cursor still is where the step began: whatever dies or is repeated, an event is planned once a replay.
 */
export class ReplayWorker {
  readonly #parts: ReplayWorkerParts
  readonly #active = new Map<string, Promise<void>>()
  readonly #sweeps: Rounds
  #isStopping = false
  #pauses = new Set<() => void>()

  constructor(parts: ReplayWorkerParts) {
    this.#parts = parts
    this.#sweeps = new Rounds({
      clock: parts.clock,
      round: () => this.#sweep(),
      everyMs: SWEEP_MS,
      failed: (error) => parts.log.warn({ err: error }, 'replays could not be looked for; trying again'),
    })
  }

  start(): void {
    this.#sweeps.start()
  }

  /** A replay was made or cancelled on this node. */
  wake(): void {
    this.#sweeps.wake()
  }

  /** Lets the steps under way end; others may carry on at once. */
  async stop(): Promise<void> {
    const { store, node, log } = this.#parts
    this.#isStopping = true
    for (const end of this.#pauses) end()
    await this.#sweeps.stop()
    await Promise.all(this.#active.values())
    await store.releaseReplays(node).catch((error) => {
      log.warn({ err: error }, 'replays could not be let go; they are taken over when this node is found to be gone')
    })
  }

  async #sweep(): Promise<void> {
    const { store, clock, node } = this.#parts
    for (const replay of await store.takeReplays(node, REPLAYS_MAX)) {
      if (replay.state === 'cancelled') await store.cancelLeftovers(replay.id, clock.now())
      else if (!this.#active.has(replay.id)) this.#begin(replay)
    }
  }

  #begin(replay: OpenReplay): void {
    const done = this.#carryOn(replay).finally(() => this.#active.delete(replay.id))
    this.#active.set(replay.id, done)
  }

  async #carryOn(replay: OpenReplay): Promise<void> {
    const { clock, log } = this.#parts
    const allowance = new Allowance(replay.request.ratePerSecond, clock)
    let cursor = replay.cursor
    while (!this.#isStopping) {
      try {
        const step = await this.#step(replay, cursor, allowance)
        if (step.isEnd) return
        cursor = step.cursor
        await this.#pause(step.isBehind ? BEHIND_MS : STEP_MS)
      } catch (error) {
        log.warn({ err: error, replay: replay.id }, 'a step of a replay failed; trying again')
        await this.#pause(RETRY_MS)
      }
    }
  }

  async #step(replay: OpenReplay, from: string | null, allowance: Allowance): Promise<Step> {
    const { store, clock, node } = this.#parts
    const { id, webhookId, request } = replay
    const room = Math.min(REPLAY_WAITING_MAX - (await store.countWaiting(id, REPLAY_WAITING_MAX)), allowance.whole())
    if (room < 1) return { isEnd: false, cursor: from, isBehind: allowance.whole() >= 1 }
    const webhook = await store.findWebhook(webhookId)
    if (webhook === undefined) return this.#giveUp(replay)

    let cursor = from
    for (let stretches = 0; stretches < STRETCHES_PER_STEP; stretches++) {
      const stretch = await select(store, webhook, request, cursor)
      const taken = stretch.chosen.slice(0, room)
      const isAll = taken.length === stretch.chosen.length
      const at = clock.now()
      const deliveries = taken.map((event) => ({ ...planDelivery(event, webhook, 'resend', at), replayId: id }))
      const next = isAll ? stretch.cursor : taken.at(-1)!.id
      const isLast = isAll && stretch.isLast
      const moved = { id, node, cursorBefore: cursor, cursor: next, deliveries, at, isLast }
      // Cancelled, somebody else's, or a step whose answer was lost: the next sweep knows.
      if (!(await store.advanceReplay(moved))) return { isEnd: true }
      if (isLast) return { isEnd: true }
      allowance.spend(taken.length)
      cursor = next
      if (taken.length > 0) break
    }
    return { isEnd: false, cursor, isBehind: false }
  }

  /** Its webhook is gone. That it has ended already, by its owner or by a call whose answer was lost, is as good. */
  async #giveUp({ id, webhookId, accountId }: OpenReplay): Promise<Step> {
    const change = { accountId, action: 'webhook.replay_cancel', target: webhookId, detail: id } as const
    try {
      await this.#parts.store.cancelReplay(webhookId, id, changeEntry(SERVER_CALLER, this.#parts.clock.now(), change))
    } catch (error) {
      if (codeOf(error) !== 'conflict') throw error
    }
    return { isEnd: true }
  }

  /** Ends after `ms`, or when the worker stops. */
  #pause(ms: number): Promise<void> {
    if (this.#isStopping) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        cancel()
        this.#pauses.delete(end)
        resolve()
      }
      const cancel = this.#parts.clock.after(ms, end)
      this.#pauses.add(end)
    })
  }
}

type Step = { readonly isEnd: true } | { readonly isEnd: false; readonly cursor: string | null; readonly isBehind: boolean }

/** What may be planned by now: grows with time, and never to more than a quarter of a second's worth, so that nothing comes in a flood. */
class Allowance {
  readonly #ratePerSecond: number
  readonly #clock: Pick<Clock, 'monotonic'>
  #amount = 1
  #at: number

  constructor(ratePerSecond: number, clock: Pick<Clock, 'monotonic'>) {
    this.#ratePerSecond = ratePerSecond
    this.#clock = clock
    this.#at = clock.monotonic()
  }

  whole(): number {
    const now = this.#clock.monotonic()
    const grown = this.#amount + ((now - this.#at) * this.#ratePerSecond) / SECOND_MS
    this.#amount = Math.min(grown, Math.max(1, this.#ratePerSecond / 4))
    this.#at = now
    return Math.floor(this.#amount)
  }

  spend(count: number): void {
    this.#amount -= count
  }
}
