/** The library for certificates, loaded when the first one is made or a request is read: it costs 0.2 s (measured). */
export async function loadX509() {
  giveReflect()
  return import('@peculiar/x509')
}

/**
 * The library needs what the package `reflect-metadata` adds to `Reflect`, for marks that its classes get from decorators. These three are all
 * that it calls.
 */
function giveReflect(): void {
  const marks = new WeakMap<object, Map<unknown, unknown>>()
  const own = (key: unknown, target: object) => marks.get(target)?.get(key)
  const reflect = Reflect as unknown as Record<string, unknown>
  if (reflect.getMetadata !== undefined) return
  reflect.getOwnMetadata = own
  reflect.getMetadata = (key: unknown, target: object) => {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
      const mark = own(key, at)
      if (mark !== undefined) return mark
    }
    return undefined
  }
  reflect.defineMetadata = (key: unknown, mark: unknown, target: object) => {
    marks.set(target, (marks.get(target) ?? new Map()).set(key, mark))
  }
}
