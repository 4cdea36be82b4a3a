import { createHash, createPublicKey } from 'node:crypto'
import { AppError } from '../base/error.ts'
import { KIB } from '../base/units.ts'
import type { UserKey } from './user.ts'

/**
 * Reads a public key as people have it: a line of a `.pub` file, `type base64 comment`. Throws `invalid` with a
 * sentence that says what the line is instead. `field` names it in the message.
 */
export function parseSshKey(line: string, field: string): Omit<UserKey, 'id'> {
  const refuse = (why: string): never => {
    throw new AppError('invalid', `${field} ${why}`, { field })
  }
  const text = line.trim()
  if (text === '') return refuse(`is empty, not a line like "ssh-ed25519 AAAA… comment"`)
  if (text.length > LINE_CHARS_MAX) return refuse(`has ${text.length} characters, at most ${LINE_CHARS_MAX} are taken`)
  if (text.includes('PRIVATE KEY-----'))
    return refuse('is a private key; give the line of its .pub file, and treat the private key as disclosed')
  if (text.startsWith('-----') || text.startsWith('----'))
    return refuse('is a PEM or RFC 4716 block; give the one line of its .pub file')
  if (/[\n\r\0]/.test(text)) return refuse('has more than one line; give one key each')

  const [type = '', blob = '', ...words] = text.split(/[ \t]+/)
  const kind = KINDS.get(type)
  if (kind === undefined)
    return refuse(
      `has the type ${quote(type)}; ${WHY_NOT.get(type) ?? 'options before the type are not taken'}; taken are ${[...KINDS.keys()].join(', ')}`,
    )
  const bytes = Buffer.from(blob, 'base64')
  if (blob === '' || bytes.toString('base64') !== blob) return refuse('has a key part that is not base64')

  const reader = createReader(bytes)
  const named = reader.next()?.toString('latin1')
  if (named !== type) return refuse(`says ${type} but holds a key of another type`)
  const why = kind(reader)
  if (why !== undefined) return refuse(why)
  if (!reader.ended()) return refuse('has bytes after the end of the key')

  const comment = words.join(' ')
  if (comment.length > COMMENT_CHARS_MAX)
    return refuse(`has a comment of ${comment.length} characters, at most ${COMMENT_CHARS_MAX} are taken`)
  return { type, blob, comment, fingerprint: fingerprintOf(bytes) }
}

/** As `ssh-keygen -l` shows it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** An RSA key of 16,384 bits, OpenSSH's largest, takes 2.8 KiB. */
const LINE_CHARS_MAX = 8 * KIB
const COMMENT_CHARS_MAX = 256
/** Least that is held safe (NIST SP 800-57 part 1, 112 bits of security) and OpenSSH's largest. */
const RSA_BITS_MIN = 2_048
const RSA_BITS_MAX = 16_384

type Reader = ReturnType<typeof createReader>
/** Reads what follows the type; says what is wrong, or undefined. */
type Kind = (reader: Reader) => string | undefined

const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['ssh-ed25519', readEd25519],
  ['ecdsa-sha2-nistp256', (reader) => readEcdsa(reader, 'nistp256', 'P-256', 32)],
  ['ecdsa-sha2-nistp384', (reader) => readEcdsa(reader, 'nistp384', 'P-384', 48)],
  ['ecdsa-sha2-nistp521', (reader) => readEcdsa(reader, 'nistp521', 'P-521', 66)],
  ['ssh-rsa', readRsa],
])

const WHY_NOT: ReadonlyMap<string, string> = new Map([
  ['ssh-dss', 'DSA is no longer safe'],
  ['sk-ssh-ed25519@openssh.com', 'keys of hardware tokens are not taken yet'],
  ['sk-ecdsa-sha2-nistp256@openssh.com', 'keys of hardware tokens are not taken yet'],
  ['ssh-ed25519-cert-v01@openssh.com', 'certificates are not taken'],
  ['ssh-rsa-cert-v01@openssh.com', 'certificates are not taken'],
])

/** RFC 8709 section 4: the 32 bytes of the key. */
function readEd25519(reader: Reader): string | undefined {
  const key = reader.next()
  return key?.length === 32 ? undefined : `has an Ed25519 key of ${key?.length ?? 0} bytes, not 32`
}

/** RFC 5656 section 3.1: the curve's name, then the point, uncompressed (0x04, x, y). */
function readEcdsa(reader: Reader, curve: string, crv: string, bytes: number): string | undefined {
  const named = reader.next()?.toString('latin1')
  const point = reader.next()
  if (named !== curve || point?.length !== 1 + 2 * bytes || point[0] !== 4) return `has no uncompressed point of ${curve}`
  const x = point.subarray(1, 1 + bytes).toString('base64url')
  const y = point.subarray(1 + bytes).toString('base64url')
  return isKey({ kty: 'EC', crv, x, y }) ? undefined : `has a point that is not on ${curve}`
}

/** RFC 4253 section 6.6: exponent, then modulus, both as positive numbers. */
function readRsa(reader: Reader): string | undefined {
  const exponent = positive(reader.next())
  const modulus = positive(reader.next())
  if (exponent === undefined || modulus === undefined) return 'has no RSA exponent and modulus'
  const bits = modulus.length * 8 - Math.clz32(modulus[0]!) + 24
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) return `has an RSA key of ${bits} bits, not ${RSA_BITS_MIN} to ${RSA_BITS_MAX}`
  const [e, n] = [exponent.toString('base64url'), modulus.toString('base64url')]
  const isOdd = (number: Buffer) => (number.at(-1)! & 1) === 1
  return isOdd(modulus) && isOdd(exponent) && (exponent.length > 1 || exponent[0]! > 1) && isKey({ kty: 'RSA', e, n })
    ? undefined
    : 'has an RSA key that cannot be one'
}

/** The bytes of a positive mpint without its leading zero; undefined for zero, negative or padded ones (RFC 4251 section 5). */
function positive(mpint: Buffer | undefined): Buffer | undefined {
  if (mpint === undefined || mpint.length === 0 || mpint[0]! >= 0x80) return undefined
  if (mpint[0] !== 0) return mpint
  return mpint.length > 1 && mpint[1]! >= 0x80 ? mpint.subarray(1) : undefined
}

function isKey(key: { kty: string; crv?: string; x?: string; y?: string; e?: string; n?: string }): boolean {
  try {
    createPublicKey({ key, format: 'jwk' })
    return true
  } catch {
    return false
  }
}

/** Reads length-prefixed strings (RFC 4251 section 5). */
function createReader(bytes: Buffer) {
  let at = 0
  return {
    next(): Buffer | undefined {
      if (bytes.length - at < 4) return undefined
      const length = bytes.readUInt32BE(at)
      if (length > bytes.length - at - 4) return undefined
      at += 4 + length
      return bytes.subarray(at - length, at)
    },
    ended: () => at === bytes.length,
  }
}

/** What was written, short enough for a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
