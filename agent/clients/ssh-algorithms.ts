import type { Algorithms, ServerHostKeyAlgorithm } from 'ssh2'

/**
 * Host keys in the order that they are asked for, a family a row. A server with several shows the first that both know; the pinned one may be another, and
 * its fingerprint does not say of which kind it is. RSA keys sign with SHA-2: SHA-1 signatures are not taken.
 */
export const HOST_KEY_FAMILIES: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
]

/**
 * Wider than what Landfall's server offers, because partners' servers are older; still without SHA-1 and CBC. GCM comes first: without ssh2's native code,
 * which does not load on Node 26, it takes the least time. That native code, whose ChaCha20 breaks with OpenSSL 3.5, being absent, no self test is needed.
 */
export function algorithms(hostKeys: readonly ServerHostKeyAlgorithm[]): Algorithms {
  return {
    kex: [
      ...(['curve25519-sha256', 'curve25519-sha256@libssh.org'] as const),
      ...(['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'] as const),
      ...(['diffie-hellman-group16-sha512', 'diffie-hellman-group18-sha512', 'diffie-hellman-group14-sha256'] as const),
      'diffie-hellman-group-exchange-sha256',
    ],
    serverHostKey: [...hostKeys],
    cipher: [
      ...(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const),
      ...(['aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'chacha20-poly1305@openssh.com'] as const),
    ],
    hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
    compress: ['none'],
  }
}
