/**
 * What a client did and was told, and from that what must be true. Every client works on its own folder, one change after the
 * other, so its log alone says what each of its paths must hold.
 */
export type Deed =
  | { kind: 'upload'; path: string; hash: string; bytes: number }
  | { kind: 'rename'; from: string; path: string }
  | { kind: 'remove'; path: string }
  | { kind: 'make_folder'; path: string }
  | { kind: 'remove_folder'; path: string }

/**
 * asked: no answer came, the connection was cut; after the restart the client looks, and it turns happened or lost.
 * acknowledged: the client was told that it is done. refused: it was told that it is not.
 */
export type Outcome = 'asked' | 'acknowledged' | 'happened' | 'lost' | 'refused'

export interface Entry {
  readonly deed: Deed
  outcome: Outcome
}

export interface WholeFile {
  hash: string
  bytes: number
}

/** The files and folders of a client as its log makes them. */
export class Tree {
  readonly files = new Map<string, WholeFile>()
  readonly folders = new Set<string>()

  apply(deed: Deed): void {
    switch (deed.kind) {
      case 'upload':
        this.files.set(deed.path, { hash: deed.hash, bytes: deed.bytes })
        break
      case 'remove':
        this.files.delete(deed.path)
        break
      case 'make_folder':
        this.folders.add(deed.path)
        break
      case 'remove_folder':
        this.folders.delete(deed.path)
        break
      case 'rename':
        this.#move(deed.from, deed.path)
        break
    }
  }

  /** True when nothing lies in the folder. */
  isEmpty(folder: string): boolean {
    return ![...this.files.keys(), ...this.folders].some((path) => path.startsWith(`${folder}/`))
  }

  #move(from: string, to: string): void {
    for (const [path, file] of [...this.files]) {
      if (!isWithin(from, path)) continue
      this.files.delete(path)
      this.files.set(to + path.slice(from.length), file)
    }
    for (const path of [...this.folders]) {
      if (!isWithin(from, path)) continue
      this.folders.delete(path)
      this.folders.add(to + path.slice(from.length))
    }
  }
}

/** True for entries that changed what is stored; only of these may there be an event, and there must be one. */
export function tookPlace({ outcome }: Entry): boolean {
  return outcome === 'acknowledged' || outcome === 'happened'
}

export function treeOf(log: readonly Entry[]): Tree {
  const tree = new Tree()
  for (const entry of log) if (tookPlace(entry)) tree.apply(entry.deed)
  return tree
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
