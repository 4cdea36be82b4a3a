import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { CIPHERS } from './algorithms.ts'
import { type Ssh2Crypto, testCiphers } from './cipher-self-test.ts'

const real = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js') as Ssh2Crypto

test('every cipher of the offer works here, or is named with its reason', async () => {
  const { passed, failed, native } = await testCiphers()
  assert.deepEqual([...passed, ...failed.map(({ cipher }) => cipher)].toSorted(), CIPHERS.toSorted())
  assert.ok(passed.includes('aes128-gcm@openssh.com'))
  assert.equal(native, real.bindingAvailable)
})

test('a cipher whose second packet throws is dropped, the others stay', async () => {
  const broken: Ssh2Crypto = {
    ...real,
    createCipher(options) {
      const cipher = real.createCipher(options)
      const isChaCha = options.outbound.cipherInfo === real.CIPHER_INFO['chacha20-poly1305@openssh.com']
      let packets = 0
      const encrypt = cipher.encrypt.bind(cipher)
      cipher.encrypt = (packet) => {
        if (isChaCha && ++packets === 2) throw new Error('digital envelope routines::invalid operation')
        encrypt(packet)
      }
      return cipher
    },
  }
  const { passed, failed } = await testCiphers(CIPHERS, broken)
  assert.deepEqual(passed, CIPHERS.slice(0, -1))
  assert.deepEqual(failed, [{ cipher: 'chacha20-poly1305@openssh.com', reason: 'digital envelope routines::invalid operation' }])
})

test('a cipher that opens to other bytes is dropped', async () => {
  const broken: Ssh2Crypto = {
    ...real,
    createDecipher(options) {
      const { onPayload } = options.inbound
      return real.createDecipher({
        inbound: { ...options.inbound, onPayload: (payload) => onPayload(Buffer.alloc(payload.length)) },
      })
    },
  }
  assert.deepEqual((await testCiphers(['aes256-ctr'], broken)).passed, [])
})
