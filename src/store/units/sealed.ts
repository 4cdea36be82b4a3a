import { sql } from 'kysely'
import type { SealedStore } from '../../webhooks/secrets/sealed.ts'
import type { Units } from './units.ts'

/** What a change of the master key goes through. Removed webhooks keep their secrets until they are purged, so they count too. */
export const sealedUnits: Units<SealedStore> = {
  async listSealed(work, after, limit) {
    // Waits for writers under way, so that nothing sealed earlier comes in later unseen.
    await work.changeWebhooks()
    const rows = await work.db
      .selectFrom('webhook')
      .select(['id', 'sealed_secret', 'sealed_secret_before', 'sealed_options'])
      .where('id', '>', after)
      .where((e) =>
        e.or([
          e('sealed_secret', 'is not', null),
          e('sealed_secret_before', 'is not', null),
          e('sealed_options', 'is not', null),
        ]),
      )
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map((row) => ({
      id: row.id,
      sealedSecret: row.sealed_secret,
      sealedSecretBefore: row.sealed_secret_before,
      sealedOptions: row.sealed_options,
    }))
  },

  async reseal(work, changes) {
    await work.changeWebhooks()
    for (const { before, after } of changes) {
      await work.db
        .updateTable('webhook')
        .set({
          sealed_secret: after.sealedSecret,
          sealed_secret_before: after.sealedSecretBefore,
          sealed_options: after.sealedOptions,
          // A change is told by its time.
          updated_at: sql<number>`updated_at + 1`,
        })
        .where('id', '=', before.id)
        .where(sql<boolean>`sealed_secret is not distinct from ${before.sealedSecret}`)
        .where(sql<boolean>`sealed_secret_before is not distinct from ${before.sealedSecretBefore}`)
        .where(sql<boolean>`sealed_options is not distinct from ${before.sealedOptions}`)
        .execute()
    }
  },

  async countOtherNodes({ db }, node, since) {
    const { total } = await db
      .selectFrom('node')
      .select((e) => e.fn.countAll().as('total'))
      .where('id', '<>', node)
      .where('beat_at', '>=', since)
      .executeTakeFirstOrThrow()
    return Number(total)
  },
}
