import type { Dialect, Secret } from './dialect.ts'
import { VerifyError } from './error.ts'
import type { ReadHeader } from './headers.ts'
import { compactOf, describeForm, orderedOf, parsedOf } from './reserialise.ts'
import { digestOf, fromBase64, isSame, isSigned, type Key, SCHEMES, type Signed, signedOf } from './schemes.ts'

/**
 * Why a delivery does not verify, found by trying what usually goes wrong. Whoever does not know the secret can make none
 * of these guesses come true, so a diagnosis tells an attacker nothing; still it is for the log.
 */
export interface Facts {
  readonly dialect: Dialect
  readonly read: ReadHeader
  readonly body: Uint8Array
  readonly secrets: readonly Secret[]
  readonly oldSecrets: readonly string[]
}

/** Longer bodies are not searched, bytes: a forged request must not cost much more than a genuine one. */
const SEARCHED_BODY_BYTES_MAX = 64 * 1024

export function diagnosis(facts: Facts, signed: Signed | undefined, keys: readonly Key[]): VerifyError {
  if (signed === undefined) return missingHeader(facts)
  const searched = facts.body.length <= SEARCHED_BODY_BYTES_MAX
  return (
    otherForm(facts, signed, keys) ??
    otherKind(signed, keys) ??
    (searched ? (oldSecret(facts, signed) ?? otherReading(facts, signed) ?? otherBody(facts, signed, keys)) : undefined) ??
    otherDialect(facts, signed) ??
    otherLength(facts) ??
    new VerifyError(
      'signature_mismatch',
      `No signature fits: the webhook has another secret than this one, or the body was changed after it was signed.${
        searched ? '' : ` (A body over ${SEARCHED_BODY_BYTES_MAX} bytes is not searched for the reason.)`
      }`,
    )
  )
}

const DIALECTS = ['mftplus', 'trueftp', 'standard'] as const

function missingHeader({ dialect, read }: Facts): VerifyError {
  const scheme = SCHEMES[dialect]
  const absent = scheme.signedHeaders.find((name) => read(name) === undefined)
  if (read(scheme.signatureHeader) !== undefined && absent !== undefined) {
    const code = absent === scheme.timestampHeader ? 'timestamp_missing' : 'id_missing'
    return new VerifyError(code, `There is no header ${absent}, which is part of what is signed: a proxy may drop it.`)
  }
  const other = DIALECTS.find((name) => read(SCHEMES[name].signatureHeader) !== undefined)
  if (other !== undefined) {
    return new VerifyError(
      'wrong_dialect',
      `There is no header ${scheme.signatureHeader}; ${SCHEMES[other].signatureHeader} is that of the dialect ${other}: pass dialect: '${other}', or change the webhook's dialect.`,
    )
  }
  return new VerifyError(
    'signature_missing',
    `There is no header ${scheme.signatureHeader}: the webhook has no secret, a proxy drops the header, or the request is not from the server.`,
  )
}

/** The right digest in another writing, or something that can be no signature at all. */
function otherForm({ body }: Facts, signed: Signed, keys: readonly Key[]): VerifyError | undefined {
  const { scheme, signatures } = signed
  for (const key of keys) {
    if (key.kind === 'public') continue
    const digest = digestOf(key.bytes, signed.before, body)
    for (const given of signatures) {
      const found = writings(digest).find(({ text }) => isSame(given, text))
      if (found === undefined) continue
      return new VerifyError(
        'signature_encoding',
        `The digest is right, but it is written as ${found.how}; ${scheme.signatureHeader} has ${scheme.form}.`,
      )
    }
  }
  const known = (text: string) =>
    scheme.shape.test(text) || (scheme.name === 'standard' && /^v\d+[a-z]?,/.test(text) && !text.startsWith('v1,'))
  if (signatures.some(known)) return undefined
  const [given = ''] = signatures
  return new VerifyError(
    'signature_malformed',
    `${scheme.signatureHeader} has ${given.length} characters that are no signature of this dialect: it has ${scheme.form}. ` +
      'It was cut or rewritten on the way, or is made by another rule.',
  )
}

function writings(digest: Buffer): { text: string; how: string }[] {
  const encodings = [
    { text: digest.toString('hex'), how: 'hex' },
    { text: digest.toString('hex').toUpperCase(), how: 'upper-case hex' },
    { text: digest.toString('base64'), how: 'base64' },
    { text: digest.toString('base64url'), how: 'base64url' },
  ]
  const prefixes = ['', 'sha256=', 'v1,', 'v1=']
  return prefixes.flatMap((prefix) =>
    encodings.map(({ text, how }) => ({
      text: prefix + text,
      how: prefix === '' ? `${how} without a prefix` : `${how} behind \`${prefix}\``,
    })),
  )
}

/** Standard Webhooks has two kinds of keys; the other kind can never fit. */
function otherKind({ scheme, signatures }: Signed, keys: readonly Key[]): VerifyError | undefined {
  if (scheme.name !== 'standard') return undefined
  const offered = {
    shared: signatures.some((one) => one.startsWith('v1,')),
    public: signatures.some((one) => one.startsWith('v1a,')),
  }
  if (keys.some(({ kind }) => offered[kind])) return undefined
  return new VerifyError(
    'wrong_key',
    offered.public
      ? 'The delivery is signed with a private key (v1a): pass the public one (whpk_… or the JSON Web Key), not a shared secret.'
      : 'The delivery is signed with a shared secret (v1): pass that secret (whsec_…), not a public key.',
  )
}

function oldSecret({ body, oldSecrets }: Facts, signed: Signed): VerifyError | undefined {
  const index = oldSecrets.findIndex((secret) => isSigned(signed, keysOrNone(signed, secret), body))
  if (index < 0) return undefined
  return new VerifyError(
    'old_secret',
    `Signed with an old secret (the ${index + 1}. of oldSecrets): the webhook was not rotated yet, or its rotation has not reached the cut-over. Until then pass both secrets as a list.`,
  )
}

/** The secret is right but was copied or read in another way than the sender's. */
function otherReading({ body, secrets }: Facts, signed: Signed): VerifyError | undefined {
  for (const secret of secrets) {
    if (typeof secret !== 'string') continue
    const bare = secret.trim().replace(/^(["'])(.*)\1$/s, '$2')
    if (bare !== secret && isSigned(signed, keysOrNone(signed, bare), body)) {
      return new VerifyError(
        'secret_encoding',
        'The secret is right, but it has spaces, quotes or a line end around it: remove them (a file usually ends in a line end).',
      )
    }
    for (const { bytes, how } of readings(secret, bare)) {
      if (isSigned(signed, [{ kind: 'shared', bytes }], body))
        return new VerifyError('secret_encoding', `The secret is right, but ${how}.`)
    }
  }
  return undefined
}

function readings(secret: string, bare: string): { bytes: Buffer; how: string }[] {
  const encoded = bare.replace(/^whsec_/, '')
  const found: { bytes: Buffer | undefined; how: string }[] = [
    { bytes: Buffer.from(`${secret}\n`), how: 'the sender has it with a line end behind it: configure it again without' },
    { bytes: Buffer.from(encoded), how: 'the prefix whsec_ does not belong to the key here' },
    { bytes: Buffer.from(`whsec_${encoded}`), how: 'it lacks its prefix whsec_: pass it whole, as text, without decoding' },
    { bytes: fromBase64(encoded), how: 'the key is what its base64 decodes to: pass it with the prefix whsec_' },
    {
      bytes: /^([0-9a-f]{2})+$/i.test(bare) ? Buffer.from(bare, 'hex') : undefined,
      how: 'the sender used the bytes that its hex digits stand for',
    },
    { bytes: Buffer.from(Buffer.from(bare).toString('base64')), how: 'it was decoded from base64: pass it as it was configured' },
    { bytes: Buffer.from(Buffer.from(bare).toString('hex')), how: 'it was decoded from hex: pass it as it was configured' },
  ]
  return found.filter((one): one is { bytes: Buffer; how: string } => one.bytes !== undefined && one.bytes.length > 0)
}

/** The body is not as it was sent, but what was sent can be found again. */
function otherBody({ body }: Facts, signed: Signed, keys: readonly Key[]): VerifyError | undefined {
  for (const { text, how } of otherBodies(Buffer.from(body).toString('utf8'))) {
    if (!isSigned(signed, keys, text)) continue
    return new VerifyError(
      'body_reserialised',
      `The secret is right, but the body is not as it was sent: ${how()}. Verify the bytes as they arrived, before anything parses them.`,
    )
  }
  return undefined
}

function* otherBodies(text: string): Generator<{ text: Buffer; how: () => string }> {
  const variants: [string, string][] = [
    [text.replace(/^\uFEFF/, ''), 'it has a byte order mark in front'],
    [text.trimEnd(), 'it has a line end or spaces behind it'],
    [text.trim(), 'it has spaces or line ends around it'],
    [`${text}\n`, 'it lost the line end behind it'],
    [text.replaceAll('\r\n', '\n'), 'its line ends were changed to CRLF'],
    [text.replace(/(?<!\r)\n/g, '\r\n'), 'its line ends were changed to LF'],
  ]
  for (const [variant, how] of variants) if (variant !== text) yield { text: Buffer.from(variant), how: () => how }
  // Read as Latin-1 and written as UTF-8: each byte beyond ASCII has become two.
  if (/[\u0080-\u00FF]/.test(text) && !/[^\0-\u00FF]/.test(text)) {
    yield { text: Buffer.from(text, 'latin1'), how: () => 'its UTF-8 was read as Latin-1' }
  }
  const parsed = parsedOf(text)
  const compact = compactOf(parsed)
  if (compact === undefined) return
  yield { text: Buffer.from(compact), how: () => `it was parsed and written again with ${describeForm(text, compact)}` }
  const ordered = compactOf(orderedOf(parsed))
  if (ordered !== undefined && ordered !== compact)
    yield { text: Buffer.from(ordered), how: () => 'it was parsed and written again with another order of members' }
}

function otherDialect({ dialect, read, body, secrets }: Facts, signed: Signed): VerifyError | undefined {
  const found = DIALECTS.find((name) => {
    if (SCHEMES[name] === signed.scheme) return false
    const other = signedOf(SCHEMES[name], read)
    return other !== undefined && secrets.some((secret) => isSigned(other, keysOrNone(other, secret), body))
  })
  if (found === undefined) return undefined
  return new VerifyError(
    'wrong_dialect',
    `The signature of ${dialect} does not fit, that of ${found} does: pass dialect: '${found}'.`,
  )
}

/** What was declared against what is here; a compressed body has another length when it was sent. */
function otherLength({ read, body }: Facts): VerifyError | undefined {
  const declared = read('content-length')
  if (declared === undefined || read('content-encoding') !== undefined || Number(declared) === body.length) return undefined
  return new VerifyError(
    'body_changed',
    `The sender declared ${declared} bytes and ${body.length} were passed: something on the way cut, parsed or rewrote the body. Verify the bytes as they arrived.`,
  )
}

function keysOrNone({ scheme }: Signed, secret: Secret): readonly Key[] {
  try {
    return scheme.keys(secret)
  } catch {
    return []
  }
}
