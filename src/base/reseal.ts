import { type KeyRing, SealError } from './seal.ts'

/** Things of one kind that have secrets sealed under the master key, as a change of that key goes through them. */
export interface SealedKind {
  /** For people: `webhooks`. */
  readonly name: string
  /** Those with anything sealed, in the order of their ids beyond `after`. Whatever is written under the old key meanwhile, a later pass finds. */
  list(after: string, limit: number): Promise<readonly SealedThing[]>
  /** Replaces what is sealed where it is still as it was `before`: nobody's newer secret is lost. */
  reseal(changes: readonly { readonly before: SealedThing; readonly after: SealedThing }[]): Promise<void>
}

export interface SealedThing {
  readonly id: string
  readonly texts: readonly SealedText[]
}

export interface SealedText {
  /** Which of the things's texts it is. */
  readonly name: string
  readonly sealed: string
  /** What it is bound to. */
  readonly purpose: string
}

/** Things that are read, and sealed anew in one transaction. */
const BATCH = 100

export async function* pagesOf({ list }: SealedKind): AsyncGenerator<readonly SealedThing[]> {
  for (let after = ''; ; ) {
    const page = await list(after, BATCH)
    if (page.length > 0) yield page
    if (page.length < BATCH) return
    after = page.at(-1)!.id
  }
}

/** One pass over all kinds: ids of what was sealed anew, and of what has a text that no key opens. */
export async function resealOnce(
  kinds: readonly SealedKind[],
  ring: KeyRing,
): Promise<{ resealed: string[]; unreadable: string[] }> {
  const resealed: string[] = []
  const unreadable: string[] = []
  for (const kind of kinds) {
    for await (const page of pagesOf(kind)) {
      const changes = []
      for (const before of page) {
        const { after, isOld, isReadable } = sealedAnew(before, ring)
        if (isOld) changes.push({ before, after })
        if (!isReadable) unreadable.push(before.id)
      }
      if (changes.length > 0) await kind.reseal(changes)
      resealed.push(...changes.map(({ before }) => before.id))
    }
  }
  return { resealed, unreadable }
}

/** Each text for itself: one that no key opens stays as it is and does not hold up the others. */
export function sealedAnew(before: SealedThing, ring: KeyRing): { after: SealedThing; isOld: boolean; isReadable: boolean } {
  let isOld = false
  let isReadable = true
  const texts = before.texts.map((text) => {
    const { sealed, purpose } = text
    if (ring.isOfFirst(sealed, purpose)) return text
    try {
      const anew = { ...text, sealed: ring.seal(ring.open(sealed, purpose), purpose) }
      isOld = true
      return anew
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      isReadable = false
      return text
    }
  })
  return { after: { id: before.id, texts }, isOld, isReadable }
}
