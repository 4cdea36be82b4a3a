import type { Clock } from '../src/base/clock.ts'
import type { Work, WorkReport } from '../src/wire/agent/work.ts'
import { describeWork, type Tell } from './news.ts'
import { rest } from './rest.ts'
import type { StopReason } from './work/context.ts'

/** Does one piece of work and reports how it went. Resolves when nothing of it is under way any more. */
export type DoWork = (work: Work, holding: Holding) => Promise<void>

/** What a piece of work is given by whoever holds it. */
export interface Holding {
  readonly signal: AbortSignal
  report(report: WorkReport): Promise<{ readonly go: boolean }>
}

export interface WorksParts {
  readonly doWork: DoWork
  /** One try to tell the server. Throws where it did not answer; `go` is false where it will never take it. */
  readonly send: (lease: string, report: WorkReport) => Promise<{ readonly go: boolean }>
  readonly clock: Clock
  readonly tell: Tell
}

/** Work that waits for its turn, at most: the server hands out no more than is done at the same time, but that number may have been lowered. */
const WAITING_MAX = 1_000
/** Between two tries to report what must be known, ms: twice as long each time, up to the greatest. */
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 5_000

const FINAL = new Set<WorkReport['state']>(['completed', 'failed', 'cancelled', 'listed', 'discarded'])

interface Held {
  readonly work: Work
  readonly stop: AbortController
  /** Ends the tries to report it, too. */
  readonly dropped: AbortController
  state: 'waiting' | 'running' | 'over'
}

/**
 * The work that this agent holds, each by its lease: waiting → running → over. A lease is held until the server has answered how the work ended, or
 * until it is dropped; dropped work may take a moment to stop, and is not named to the server any more, but counted until it has.
 */
export class Works {
  readonly #parts: WorksParts
  readonly #held = new Map<string, Held>()
  readonly #running = new Set<Held>()
  #concurrency = 0
  #quiet: (() => void)[] = []

  constructor(parts: WorksParts) {
    this.#parts = parts
  }

  /** What is to be named to the server. */
  get leases(): string[] {
    return [...this.#held.keys()]
  }

  get isBusy(): boolean {
    return [...this.#running].filter(takesTurn).length >= this.#concurrency
  }

  /** How many are done at the same time; those that are more end as they would. */
  allow(concurrency: number): void {
    this.#concurrency = concurrency
    this.#fill()
  }

  take(work: Work): void {
    if (this.#held.has(work.lease)) return
    const held: Held = { work, stop: new AbortController(), dropped: new AbortController(), state: 'waiting' }
    this.#held.set(work.lease, held)
    if (this.#held.size > WAITING_MAX) void this.#fail(held, `the agent holds ${WAITING_MAX} pieces of work already`)
    else this.#fill()
  }

  /** Somebody does not want it any more: it ends at once, leaves nothing, and says so. */
  cancel(lease: string): void {
    const held = this.#held.get(lease)
    held?.stop.abort('cancelled' satisfies StopReason)
    this.#fill()
    // The server believes that we hold what we do not: it hears so, and asks again until it has.
    if (held === undefined)
      void this.#parts.send(lease, { state: 'cancelled', bytesTransferred: 0, leavesPart: true }).catch(() => undefined)
  }

  /** It is ours no more: it stops and says nothing. */
  drop(lease: string, reason: StopReason): void {
    const held = this.#held.get(lease)
    if (held === undefined) return
    this.#held.delete(lease)
    held.stop.abort(reason)
    held.dropped.abort()
    if (held.state !== 'over') this.#parts.tell({ type: 'dropped', lease, what: describeWork(held.work), why: reason })
  }

  dropAll(reason: StopReason): void {
    for (const lease of this.leases) this.drop(lease, reason)
  }

  /**
   * Resolves when what was dropped has stopped. Only then may the server be told that it is not done any more: it is handed out again at once.
   */
  async stopped(): Promise<void> {
    while ([...this.#running].some((held) => !this.#isHeld(held))) await new Promise<void>((resolve) => this.#quiet.push(resolve))
  }

  #fill(): void {
    for (const held of this.#held.values()) {
      // What was cancelled before its turn is begun too: an earlier attempt may have left something.
      const mayStart = !this.isBusy || held.stop.signal.aborted || !takesTurn(held)
      if (held.state === 'waiting' && mayStart && !this.#isDone(held.work)) this.#start(held)
    }
  }

  /** Whether the same transfer or listing, of an earlier lease, has not stopped yet. */
  #isDone(work: Work): boolean {
    return [...this.#running].some((held) => subject(held.work) === subject(work))
  }

  #start(held: Held): void {
    const { doWork, tell } = this.#parts
    const { work, stop } = held
    held.state = 'running'
    this.#running.add(held)
    tell({ type: 'work', lease: work.lease, what: describeWork(work) })
    const holding = { signal: stop.signal, report: (report: WorkReport) => this.#report(held, report) }
    void doWork(work, holding)
      .catch((error) => this.#fail(held, String(error)))
      .finally(() => {
        held.state = 'over'
        this.#running.delete(held)
        for (const resolve of this.#quiet.splice(0)) resolve()
        this.#fill()
      })
  }

  #fail(held: Held, error: string): Promise<unknown> {
    held.state = 'over'
    return this.#report(held, { state: 'failed', error, errorCode: 'INTERNAL', bytesTransferred: 0 })
  }

  /** Progress is tried once, what must be known until it is answered or the lease is dropped. Never rejects. */
  async #report(held: Held, report: WorkReport): Promise<{ go: boolean }> {
    const { lease } = held.work
    const { tell, clock, send } = this.#parts
    if (this.#isHeld(held)) tell({ type: 'report', lease, what: describeWork(held.work), report })
    for (let retryMs = RETRY_MS_MIN; this.#isHeld(held); retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
      const answer = await send(lease, report).catch(() => undefined)
      if (answer !== undefined && FINAL.has(report.state)) this.#held.delete(lease)
      else if (answer?.go === false) this.drop(lease, 'lease lost')
      if (answer !== undefined) return answer
      if (report.state === 'running') return { go: this.#isHeld(held) }
      await rest(clock, retryMs, held.dropped.signal)
    }
    return { go: false }
  }

  #isHeld(held: Held): boolean {
    return this.#held.get(held.work.lease) === held
  }
}

/** Only transfers do: a listing mostly waits, and the server hands out few of them at a time; discarding takes a moment. */
function takesTurn({ work }: Held): boolean {
  return work.kind === 'transfer'
}

function subject(work: Work): string {
  return work.kind === 'list' ? work.runId : work.transferId
}
