import type { Algorithms, CipherAlgorithm, MacAlgorithm } from 'ssh2'

/**
 * What may be offered, best first, as ssh-audit passes it: no SHA-1, no CBC, no NIST curves, no key exchange below
 * 3,072 bits. Strict key exchange (against Terrapin, CVE-2023-48795) is added by ssh2 itself.
 *
 * RSA keys of clients sign with SHA-2. ssh2 names them in `server-sig-algs` as `…nistp521rsa-sha2-512`, a comma short,
 * so OpenSSH takes rsa-sha2-256. It also names ssh-rsa there; login.ts refuses such signatures.
 */
export const CIPHERS: readonly CipherAlgorithm[] = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
]

/** Encrypt-then-MAC first; the plain ones are for clients on libssh2 before 1.11. */
export const MACS: readonly MacAlgorithm[] = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
]

export function algorithms(ciphers: readonly CipherAlgorithm[]): Algorithms {
  return {
    // Group 18 would cost a stranger nothing and this process a fifth of a second.
    kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'diffie-hellman-group16-sha512'],
    serverHostKey: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'],
    cipher: [...ciphers],
    hmac: [...MACS],
    // A few compressed KiB could stand for gigabytes.
    compress: ['none'],
  }
}
