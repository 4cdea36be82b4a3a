const last = new Map<string, Promise<unknown>>()

/** Calls one after the other where they have the same name. */
export async function inTurn<Result>(name: string, call: () => Promise<Result>): Promise<Result> {
  const before = last.get(name) ?? Promise.resolve()
  const mine = before.then(call, call)
  last.set(name, mine)
  try {
    return await mine
  } finally {
    if (last.get(name) === mine) last.delete(name)
  }
}
