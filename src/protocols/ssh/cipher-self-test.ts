/**
 * Seals and opens packets with every cipher before it is offered. Why: the native code of ssh2 1.17.0 breaks with some
 * versions of OpenSSL from the second packet on (ChaCha20 with 3.5), and does not load at all on Node 26, silently.
 * It uses an inner module of ssh2, whose version is pinned.
 */
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import type { CipherAlgorithm } from 'ssh2'
import { KIB } from '../../base/units.ts'
import { CIPHERS, MACS } from './algorithms.ts'

export interface SelfTest {
  /** In order of preference. */
  readonly passed: readonly CipherAlgorithm[]
  readonly failed: readonly { cipher: CipherAlgorithm; reason: string }[]
  /** Whether ssh2's native code is loaded; without it uploads are slower. */
  readonly native: boolean
}

/** Lengths of the packets, bytes: several, because a fault may show from the second on; the last is as long as data packets are. */
const PACKETS = [1, 17, 100, 32 * KIB] as const

export async function testCiphers(
  offer: readonly CipherAlgorithm[] = CIPHERS,
  crypto: Ssh2Crypto = loadCrypto(),
): Promise<SelfTest> {
  await crypto.init
  const passed: CipherAlgorithm[] = []
  const failed: { cipher: CipherAlgorithm; reason: string }[] = []
  for (const cipher of offer) {
    try {
      for (const mac of macsOf(crypto, cipher)) checkCipher(crypto, cipher, mac)
      passed.push(cipher)
    } catch (error) {
      failed.push({ cipher, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { passed, failed, native: crypto.bindingAvailable }
}

/** AEAD ciphers bring their own authentication. */
function macsOf({ CIPHER_INFO }: Ssh2Crypto, cipher: string): readonly string[] {
  const info = CIPHER_INFO[cipher]
  if (info === undefined) throw new Error('unknown to ssh2')
  return info.authLen > 0 ? ['none'] : MACS
}

/** Both ends as they will be used, and each of them against the JavaScript one, so that one fault on both ends shows. */
function checkCipher(crypto: Ssh2Crypto, cipher: string, mac: string): void {
  const pairs = [
    { sealInJavaScript: false, openInJavaScript: false },
    { sealInJavaScript: false, openInJavaScript: true },
    { sealInJavaScript: true, openInJavaScript: false },
  ]
  for (const pair of crypto.bindingAvailable ? pairs : pairs.slice(0, 1)) roundTrip(crypto, cipher, mac, pair)
}

function roundTrip(
  crypto: Ssh2Crypto,
  cipher: string,
  mac: string,
  { sealInJavaScript, openInJavaScript }: { sealInJavaScript: boolean; openInJavaScript: boolean },
): void {
  const info = crypto.CIPHER_INFO[cipher]!
  const macInfo = crypto.MAC_INFO[mac]
  const key = randomBytes(info.keyLen)
  const iv = randomBytes(info.ivLen)
  const macKey = randomBytes(macInfo?.len ?? 0)
  const sealed: Buffer[] = []
  const opened: Buffer[] = []
  // Both sides count the vector up in place, so each gets its own.
  const sealer = crypto.createCipher({
    outbound: {
      seqno: 0,
      onWrite: (bytes) => sealed.push(Buffer.from(bytes)),
      cipherInfo: info,
      cipherKey: key,
      cipherIV: Buffer.from(iv),
      macInfo,
      macKey,
      forceNative: sealInJavaScript,
    },
  })
  const opener = crypto.createDecipher({
    inbound: {
      seqno: 0,
      onPayload: (payload) => void opened.push(Buffer.from(payload)),
      decipherInfo: info,
      decipherKey: key,
      decipherIV: Buffer.from(iv),
      macInfo,
      macKey,
      forceNative: openInJavaScript,
    },
  })
  for (const [index, bytes] of PACKETS.entries()) {
    const payload = randomBytes(bytes)
    const packet = sealer.allocPacket(bytes)
    packet.set(payload, PAYLOAD_AT)
    sealer.encrypt(packet)
    const wire = Buffer.concat(sealed.splice(0))
    opener.decrypt(wire, 0, wire.length)
    if (opened[index]?.equals(payload) !== true) throw new Error(`packet ${index + 1} did not open to what was sealed`)
  }
  sealer.free()
  opener.free()
}

/** After the length and the padding length (RFC 4253 section 6). */
const PAYLOAD_AT = 5

/** What is used of ssh2/lib/protocol/crypto.js. Its `forceNative` means Node's own crypto, not the native code. */
export interface Ssh2Crypto {
  readonly init: Promise<void>
  readonly bindingAvailable: boolean
  readonly CIPHER_INFO: Record<string, { keyLen: number; ivLen: number; authLen: number } | undefined>
  readonly MAC_INFO: Record<string, { len: number } | undefined>
  createCipher(options: { outbound: Record<string, unknown> & { onWrite: (bytes: Buffer) => void } }): {
    allocPacket(payloadBytes: number): Buffer
    encrypt(packet: Buffer): void
    free(): void
  }
  createDecipher(options: { inbound: Record<string, unknown> & { onPayload: (payload: Buffer) => void } }): {
    decrypt(bytes: Buffer, from: number, length: number): number | undefined
    free(): void
  }
}

function loadCrypto(): Ssh2Crypto {
  return createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js') as Ssh2Crypto
}
