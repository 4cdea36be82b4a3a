import { type Caller, changeEntry } from '../../audit/caller.ts'
import type { AuditStore } from '../../audit/port.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import { type KeyRing, SealError } from '../../base/seal.ts'
import { type Webhook, webhookOptionsPurpose, webhookSecretPurpose } from '../webhook.ts'

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
  /** Webhooks whose secrets were sealed anew. */
  readonly resealed: number
  /** Webhooks with a secret that no key opens: it has to be given again. */
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

/** What a webhook has sealed. */
export type SealedWebhook = Pick<Webhook, 'id' | 'sealedSecret' | 'sealedSecretBefore' | 'sealedOptions'>

export interface SealedStore {
  /** Webhooks with anything sealed, removed ones too, in the order of their ids beyond `after`; in turn with all writes of webhooks. */
  listSealed(after: string, limit: number): Promise<SealedWebhook[]>
  /**
   * Replaces what is sealed where it is still as it was `before`, and counts as a change of the webhook: whoever has read
   * it earlier does not write the old texts back.
   */
  reseal(changes: readonly { readonly before: SealedWebhook; readonly after: SealedWebhook }[]): Promise<void>
  /** Other nodes that have beaten since then. */
  countOtherNodes(node: string, since: number): Promise<number>
}

export interface MasterKeyParts {
  readonly store: SealedStore & Pick<AuditStore, 'appendAudit'>
  readonly keys: MasterKeys
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** Webhooks sealed anew in one transaction. */
const BATCH = 100
/** Passes over all webhooks: a second one finds what was written while the first one ran. */
const PASSES_MAX = 10

export function createMasterKeyAdmin({ store, keys, clock, log }: MasterKeyParts): MasterKeyAdmin {
  let isRunning = false

  async function rotateOnce(caller: Caller): Promise<KeyRotation> {
    const { made } = await keys.begin()
    await note(caller, made ? 'begun with a new key' : 'begun with the keys there are')
    const { resealed, unreadable } = await resealAll()
    const next = await keys.finish()
    await note(caller, `done: ${resealed} webhooks sealed anew, ${unreadable.length} unreadable`)
    if (unreadable.length > 0) log.warn({ webhookIds: unreadable }, 'secrets of webhooks open under no master key')
    return { made, resealed, unreadable, next }
  }

  async function resealAll(): Promise<{ resealed: number; unreadable: string[] }> {
    const resealed = new Set<string>()
    for (let pass = 1; pass <= PASSES_MAX; pass++) {
      const { found, unreadable } = await onePass()
      for (const id of found) resealed.add(id)
      if (found.length === 0) return { resealed: resealed.size, unreadable }
    }
    throw new AppError(
      'conflict',
      `secrets were still being written under the old master key after ${PASSES_MAX} passes; try again`,
    )
  }

  async function onePass(): Promise<{ found: string[]; unreadable: string[] }> {
    const found: string[] = []
    const unreadable: string[] = []
    for await (const page of pagesOf(store)) {
      const changes = []
      for (const before of page) {
        const { after, isOld, isReadable } = sealedAnew(before, keys.ring)
        if (isOld) changes.push({ before, after })
        if (!isReadable) unreadable.push(before.id)
      }
      if (changes.length > 0) await store.reseal(changes)
      found.push(...changes.map(({ before }) => before.id))
    }
    return { found, unreadable }
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
 * At the start: throws `setting_invalid` where webhooks have secrets and the keys open those of none, so that a wrong key is one
 * clear sentence and not a failure of each delivery. Single ones that do not open are logged.
 */
export async function checkMasterKey(store: Pick<SealedStore, 'listSealed'>, ring: KeyRing, log: Log): Promise<void> {
  let unreadable = 0
  for await (const page of pagesOf(store)) {
    for (const webhook of page) {
      if (!sealedAnew(webhook, ring).isReadable) unreadable++
      else {
        if (unreadable > 0) log.error({ webhooks: unreadable }, 'secrets of webhooks open under no master key; give them again')
        return
      }
    }
  }
  if (unreadable > 0) throw new AppError('setting_invalid', wrongKey(unreadable), { field: 'masterKey' })
}

function wrongKey(webhooks: number): string {
  return (
    `the master key opens the secrets of none of ${webhooks} webhooks: they were sealed under another one. Put back the file ` +
    'master.key of the data folder, or give that key as LANDFALL_MASTER_KEY, or beside a new one as LANDFALL_MASTER_KEY_BEFORE. If it ' +
    'is lost for good, LANDFALL_MASTER_KEY_LOST=accept starts without it: deliveries of these webhooks wait for a new secret'
  )
}

async function* pagesOf(store: Pick<SealedStore, 'listSealed'>): AsyncGenerator<SealedWebhook[]> {
  for (let after = ''; ; ) {
    const page = await store.listSealed(after, BATCH)
    if (page.length > 0) yield page
    if (page.length < BATCH) return
    after = page.at(-1)!.id
  }
}

const SEALED_MEMBERS = ['sealedSecret', 'sealedSecretBefore', 'sealedOptions'] as const

/** Each text for itself: one that no key opens stays as it is and does not hold up the others. */
function sealedAnew(webhook: SealedWebhook, ring: KeyRing): { after: SealedWebhook; isOld: boolean; isReadable: boolean } {
  const renewed: Partial<Record<(typeof SEALED_MEMBERS)[number], string>> = {}
  let isReadable = true
  for (const member of SEALED_MEMBERS) {
    const sealed = webhook[member]
    const purpose = purposeOf(member, webhook.id)
    if (sealed === null || ring.isOfFirst(sealed, purpose)) continue
    try {
      renewed[member] = ring.seal(ring.open(sealed, purpose), purpose)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      isReadable = false
    }
  }
  return { after: { ...webhook, ...renewed }, isOld: Object.keys(renewed).length > 0, isReadable }
}

function purposeOf(member: (typeof SEALED_MEMBERS)[number], id: string): string {
  return member === 'sealedOptions' ? webhookOptionsPurpose(id) : webhookSecretPurpose(id)
}
