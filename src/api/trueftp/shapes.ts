import type { Static, TSchema } from 'typebox'
import type { Scope } from '../../accounts/permission.ts'
import { Type } from '../../base/type.ts'
import type { Refusal } from '../errors.ts'
import { count, nullable, OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, refTo, responses, text } from '../schema.ts'

/** The style of the TrueFTP face: plain objects, snake_case, `limit` and `offset`, `{error: {code, message, field}}`. */

export const TrueftpError = Type.Object(
  {
    error: Type.Object({
      code: text('What is wrong, for machines; see the table of errors.'),
      message: text('What is wrong: the field, the bound and the value.'),
      field: Type.Optional(text('The member of the request that is wrong, where there is one.')),
    }),
  },
  { $id: 'TrueFtpError', description: 'A refused request; nothing was changed.' },
)

/** `names` are this route's names of fields, where they are not the snake_case of ours. */
export function asTrueftpError(
  { code, message, field, ownNames }: Refusal,
  names: Record<string, string>,
): Static<typeof TrueftpError> {
  if (field === undefined) return { error: { code, message } }
  if (!ownNames) return { error: { code, message, field } }
  const known = field
    .replace(/^[A-Za-z]+/, (name) => names[name] ?? name)
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  // A message begins with its field; further on the same word may be part of a value.
  const told = message.startsWith(field) ? known + message.slice(field.length) : message
  return { error: { code, message: told, field: known } }
}

const REFUSALS = {
  400: 'Invalid input',
  401: 'No valid key',
  403: 'The key lacks the scope, or the plan does not include this',
  404: 'No such thing in this account',
  409: 'Already exists, or in a state that does not allow this',
  429: 'The hourly limit of the key is used up; see Retry-After',
} as const

/** Docs, answers and the scope of a route for account keys. `refusals` are those besides 400, 401, 403 and 429. */
export function keyRoute<const Answers extends Record<number, TSchema>>(
  operationId: string,
  tag: string,
  summary: string,
  scope: Scope,
  answers: Answers,
  refusals: readonly (404 | 409)[] = [],
) {
  const refused = Object.fromEntries(
    [...refusals, 400 as const, 401 as const, 403 as const, 429 as const].map((status) => [status, REFUSALS[status]]),
  )
  const response = responses(answers, refTo(TrueftpError), refused)
  const description = `Needs a key with the scope \`${scope}\`.`
  return { operationId, tags: [tag], summary, description, security: [{ accountKey: [] }], response }
}

export const OffsetQuery = {
  limit: Type.Optional(
    Type.Integer({ description: 'Rows at most.', minimum: 1, maximum: PAGE_ROWS_MAX, default: PAGE_ROWS_DEFAULT }),
  ),
  offset: Type.Optional(Type.Integer({ description: 'Rows passed over.', minimum: 0, maximum: OFFSET_MAX, default: 0 })),
}

/** Of a long list, which goes on by cursor where offsets end. */
export const LongQuery = {
  ...OffsetQuery,
  after: Type.Optional(
    text('Only what comes after this `next_cursor` of the page before; for long lists.', { minLength: 1, maxLength: 80 }),
  ),
}

export function pageOf({ limit = PAGE_ROWS_DEFAULT, offset = 0, after }: { limit?: number; offset?: number; after?: string }) {
  return { limit, offset, ...(after === undefined ? {} : { after }) }
}

/** A list as this face answers it. */
export function listOf<Row extends TSchema>(row: Row) {
  return Type.Object({ data: Type.Array(row), total: count('Rows in all.') })
}

/** The same of a long list. */
export function longListOf<Row extends TSchema>(row: Row) {
  const next = nullable(text('The `after` of what comes next; null at the end.'))
  return Type.Object({ data: Type.Array(row), total: count('Rows in all.'), next_cursor: next })
}

/** The answer to a deletion: nothing. */
export const Nothing = Type.Null({ description: 'Deleted.' })

/** The account of the key that asks. */
export function accountOf({ accountId }: { accountId: string | null }): string {
  if (accountId === null) throw new Error('a request without an account reached the account face')
  return accountId
}
