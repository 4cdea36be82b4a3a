import ssh2 from 'ssh2'

/** A fresh ed25519 key pair in OpenSSH's form. Made again when nobody can read it: ssh2's generator fails once in some 270. */
export function newKeyPair(): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519')
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair
  }
}
