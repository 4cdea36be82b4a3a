import { BODY_EXCERPT_BYTES_MAX, type PostResult } from '../http/exchange.ts'
import { bytesOf, folded, type Reading, readingsOf } from './readings.ts'

/** Shown in place of a secret value; given back by a person, it keeps the one that is stored. */
export const MASKED = '********'

/** Shorter secrets, which would be found in many words, are masked only where no letter or digit stands beside them. */
const SECRET_CHARACTERS_MIN = 8
/** What stands at the end of a body that was cut, and begins a secret, is masked from so many characters on. */
const CUT_CHARACTERS_MIN = 4
/** So much of a long secret is looked for; what follows there is masked as far as it is the secret's. */
const HEAD_CHARACTERS_MAX = 64

/**
 * The same result without what proves who we are. Some receivers answer with the request that they got, and answers are kept
 * where people look who may not know the secrets of a webhook. Secrets are found in names and values of headers and in the
 * body, also as JSON, urls and HTML write them, and where the excerpt ends in the middle of one.
 */
export function withoutSecrets(result: PostResult, secrets: readonly string[]): PostResult {
  const sought = new Set(secrets.filter((secret) => secret !== '').flatMap(writingsOf))
  if (result.kind !== 'answered' || sought.size === 0) return result
  // Bytes as characters, so that a body that is no text stays as it was; headers come as such.
  const body = result.bodyExcerpt.toString('latin1')
  const headers = Object.entries(result.headers)
  // A body that came compressed may have been cut before it was inflated.
  const isCut = body.length >= BODY_EXCERPT_BYTES_MAX || result.headers['content-encoding'] !== undefined
  return {
    ...result,
    headers: Object.fromEntries(headers.map(([name, value]) => [masked(name, sought), masked(value, sought)])),
    bodyExcerpt: Buffer.from(masked(body, sought, isCut), 'latin1').subarray(0, BODY_EXCERPT_BYTES_MAX),
  }
}

/** A secret in Latin-1, in UTF-8, and in UTF-8 that was taken for Latin-1, as Node reads headers. */
function writingsOf(secret: string): string[] {
  return [secret, bytesOf(secret), bytesOf(bytesOf(secret))].map(folded)
}

type Place = readonly [from: number, to: number]

function masked(text: string, sought: ReadonlySet<string>, isCut = false): string {
  const places = readingsOf(text).flatMap((reading) =>
    [...sought].flatMap((secret) => [
      ...placesIn(reading, secret),
      ...(isCut ? placesCutIn(reading, secret).map((from): Place => [from, text.length]) : []),
    ]),
  )
  let shown = ''
  let done = 0
  for (const [from, to] of places.sort(([a], [b]) => a - b)) {
    // What overlaps is under one mask.
    if (from >= done) shown += text.slice(done, from) + MASKED
    done = Math.max(done, to)
  }
  return shown + text.slice(done)
}

function placesIn({ text, startOf }: Reading, secret: string): Place[] {
  const places: Place[] = []
  const head = secret.slice(0, HEAD_CHARACTERS_MAX)
  for (let from = text.indexOf(head); from >= 0; ) {
    let to = from + head.length
    while (to < text.length && text[to] === secret[to - from]) to++
    const counts = secret.length >= SECRET_CHARACTERS_MIN || standsAlone(text, from, to)
    if (counts) places.push([startOf(from), startOf(to)])
    from = text.indexOf(head, counts ? to : from + 1)
  }
  return places
}

function standsAlone(text: string, from: number, to: number): boolean {
  return !/[a-z0-9]/.test((text[from - 1] ?? '') + (text[to] ?? ''))
}

/** Where the end of the text is the beginning of the secret, if it is. What is longer than the head is found by it. */
function placesCutIn({ text, startOf }: Reading, secret: string): number[] {
  for (let count = Math.min(secret.length, HEAD_CHARACTERS_MAX) - 1; count >= CUT_CHARACTERS_MIN; count--)
    if (text.endsWith(secret.slice(0, count))) return [startOf(text.length - count)]
  return []
}
