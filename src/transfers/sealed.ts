import type { SealedKind } from '../base/reseal.ts'
import type { TransferStore } from './port.ts'
import { remoteSecretsPurpose } from './transfer.ts'

/** The credentials of remotes, for a change of the master key. */
export function sealedRemotes(store: Pick<TransferStore, 'listSealedRemotes' | 'resealRemote'>): SealedKind {
  return {
    name: 'remotes',
    async list(after, limit) {
      const remotes = await store.listSealedRemotes(after, limit)
      return remotes.map(({ id, sealedSecrets }) => ({
        id,
        texts: [{ name: 'sealedSecrets', sealed: sealedSecrets!, purpose: remoteSecretsPurpose(id) }],
      }))
    },
    async reseal(changes) {
      for (const { before, after } of changes)
        await store.resealRemote(before.id, before.texts[0]!.sealed, after.texts[0]!.sealed)
    },
  }
}
