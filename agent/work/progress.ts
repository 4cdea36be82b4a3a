import type { Clock } from '../../src/base/clock.ts'
import type { WorkReport } from '../../src/wire/agent/work.ts'

/** A report is due this long after the last one, ms. */
const REPORT_MS = 1000
/** Speed is that of the last so many ms, from samples this far apart. */
const WINDOW_MS = 10_000
const SAMPLE_MS = 500

/** How far a copy has come, said at most once a second and at each crossed tenth. */
export class Progress {
  readonly #clock: Clock
  readonly #size: number
  readonly #report: (report: WorkReport) => Promise<void>
  readonly #startedAt: number
  readonly #startedWith: number
  #position: number
  #samples: { readonly at: number; readonly position: number }[]
  #reportedAt: number
  #reportedTenth: number
  #reporting: Promise<void> | undefined

  /** `position`: bytes that an earlier attempt left. */
  constructor(clock: Clock, size: number, position: number, report: (report: WorkReport) => Promise<void>) {
    this.#clock = clock
    this.#size = size
    this.#report = report
    this.#startedAt = clock.monotonic()
    this.#startedWith = position
    this.#position = position
    this.#samples = [{ at: this.#startedAt, position }]
    this.#reportedAt = this.#startedAt
    this.#reportedTenth = this.#tenth()
  }

  /** Bytes of the file that are on the other side, those of earlier attempts too. */
  get position(): number {
    return this.#position
  }

  /** Bytes that this attempt moved. */
  get moved(): number {
    return this.#position - this.#startedWith
  }

  /** Of the whole attempt, bytes per second. */
  get averageSpeed(): number {
    return speedOver(this.moved, this.#clock.monotonic() - this.#startedAt)
  }

  add(bytes: number): void {
    this.#position += bytes
    const now = this.#clock.monotonic()
    if (now - this.#samples.at(-1)!.at >= SAMPLE_MS) {
      this.#samples.push({ at: now, position: this.#position })
      while (now - this.#samples[0]!.at > WINDOW_MS) this.#samples.shift()
    }
    if (this.#isDue(now)) this.#say(now)
  }

  /** Nothing that was said is unanswered any more. */
  async settled(): Promise<void> {
    await this.#reporting
  }

  /** While one is unanswered, none is sent: a slow server hears less. The end is said by whoever verified it. */
  #isDue(now: number): boolean {
    if (this.#reporting !== undefined || this.#position >= this.#size) return false
    return now - this.#reportedAt >= REPORT_MS || this.#tenth() > this.#reportedTenth
  }

  #say(now: number): void {
    this.#reportedAt = now
    this.#reportedTenth = this.#tenth()
    const [oldest] = this.#samples
    const speed = speedOver(this.#position - oldest!.position, now - oldest!.at)
    const report = { state: 'running', size: this.#size, bytesTransferred: this.#position, speed } as const
    this.#reporting = this.#report(report).finally(() => {
      this.#reporting = undefined
    })
  }

  #tenth(): number {
    return this.#size === 0 ? 0 : Math.floor((this.#position / this.#size) * 10)
  }
}

function speedOver(bytes: number, ms: number): number {
  // What took less than a ms is counted as one.
  return Math.round((bytes / Math.max(ms, 1)) * 1000)
}
