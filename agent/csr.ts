import { createPublicKey, type KeyObject, sign } from 'node:crypto'

/**
 * A certificate request (PKCS #10, RFC 2986) for a P-256 key, in PEM. Written out here: it is a handful of nested lists, and a library for certificates
 * would cost every agent 40 packages and its start a third of a second. The subject says nothing: the authority puts the id of the agent there.
 */
export function createRequest(privateKey: KeyObject): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const info = sequence(VERSION_1, sequence(), publicKey, NO_ATTRIBUTES)
  const signature = sign('sha256', info, privateKey)
  return pem(sequence(info, sequence(ECDSA_WITH_SHA256), bitString(signature)))
}

const VERSION_1 = Buffer.from([0x02, 1, 0])
/** `[0] IMPLICIT SET OF`, empty. */
const NO_ATTRIBUTES = Buffer.from([0xa0, 0])
/** OBJECT IDENTIFIER 1.2.840.10045.4.3.2, RFC 5758 §3.2. */
const ECDSA_WITH_SHA256 = Buffer.from([0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(0x30, Buffer.concat(parts))
}

function bitString(bits: Uint8Array): Buffer {
  // The first byte counts the unused bits of the last one.
  return element(0x03, Buffer.concat([Buffer.from([0]), bits]))
}

/** Tag, length and content (X.690 §8.1). All that a P-256 request holds is shorter than 256 bytes. */
function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  return Buffer.concat([Buffer.from(length < 0x80 ? [tag, length] : [tag, 0x81, length]), content])
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n')
}
