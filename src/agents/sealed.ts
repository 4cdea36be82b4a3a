import type { SealedKind } from '../base/reseal.ts'
import type { Authority } from './agent.ts'
import { authorityPurpose } from './authority.ts'
import type { AgentStore } from './port.ts'

/** The key of the authority, for a change of the master key. The one that runs goes on with the key that it has open. */
export function sealedAuthority(store: Pick<AgentStore, 'findAuthority' | 'replaceAuthority'>): SealedKind {
  let current: Authority | undefined
  return {
    name: 'authorities',
    async list(after) {
      current = after === '' ? await store.findAuthority() : undefined
      if (current === undefined) return []
      const { id, sealedKey } = current
      return [{ id, texts: [{ name: 'sealedKey', sealed: sealedKey, purpose: authorityPurpose(id) }] }]
    },
    async reseal(changes) {
      for (const { before, after } of changes) {
        const [was, is] = [before.texts[0]!.sealed, after.texts[0]!.sealed]
        await store.replaceAuthority({ id: before.id, sealedKey: was }, { ...current!, sealedKey: is })
      }
    },
  }
}
