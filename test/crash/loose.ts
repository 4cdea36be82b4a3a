/** A value whose parts may be changed, for planting faults into evidence. */
export type Loose<Value> = Value extends (...args: never[]) => unknown
  ? Value
  : Value extends ReadonlyMap<infer Key, infer Item>
    ? Map<Key, Loose<Item>>
    : Value extends ReadonlySet<infer Item>
      ? Set<Item>
      : Value extends object
        ? { -readonly [Member in keyof Value]: Loose<Value[Member]> }
        : Value
