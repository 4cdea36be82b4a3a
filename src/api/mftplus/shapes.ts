import type { Static, TSchema } from 'typebox'
import { Type } from '../../base/type.ts'
import type { Refusal } from '../errors.ts'
import { count, nullable, OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, refTo, responses, text } from '../schema.ts'

/** The style of the MFTPlus face: `{success, data}`, things wrapped by name, `page` and `limit` (REST API reference). */

export const MftplusError = Type.Object(
  {
    success: Type.Literal(false),
    error: text('What is wrong: the field, the bound and the value.'),
    details: nullable(
      Type.Object({
        code: text('What is wrong, for machines; see the table of errors.'),
        field: Type.Optional(text('The member of the request that is wrong, where there is one.')),
      }),
    ),
  },
  { $id: 'Error', description: 'A refused request; nothing was changed.' },
)

export function asMftplusError({ message, code, field }: Refusal): Static<typeof MftplusError> {
  return { success: false, error: message, details: { code, ...(field === undefined ? {} : { field }) } }
}

/** `{success: true, data}` with these members of data. */
export function envelope<Members extends Record<string, TSchema>>(members: Members) {
  return Type.Object({ success: Type.Literal(true), data: Type.Object(members) })
}

export function said<Data>(data: Data): { success: true; data: Data } {
  return { success: true, data }
}

const REFUSALS = {
  400: 'Invalid input',
  401: 'Authentication required',
  403: 'Access denied',
  404: 'Resource not found',
  409: 'Already exists, or in a state that does not allow this',
  429: 'Rate limit exceeded; see Retry-After',
} as const

/** Docs and answers of a route. `refusals` are those besides 400, 401 and 429, which every route has. */
function route<const Answers extends Record<number, TSchema>>(
  security: readonly Record<string, string[]>[],
  [operationId, tag, summary, answers, refusals = []]: RouteFacts<Answers>,
) {
  const refused = Object.fromEntries(
    [...refusals, 400 as const, 401 as const, 429 as const].map((status) => [status, REFUSALS[status]]),
  )
  const response = responses(answers, refTo(MftplusError), refused)
  return { operationId, tags: [tag], summary, security: [...security], response }
}

type RouteFacts<Answers> = [
  operationId: string,
  tag: string,
  summary: string,
  answers: Answers,
  refusals?: readonly (403 | 404 | 409)[],
]

const ADMIN = { adminToken: [] }
const AGENT = { agentKey: [] }

export function adminRoute<const Answers extends Record<number, TSchema>>(...facts: RouteFacts<Answers>) {
  return route([ADMIN], facts)
}

/** Agents, with their key or, at the agent port, their certificate. */
export function agentRoute<const Answers extends Record<number, TSchema>>(...facts: RouteFacts<Answers>) {
  return route([AGENT], facts)
}

export function adminOrAgentRoute<const Answers extends Record<number, TSchema>>(...facts: RouteFacts<Answers>) {
  return route([ADMIN, AGENT], facts)
}

export function registrationRoute<const Answers extends Record<number, TSchema>>(...facts: RouteFacts<Answers>) {
  return route([{ enrollmentToken: [] }, ADMIN], facts)
}

export const PageQuery = {
  page: Type.Optional(
    Type.Integer({ description: 'Page, from 1.', minimum: 1, maximum: OFFSET_MAX / PAGE_ROWS_MAX, default: 1 }),
  ),
  limit: Type.Optional(
    Type.Integer({ description: 'Rows a page.', minimum: 1, maximum: PAGE_ROWS_MAX, default: PAGE_ROWS_DEFAULT }),
  ),
}

export const Pagination = Type.Object(
  {
    page: count('This page, from 1.'),
    limit: count('Rows a page.'),
    total: count('Rows in all.'),
    pages: count('Pages in all.'),
  },
  { $id: 'Pagination' },
)

/** Long lists go on by cursor where pages end. */
export const AfterQuery = {
  after: Type.Optional(
    text('Only what comes after this `nextCursor` of the page before; for long lists.', { minLength: 1, maxLength: 80 }),
  ),
}
export const NextCursor = nullable(text('The `after` of what comes next; null at the end.'))

/** The page that a query asks for, and the `pagination` member of its answer. */
export function paging({ page = 1, limit = PAGE_ROWS_DEFAULT, after }: { page?: number; limit?: number; after?: string }) {
  return {
    request: { limit, offset: (page - 1) * limit, ...(after === undefined ? {} : { after }) },
    pagination: (total: number): Static<typeof Pagination> => ({ page, limit, total, pages: Math.ceil(total / limit) }),
  }
}

export const Deleted = envelope({ deleted: Type.Literal(true) })
