import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { loadX509 } from '../src/agents/x509.ts'
import { createRequest } from './csr.ts'

test('a request is one that a library for certificates reads and finds signed by its own key', async () => {
  const { Pkcs10CertificateRequest } = await loadX509()
  // Signatures are one to three bytes longer or shorter by chance, and so are the lengths that are written.
  for (let time = 0; time < 50; time++) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const request = new Pkcs10CertificateRequest(createRequest(privateKey))
    assert.equal(await request.verify(), true)
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    assert.deepEqual(Buffer.from(request.publicKey.rawData), spki)
    assert.equal(request.subject, '')
    assert.deepEqual([request.attributes.length, request.extensions.length], [0, 0])
  }
})
