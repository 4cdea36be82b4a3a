import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { count, nullable, text } from '../schema.ts'
import { adminRoute, envelope, said } from './shapes.ts'

const Rotated = envelope({
  made: Type.Boolean({ description: 'Whether a key was made: not where it is given, nor where an earlier rotation goes on.' }),
  resealed: count('Webhooks, remotes and authorities whose secrets were sealed anew.'),
  unreadable: Type.Array(Type.String(), { description: 'Ids of those with a secret that no key opens; give it again.' }),
  next: nullable(text('What is left to do; null: nothing.')),
})

export function addMasterKeyRoutes(api: Api, { masterKey }: ApiNeeds): void {
  api.post(
    '/master-key/rotate',
    {
      schema: adminRoute(
        'rotateMasterKey',
        'Keys',
        'Seal every stored secret anew under a new master key',
        { 200: Rotated },
        [409],
      ),
    },
    async ({ caller }) => {
      const { made, resealed, unreadable, next } = await masterKey.rotate(caller)
      return said({ made, resealed, unreadable: [...unreadable], next })
    },
  )
}
