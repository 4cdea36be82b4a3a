import type { PostResult } from '../http/exchange.ts'

/** Shown in place of a secret value; given back by a person, it keeps the one that is stored. */
export const MASKED = '********'

/** Shorter secrets are not looked for: they would be found in any text, and protect little. */
const SECRET_CHARACTERS_MIN = 8

/**
 * The same result without what proves who we are. Some receivers answer with the request that they got, and answers are kept
 * where people look who may not know the secrets of a webhook.
 */
export function withoutSecrets(result: PostResult, secrets: readonly string[]): PostResult {
  // Bytes as characters, so that a body that is no text stays as it was.
  const looked = secrets
    .filter(({ length }) => length >= SECRET_CHARACTERS_MIN)
    .map((secret) => Buffer.from(secret).toString('latin1'))
  if (result.kind !== 'answered' || looked.length === 0) return result
  const masked = (text: string) => looked.reduce((rest, secret) => rest.replaceAll(secret, MASKED), text)
  return {
    ...result,
    headers: Object.fromEntries(Object.entries(result.headers).map(([name, value]) => [name, masked(value)])),
    bodyExcerpt: Buffer.from(masked(result.bodyExcerpt.toString('latin1')), 'latin1'),
  }
}
