import ssh2 from 'ssh2'

/**
 * A fresh ed25519 key pair in OpenSSH's form, locked where there is a passphrase: by one round, which opens at once. Made again when nobody can read it: ssh2's
 * generator fails once in some 270.
 */
export function newKeyPair(passphrase?: string): { private: string; public: string } {
  const lock: ssh2.utils.KeyPairOptions = passphrase === undefined ? {} : { passphrase, cipher: 'aes256-ctr', rounds: 1 }
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', lock)
    if (!(ssh2.utils.parseKey(pair.private, passphrase) instanceof Error)) return pair
  }
}
