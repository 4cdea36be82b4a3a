import type { TSchema } from 'typebox'
import { Type } from '../base/type.ts'
import { DIALECT_NAMES } from '../dialects/index.ts'
import { HEADER_VALUE_CHARACTERS_MAX, HEADERS_MAX } from '../webhooks/admin/check-headers.ts'
import {
  CONCURRENCY_MAX,
  CREDENTIAL_CHARACTERS_MAX,
  EXPIRE_SECONDS_MAX,
  RATE_COUNT_MAX,
  RATE_SECONDS_MAX,
  TIMEOUT_SECONDS_MAX,
  TIMEOUT_SECONDS_MIN,
} from '../webhooks/admin/check-options.ts'
import type { WebhookInput } from '../webhooks/admin/input.ts'
import { type AuthInput, type OptionsInput, shownOptions } from '../webhooks/admin/options-input.ts'
import { invalid } from '../webhooks/invalid.ts'
import { MASKED } from '../webhooks/redact.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import { anyMembers, body, nullable, text, URL_CHARS_MAX } from './schema.ts'

// What shapes a webhook and its requests, as both faces take and show it: one definition, named in the style of each.

/** How a face writes the names of members. */
export type Style = (name: string) => string
export const camelCase: Style = (name) => name
export const snakeCase: Style = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** What both the question and the answer say; `read` and `shown` translate. */
export type Choices = Pick<WebhookInput, 'filter' | 'order' | keyof OptionsInput>

const PEM_CHARACTERS_MAX = 65_536
const secretText = (description: string) =>
  text(`${description} Shown as \`${MASKED}\`; sent back like that, the stored one stays.`, {
    minLength: 1,
    maxLength: CREDENTIAL_CHARACTERS_MAX,
  })
const name = (description: string) => text(description, { minLength: 1, maxLength: CREDENTIAL_CHARACTERS_MAX })
const pem = (description: string) => text(description, { minLength: 1, maxLength: PEM_CHARACTERS_MAX })
const whole = (description: string, maximum: number) => Type.Integer({ description, minimum: 1, maximum })

export const FILTER = {
  ...anyMembers(
    'Which events of its types: member → condition, all of which must hold. Members are `type`, `accountId` and `data.<member>`; a condition is a ' +
      'value or tests: `in`, `glob` (`*`, `**`, `?`), `prefix`, `gt`, `gte`, `lt`, `lte`, `exists`, `not`.',
  ),
  examples: [{ 'data.path': { glob: '/incoming/**/*.csv' }, 'data.size': { gt: 0 } }],
}

/** One header: a text that anybody may read, or `{secret}`. */
const Header = {
  type: ['string', 'object'],
  maxLength: HEADER_VALUE_CHARACTERS_MAX,
  properties: { secret: { type: 'string', maxLength: HEADER_VALUE_CHARACTERS_MAX } },
  required: ['secret'],
  additionalProperties: false,
}

/** The members, each of which may be left out and may be null: the default. */
function membersOf(style: Style): Record<string, TSchema> {
  const styled = (members: Record<string, TSchema>) => body(renamed(members, style))
  return renamed(
    {
      filter: FILTER,
      order: Type.Enum(['none', 'webhook', 'key'], {
        description:
          '`none` (default): each when it is due. `webhook`: one after the other. `key`: one after the other of each path, transfer or job; a delivery that is tried again holds up those behind it.',
      }),
      alsoSign: Type.Array(Type.Enum([...DIALECT_NAMES]), {
        description:
          'Dialects whose signature headers go along with those of the main one, while a receiver moves from one to the other.',
        maxItems: DIALECT_NAMES.length,
        examples: [['standard']],
      }),
      cloudEventsMode: Type.Enum(['structured', 'binary'], {
        description: 'Dialect cloudevents only: the whole event as the body (default), or its attributes as headers.',
      }),
      timeoutSeconds: Type.Number({
        description: 'Time for the whole answer; at most, and by default, the deadline of the dialect.',
        minimum: TIMEOUT_SECONDS_MIN,
        maximum: TIMEOUT_SECONDS_MAX,
        examples: [5],
      }),
      concurrency: whole('Posts under way at once, on each node.', CONCURRENCY_MAX),
      rate: {
        ...styled({
          count: whole('Posts that may start…', RATE_COUNT_MAX),
          perSeconds: whole('…in this time.', RATE_SECONDS_MAX),
        }),
        description: 'At most so many posts in any such span, on each node.',
        examples: [{ count: 100, [style('perSeconds')]: 60 }],
      },
      expireAfterSeconds: whole(
        'A delivery that is not delivered this long after it was planned fails as expired.',
        EXPIRE_SECONDS_MAX,
      ),
      headers: {
        ...Type.Unsafe({ type: 'object', maxProperties: HEADERS_MAX, patternProperties: { '^': Header } }),
        description: 'Sent with every attempt; replaces those that were. A secret value is `{"secret": "…"}`, shown masked.',
        examples: [{ 'X-Team': 'orders', 'X-Api-Key': { secret: 'k-123' } }],
      },
      auth: {
        ...styled({
          kind: Type.Enum(['basic', 'bearer', 'oauth2'], { description: 'oauth2: client credentials (RFC 6749 section 4.4).' }),
          username: Type.Optional(name('basic: the user.')),
          password: Type.Optional(secretText('basic: the password.')),
          token: Type.Optional(secretText('bearer: the token.')),
          tokenUrl: Type.Optional(text('oauth2: where access tokens are asked for.', { minLength: 1, maxLength: URL_CHARS_MAX })),
          clientId: Type.Optional(name('oauth2: the client.')),
          clientSecret: Type.Optional(secretText('oauth2: its secret.')),
          scope: Type.Optional(name('oauth2: the scope asked for.')),
        }),
        description: 'How the receiver knows who calls, beside the signature.',
        examples: [{ kind: 'basic', username: 'landfall', password: 'a long password' }],
      },
      tls: {
        ...styled({
          certificate: Type.Optional(pem('Client certificate (mTLS), PEM, with those that lead to its authority.')),
          key: Type.Optional(pem(`Its key, PEM. Shown as \`${MASKED}\`; sent back like that, the stored one stays.`)),
          ca: Type.Optional(pem('Authorities trusted for this receiver beside those of the system, PEM.')),
        }),
        description: 'Certificates of the connection to the receiver.',
      },
      proxy: {
        ...styled({
          url: text('http or https, host and port.', { minLength: 1, maxLength: URL_CHARS_MAX }),
          username: Type.Optional(name('Where the proxy asks for a login.')),
          password: Type.Optional(secretText('The same.')),
        }),
        description: 'An HTTP proxy that is asked to CONNECT to the checked address.',
        examples: [{ url: 'http://proxy.example.com:3128' }],
      },
    },
    style,
  )
}

/**
 * Members of a body, of an answer, and what leads from one to the other. The types of the schemas say nothing: `read` and
 * `shown` speak of what was validated.
 */
export function choicesIn(style: Style) {
  const members = Object.entries(membersOf(style)).map(([name, schema]) => [name, nullable(schema)] as const)
  const names = new Map(Object.keys(membersOf(camelCase)).map((name) => [style(name), name]))
  return {
    asked: Object.fromEntries(members.map(([name, schema]) => [name, Type.Optional(schema)])) as Record<never, TSchema>,
    told: Object.fromEntries(members) as Record<never, TSchema>,
    /** The choices in a body, the rest of it apart. */
    read<Body extends object>(given: Body): { choices: Choices; rest: Body } {
      const entries = Object.entries(given)
      const choices = entries.flatMap(([name, value]) => {
        const own = names.get(name)
        return own === undefined ? [] : [[own, ownOf(own, value)]]
      })
      return {
        choices: Object.fromEntries(choices) as Choices,
        rest: Object.fromEntries(entries.filter(([name]) => !names.has(name))) as Body,
      }
    },
    /** What a webhook has chosen, secrets masked; what it has not is null. */
    shown({ filter, order, options }: Pick<Webhook, 'filter' | 'order' | 'options'>): Record<never, never> {
      const known: Record<string, unknown> = { filter, order, ...shownOptions(options) }
      return Object.fromEntries([...names].map(([styled, name]) => [styled, styledOf(name, known[name] ?? null)]))
    },
  }

  function styledOf(name: string, value: unknown): unknown {
    return isNamedByUs(name, value) ? renamed(value, style) : value
  }

  function ownOf(name: string, value: unknown): unknown {
    if (!isNamedByUs(name, value)) return value
    const own = renamed(value, (member) => member.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
    return name === 'auth' ? authOf(own) : own
  }
}

/** Members of filters and headers have the names of events and of receivers. */
function isNamedByUs(name: string, value: unknown): value is Record<string, unknown> {
  return name !== 'filter' && name !== 'headers' && typeof value === 'object' && value !== null && !Array.isArray(value)
}

function renamed<Value>(record: Record<string, Value>, style: Style): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [style(name), value]))
}

const AUTH_MEMBERS = {
  basic: { needs: ['username', 'password'], may: [] },
  bearer: { needs: ['token'], may: [] },
  oauth2: { needs: ['tokenUrl', 'clientId', 'clientSecret'], may: ['scope'] },
} as const satisfies Record<AuthInput['kind'], { needs: readonly string[]; may: readonly string[] }>

/** Exactly the members of its kind. */
function authOf(given: Record<string, unknown>): AuthInput {
  const { kind, ...members } = given as { kind: AuthInput['kind'] }
  const { needs, may } = AUTH_MEMBERS[kind]
  for (const name of needs)
    if (!Object.hasOwn(members, name)) throw invalid(`auth.${name}`, `auth.${name} is missing; the kind ${kind} needs it`)
  const known: readonly string[] = [...needs, ...may]
  for (const name of Object.keys(members))
    if (!known.includes(name)) throw invalid(`auth.${name}`, `auth.${name} does not belong to the kind ${kind}`)
  return given as unknown as AuthInput
}
