import type { Static } from 'typebox'
import type { Account } from '../../accounts/account.ts'
import { LABEL_CHARS_MAX, SLUG_CHARS_MAX } from '../../accounts/check.ts'
import { PLAN_DEFAULT, PLANS } from '../../accounts/plan.ts'
import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, count, idOf, iso, nullable, params, query, refTo, text, time } from '../schema.ts'
import { adminRoute, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const PLAN_NAMES = Object.keys(PLANS) as (keyof typeof PLANS)[]

export const AccountShape = Type.Object(
  {
    id: idOf('account'),
    slug: text('The part before the colon of a login.'),
    name: text('For people.'),
    plan: Type.Enum(PLAN_NAMES),
    egressAllow: nullable(Type.Array(text('A network (CIDR).'))),
    quotaBytes: nullable(count('Bytes that its files may take together; null: no bound.')),
    createdAt: time('When it was made.'),
    updatedAt: time('When it was last changed.'),
  },
  { $id: 'Account' },
)

function accountShape({ createdAt, updatedAt, egressAllow, ...account }: Account): Static<typeof AccountShape> {
  return { ...account, egressAllow: egressAllow && [...egressAllow], createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
}

/** A path parameter that names an account. */
export const accountReference = text('Id or slug of the account.', { minLength: 1, maxLength: 64 })
const Name = text('For people.', { minLength: 1, maxLength: LABEL_CHARS_MAX })
const Plan = Type.Enum(PLAN_NAMES, { description: 'What the account may have.' })
/** How many, and what each may be, is checked where they are used. */
const EgressAllow = nullable(
  Type.Array(text('A network such as 10.0.0.0/8 or fd00::/8.', { maxLength: 64 }), {
    description: 'Private networks that its webhooks may reach, in place of LANDFALL_EGRESS_ALLOW; null: as that says.',
  }),
)

const Quota = nullable(count('Bytes that its files may take together; an upload beyond is refused. Null: no bound.'))

export function addAccountRoutes(api: Api, { accounts }: ApiNeeds): void {
  const byReference = params({ account: accountReference })
  const Saved = envelope({ account: refTo(AccountShape) })

  api.post(
    '/accounts',
    {
      schema: {
        ...adminRoute('createAccount', 'Accounts', 'Make an account', { 201: Saved }, [409]),
        body: body({
          slug: text('Lower-case letters, digits and single hyphens between them.', { minLength: 1, maxLength: SLUG_CHARS_MAX }),
          name: Type.Optional(Name),
          plan: Type.Optional({ ...Plan, default: PLAN_DEFAULT }),
          egressAllow: Type.Optional(EgressAllow),
          quotaBytes: Type.Optional(Quota),
        }),
      },
    },
    async ({ body: input, caller }, reply) => {
      reply.code(201)
      return said({ account: accountShape(await accounts.createAccount(caller, input)) })
    },
  )

  api.get(
    '/accounts',
    {
      schema: {
        ...adminRoute('listAccounts', 'Accounts', 'List the accounts', {
          200: envelope({ accounts: Type.Array(refTo(AccountShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query(PageQuery),
      },
    },
    async ({ query: asked, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await accounts.listAccounts(caller, request)
      return said({ accounts: rows.map(accountShape), pagination: pagination(total) })
    },
  )

  const Usage = Type.Object({ bytes: count('Bytes of its files.'), files: count('Number of its files.') })
  api.get(
    '/accounts/:account',
    {
      schema: {
        ...adminRoute(
          'getAccount',
          'Accounts',
          'Get an account and what it uses',
          { 200: envelope({ account: refTo(AccountShape), usage: Usage }) },
          [404],
        ),
        params: byReference,
      },
    },
    async ({ params: { account }, caller }) =>
      said({
        account: accountShape(await accounts.getAccount(caller, account)),
        usage: await accounts.accountUsage(caller, account),
      }),
  )

  api.patch(
    '/accounts/:account',
    {
      schema: {
        ...adminRoute(
          'updateAccount',
          'Accounts',
          'Change the name, the plan, the networks or the quota of an account',
          { 200: Saved },
          [404],
        ),
        params: byReference,
        body: body({
          ...{ name: Type.Optional(Name), plan: Type.Optional(Plan) },
          ...{ egressAllow: Type.Optional(EgressAllow), quotaBytes: Type.Optional(Quota) },
        }),
      },
    },
    async ({ params: { account }, body: changes, caller }) =>
      said({ account: accountShape(await accounts.updateAccount(caller, account, changes)) }),
  )
}
