import type { Clock } from '../../src/base/clock.ts'

interface Timer {
  at: number
  order: number
  call: () => void
}

/** Fake time: stands still while anything runs, then jumps to the next timer. */
export class FakeTime {
  #now: number
  #order = 0
  #timers: Timer[] = []

  constructor(startAt: number) {
    this.#now = startAt
  }

  get now(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    // Whole milliseconds, as the wall clock counts.
    const timer = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#order++, call }
    push(this.#timers, timer)
    return () => {
      timer.call = () => {}
    }
  }

  /** Runs timer after timer until `until` or until `isDone`; everything that a timer sets off has ended before the next. */
  async run(until: number, isDone: () => boolean = () => false): Promise<void> {
    while (!isDone()) {
      const next = this.#timers[0]
      if (next === undefined || next.at > until) break
      pop(this.#timers)
      this.#now = next.at
      next.call()
      // setImmediate comes after all promises that can settle have settled.
      await new Promise(setImmediate)
    }
    if (!isDone()) this.#now = Math.max(this.#now, until)
  }

  /** A clock for one life of a process: its timers die with it. */
  clockFor(life: { isAlive: boolean }): Clock {
    return {
      now: () => this.#now,
      monotonic: () => this.#now,
      after: (ms, call) => this.after(ms, () => life.isAlive && call()),
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** A binary heap, earliest first. */
function push(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (!isBefore(timer, heap[parent]!)) break
    heap[index] = heap[parent]!
    index = parent
  }
  heap[index] = timer
}

function pop(heap: Timer[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[index] = heap[child]!
    index = child
  }
  heap[index] = last
}
