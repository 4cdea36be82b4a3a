import { type Caller, changeEntry } from '../../audit/caller.ts'
import type { AuditStore } from '../../audit/port.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import { pagesOf, resealOnce, type SealedKind, sealedAnew } from '../../base/reseal.ts'
import type { KeyRing } from '../../base/seal.ts'

/**
 * Replaces the master key while the server runs: a new key is put before the old one, every stored secret is sealed anew
 * under it, and when none is left under the old one that leaves. Whoever dies on the way starts again with both keys, which
 * open everything, and the next rotation goes on where this one ended.
 */
export interface MasterKeyAdmin {
  /** `conflict` while another one runs, while other nodes could not open what this one seals, and where the keys are given. */
  rotate(caller: Caller): Promise<KeyRotation>
}

export interface KeyRotation {
  /** Whether a key was made. Not where it is given, and not where an earlier rotation had not come to its end and goes on. */
  readonly made: boolean
  /** Webhooks, remotes and authorities whose secrets were sealed anew. */
  readonly resealed: number
  /** Ids of those with a secret that no key opens: it has to be given again. */
  readonly unreadable: readonly string[]
  /** What is left to do, for people; null: nothing. */
  readonly next: string | null
}

/** Where the keys come from. */
export interface MasterKeys {
  readonly ring: KeyRing
  /** Two keys are in the ring when it returns, durably. Throws `conflict` where no key can be made. */
  begin(): Promise<{ readonly made: boolean }>
  /** Only the first key is left, durably where that is this server's matter. Answers what is left to do. */
  finish(): Promise<string | null>
}

export interface MasterKeyParts {
  readonly store: Pick<AuditStore, 'appendAudit'>
  /** Everything that is sealed. */
  readonly kinds: readonly SealedKind[]
  readonly keys: MasterKeys
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** Passes over everything: a second one finds what was written while the first one ran. */
const PASSES_MAX = 10

export function createMasterKeyAdmin({ store, kinds, keys, clock, log }: MasterKeyParts): MasterKeyAdmin {
  let isRunning = false

  async function rotateOnce(caller: Caller): Promise<KeyRotation> {
    const { made } = await keys.begin()
    await note(caller, made ? 'begun with a new key' : 'begun with the keys there are')
    const { resealed, unreadable } = await resealAll()
    const next = await keys.finish()
    await note(caller, `done: ${resealed} sealed anew, ${unreadable.length} unreadable`)
    if (unreadable.length > 0) log.warn({ ids: unreadable }, 'these have secrets that open under no master key')
    return { made, resealed, unreadable, next }
  }

  async function resealAll(): Promise<{ resealed: number; unreadable: string[] }> {
    const resealed = new Set<string>()
    for (let pass = 1; pass <= PASSES_MAX; pass++) {
      const { resealed: found, unreadable } = await resealOnce(kinds, keys.ring)
      for (const id of found) resealed.add(id)
      if (found.length === 0) return { resealed: resealed.size, unreadable }
    }
    throw new AppError(
      'conflict',
      `secrets were still being written under the old master key after ${PASSES_MAX} passes; try again`,
    )
  }

  function note(caller: Caller, detail: string): Promise<void> {
    const change = { accountId: null, action: 'master_key.rotate', target: 'master key', detail } as const
    return store.appendAudit([changeEntry(caller, clock.now(), change)])
  }

  return {
    async rotate(caller) {
      if (isRunning) throw new AppError('conflict', 'the master key is being rotated already')
      isRunning = true
      try {
        return await rotateOnce(caller)
      } finally {
        isRunning = false
      }
    },
  }
}

/**
 * At the start: throws `setting_invalid` where there are sealed secrets and the keys open none of them, so that a wrong key is one clear sentence and
 * not a failure of each delivery. Single ones that do not open are logged.
 */
export async function checkMasterKey(kinds: readonly SealedKind[], ring: KeyRing, log: Log): Promise<void> {
  const unreadable: string[] = []
  for (const kind of kinds) {
    let count = 0
    for await (const page of pagesOf(kind)) {
      for (const thing of page) {
        if (!sealedAnew(thing, ring).isReadable) count++
        else {
          if (count > 0 || unreadable.length > 0)
            log.error(
              { unreadable: [...unreadable, `${count} ${kind.name}`] },
              'secrets open under no master key; give them again',
            )
          return
        }
      }
    }
    if (count > 0) unreadable.push(`${count} ${kind.name}`)
  }
  if (unreadable.length > 0) throw new AppError('setting_invalid', wrongKey(unreadable.join(', ')), { field: 'masterKey' })
}

function wrongKey(unreadable: string): string {
  return (
    `the master key opens the secrets of none of ${unreadable}: they were sealed under another one. Put back the file master.key of ` +
    'the data folder, or give that key as LANDFALL_MASTER_KEY, or beside a new one as LANDFALL_MASTER_KEY_BEFORE. If it is lost for good, ' +
    'LANDFALL_MASTER_KEY_LOST=accept starts without it: deliveries of these webhooks wait for a new secret, remotes have to be given theirs again, ' +
    'and agents have to be enrolled anew'
  )
}
