/**
 * Which bytes of a file were written: sorted ranges [start, end) that neither touch nor overlap. Clients write out of order
 * within a window, so there are few; the number is bounded all the same.
 */
export class Ranges {
  #ranges: { start: number; end: number }[] = []

  /** The bytes from `start` on, before `end`, are there. */
  add(start: number, end: number): void {
    if (end <= start) return
    const ranges = this.#ranges
    // Most writes continue the last range, so look from the end for the ranges that this one touches.
    let after = ranges.length
    while (after > 0 && ranges[after - 1]!.start > end) after--
    let from = after
    while (from > 0 && ranges[from - 1]!.end >= start) from--
    const merged = { start, end }
    if (from < after) {
      merged.start = Math.min(start, ranges[from]!.start)
      merged.end = Math.max(end, ranges[after - 1]!.end)
    }
    ranges.splice(from, after - from, merged)
  }

  /** Forgets everything from `size` on. */
  cut(size: number): void {
    while (this.#ranges.length > 0 && this.#ranges.at(-1)!.start >= size) this.#ranges.pop()
    const last = this.#ranges.at(-1)
    if (last !== undefined && last.end > size) last.end = size
  }

  /** Bytes from the start of the file without a hole. */
  prefix(): number {
    const first = this.#ranges[0]
    return first?.start === 0 ? first.end : 0
  }

  /** Whether a file of `size` bytes has no hole. */
  covers(size: number): boolean {
    return this.prefix() >= size
  }

  get count(): number {
    return this.#ranges.length
  }
}
