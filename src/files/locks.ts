/**
 * Who changes which path, inside this process: changes of one path happen one after the other, in the order in which they
 * asked. The store's unique index is the second guard, and the only one between nodes.
 */
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { folderOf, isRoot, pathBelow } from './path.ts'

export interface Lock {
  /** Lets the next one in. Letting go twice is harmless. */
  release(): void
}

export interface PathLocks {
  /**
   * Waits until no earlier change holds one of these storage paths. `tree`: nor a path below them. Throws `path_busy` when
   * that takes longer than `waitMs`.
   */
  acquire(paths: readonly Buffer[], kind: 'path' | 'tree'): Promise<Lock>
}

interface Holder {
  paths: readonly Buffer[]
  kind: 'path' | 'tree'
  released: Promise<void>
}

export function createPathLocks(clock: Clock, waitMs: number): PathLocks {
  const holders = new Set<Holder>()
  // By bytes as Latin-1 text: reversible, so two paths are the same text only when they are the same bytes.
  const byPath = new Map<string, Set<Holder>>()

  /** Everybody who asked earlier, holding or still waiting, and whose paths meet ours. Waiting for all of them cannot deadlock. */
  function before(paths: readonly Buffer[], kind: 'path' | 'tree'): Set<Holder> {
    const found = new Set<Holder>()
    for (const path of paths) {
      for (const holder of byPath.get(key(path)) ?? []) found.add(holder)
      for (let above = path; !isRoot(above); ) {
        above = folderOf(above)
        for (const holder of byPath.get(key(above)) ?? []) if (holder.kind === 'tree') found.add(holder)
      }
      if (kind === 'path') continue
      for (const holder of holders) if (holder.paths.some((other) => pathBelow(path, other) !== undefined)) found.add(holder)
    }
    return found
  }

  function enter(holder: Holder): void {
    holders.add(holder)
    for (const path of holder.paths) {
      const there = byPath.get(key(path))
      if (there === undefined) byPath.set(key(path), new Set([holder]))
      else there.add(holder)
    }
  }

  function leave(holder: Holder): void {
    holders.delete(holder)
    for (const path of holder.paths) {
      const there = byPath.get(key(path))
      there?.delete(holder)
      if (there?.size === 0) byPath.delete(key(path))
    }
  }

  return {
    async acquire(paths, kind) {
      const earlier = before(paths, kind)
      const { promise: released, resolve } = Promise.withResolvers<void>()
      const holder: Holder = { paths, kind, released }
      enter(holder)
      const release = () => {
        leave(holder)
        resolve()
      }
      if (earlier.size > 0) {
        const free = Promise.all([...earlier].map((other) => other.released)).then(() => true)
        if (!(await within(free, clock, waitMs))) {
          release()
          throw new AppError('path_busy', 'another change of this path is still being carried out')
        }
      }
      return { release }
    },
  }
}

function key(path: Buffer): string {
  return path.toString('latin1')
}

async function within(done: Promise<boolean>, clock: Clock, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const cancel = clock.after(ms, () => resolve(false))
  try {
    return await Promise.race([done, late])
  } finally {
    cancel()
  }
}
