import { PLANS } from '../../accounts/plan.ts'
import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { count, idOf, iso, nullable, text, time } from '../schema.ts'
import { accountOf, keyRoute } from './shapes.ts'

const Quota = Type.Object({ used: count('In use.'), limit: nullable(count('At most; null: no limit.')) })
const Account = Type.Object({
  id: idOf('account'),
  slug: text('The part before the colon of a login.'),
  name: text('For people.'),
  plan: text('What the account may have.'),
  created_at: time('When it was made.'),
  quotas: Type.Object({ storage_bytes: Quota, files: Quota, ftp_users: Quota, webhooks: Quota, api_keys: Quota }),
})

const ONE = { limit: 1, offset: 0 }

export function addAccountRoute(api: Api, { accounts, webhooks }: ApiNeeds): void {
  api.get(
    '/account',
    {
      config: { scope: 'read' },
      schema: keyRoute('getOwnAccount', 'Account', 'The account of the key and its quotas', 'read', { 200: Account }),
    },
    async ({ caller }) => {
      const { id, slug, name, plan, quotaBytes, createdAt } = await accounts.getAccount(caller, accountOf(caller))
      const [usage, users, hooks, keys] = await Promise.all([
        accounts.accountUsage(caller, id),
        accounts.listUsers(caller, id, ONE),
        webhooks.list({ accountId: id }, ONE, caller),
        accounts.listApiKeys(caller, id, ONE),
      ])
      const { usersMax, webhooksMax, apiKeysMax } = PLANS[plan]
      const quotas = {
        storage_bytes: { used: usage.bytes, limit: quotaBytes },
        files: { used: usage.files, limit: null },
        ftp_users: { used: users.total, limit: usersMax },
        webhooks: { used: hooks.total, limit: webhooksMax },
        api_keys: { used: keys.total, limit: apiKeysMax },
      }
      return { id, slug, name, plan, created_at: iso(createdAt), quotas }
    },
  )
}
