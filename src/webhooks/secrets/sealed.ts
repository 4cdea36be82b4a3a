import type { SealedKind, SealedThing } from '../../base/reseal.ts'
import { type Webhook, webhookOptionsPurpose, webhookSecretPurpose } from '../webhook.ts'

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

const MEMBERS = ['sealedSecret', 'sealedSecretBefore', 'sealedOptions'] as const

export function sealedWebhooks(store: Pick<SealedStore, 'listSealed' | 'reseal'>): SealedKind {
  return {
    name: 'webhooks',
    list: async (after, limit) => (await store.listSealed(after, limit)).map(toThing),
    reseal: (changes) =>
      store.reseal(changes.map(({ before, after }) => ({ before: toWebhook(before), after: toWebhook(after) }))),
  }
}

function toThing(webhook: SealedWebhook): SealedThing {
  const texts = MEMBERS.flatMap((name) => {
    const sealed = webhook[name]
    const purposeOf = name === 'sealedOptions' ? webhookOptionsPurpose : webhookSecretPurpose
    return sealed === null ? [] : [{ name, sealed, purpose: purposeOf(webhook.id) }]
  })
  return { id: webhook.id, texts }
}

function toWebhook({ id, texts }: SealedThing): SealedWebhook {
  const nothing = { sealedSecret: null, sealedSecretBefore: null, sealedOptions: null }
  return { id, ...nothing, ...Object.fromEntries(texts.map(({ name, sealed }) => [name, sealed])) }
}
