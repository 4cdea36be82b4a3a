/** A small generator from one seed: the same seed gives the same choices, so that a failure can be run again. */
export interface Random {
  /** From 0 inclusive to 1 exclusive. */
  next(): number
  /** A whole number from `least` to `most`, both inclusive. */
  between(least: number, most: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  pick<Item>(items: readonly Item[]): Item
  /** The items in another order. */
  shuffle<Item>(items: readonly Item[]): Item[]
  /** A generator of its own for a part: what the part draws does not change what others draw. */
  fork(part: string): Random
}

export function seeded(seed: string | number): Random {
  let state = fnv1a(String(seed))
  const random: Random = {
    // mulberry32: 32 bits of state, passes the usual statistical batteries, and enough for choices in tests.
    next() {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
    between: (least, most) => least + Math.floor(random.next() * (most - least + 1)),
    chance: (probability) => random.next() < probability,
    pick: (items) => items[random.between(0, items.length - 1)]!,
    shuffle(items) {
      const mixed = [...items]
      for (let last = mixed.length - 1; last > 0; last--) {
        const other = random.between(0, last)
        ;[mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!]
      }
      return mixed
    },
    fork: (part) => seeded(`${seed}/${part}`),
  }
  return random
}

/** FNV-1a over UTF-16 units: spreads texts that differ in one character over all 32 bits of state. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash | 0
}

/** Fills arrays with bytes of a generator, as `newId` wants them. */
export function bytesOf(random: Random): (into: Uint8Array) => void {
  return (into) => {
    for (let index = 0; index < into.length; index++) into[index] = random.between(0, 255)
  }
}
