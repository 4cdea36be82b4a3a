import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { type Dialect, type HeadersLike, type Secret, VerifyError, type VerifyOptions, verify } from './verify.ts'

// Values and checks for the tests of verify. What is signed here is signed by hand, by the libraries of Standard Webhooks, or by the vectors of both contracts'
// digests, which were computed outside this project; test/contract/sdk.test.ts asks the server's own dialects.

export const MFTPLUS_BODY =
  '{"id":"whevt_1a2b3c4d5e6f7g8h","event":"transfer.completed","timestamp":"2026-04-29T15:30:00Z","data":{"transferId":"trf_1a2b3c4d5e6f"}}'
export const TRUEFTP_BODY =
  '{"event":"file.uploaded","delivery_id":"f1e2d3c4-0000-4000-8000-000000000002","timestamp":"2026-06-08T12:00:00Z","account_id":"acct-1","data":{"path":"/incoming/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}'
export const STANDARD_BODY =
  '{"type":"file.uploaded","timestamp":"2026-06-08T12:00:00.000Z","data":{"path":"/in/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}'
export const CLOUD_BODY =
  '{"specversion":"1.0","id":"whevt_1","source":"/landfall","type":"job.started","time":"2026-06-08T12:00:00.000Z","datacontenttype":"application/json","data":{"jobId":"job_1","jobName":"Nightly","agentId":"agent_1","schedule":"0 2 * * *","status":"running"}}'
export const SECONDS = 1_780_920_000
export const NOW = SECONDS * 1000
export const SECRET = 'your-signing-secret'
export const WHSEC = `whsec_${Buffer.from('a key of 24 bytes at least').toString('base64')}`
export const MFTPLUS = { 'x-webhook-signature': 'sha256=01733fc5a852c75b9f512e117d23a16f07e4e2dd3429cf1e9d1f47bb51a431b5' }
export const TRUEFTP = {
  'x-trueftp-timestamp': '1780920000',
  'x-trueftp-signature': 'sha256=30a9d0607ccbfd9a54e4ae8128b9d5d154309ebaf84af14f144f279cd96b7a4f',
}

const keys = generateKeyPairSync('ed25519')
export const jwk = keys.publicKey.export({ format: 'jwk' }) as { kty: string; crv: string; x: string }
export const whpk = `whpk_${Buffer.from(jwk.x, 'base64url').toString('base64')}`

export function mac(key: string | Uint8Array, text: string | Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHmac('sha256', key).update(text).digest(encoding)
}

export function trueftpSigned(body: string, { secret = SECRET, at = String(SECONDS) } = {}) {
  return { 'x-trueftp-timestamp': at, 'x-trueftp-signature': `sha256=${mac(secret, `${at}.${body}`)}` }
}

export function standardSigned(body: string, secret = WHSEC): Record<string, string> {
  const headers = { 'webhook-id': 'whevt_1', 'webhook-timestamp': String(SECONDS) }
  return { ...headers, 'webhook-signature': new Webhook(secret).sign('whevt_1', new Date(NOW), body) }
}

export function asymmetricallySigned(body: string): Record<string, string> {
  const signature = sign(null, Buffer.from(`whevt_1.${SECONDS}.${body}`), keys.privateKey).toString('base64')
  return { 'webhook-id': 'whevt_1', 'webhook-timestamp': String(SECONDS), 'webhook-signature': `v1a,${signature}` }
}

export function problemOf(
  headers: HeadersLike,
  body: unknown,
  secret: Secret | readonly Secret[],
  options: VerifyOptions,
): VerifyError {
  try {
    verify(headers, body as string, secret, { now: NOW, ...options })
  } catch (error) {
    assert(error instanceof VerifyError, String(error))
    return error
  }
  assert.fail('it verified')
}

export interface Genuine {
  readonly name: string
  readonly headers: HeadersLike
  readonly body: string
  readonly secret: Secret | readonly Secret[]
}

/** Each of these verifies, however its body is passed. `id`: what the headers add to the body. */
export function verifies(dialect: Dialect, id: object, genuine: readonly Genuine[]): void {
  describe(`${dialect}: genuine deliveries`, () => {
    for (const { name, headers, body, secret } of genuine) {
      test(name, () => {
        const event = verify(headers, body, secret, { dialect, now: NOW })
        assert.deepEqual(event, { ...id, ...JSON.parse(body) })
        for (const bytes of [Buffer.from(body), new TextEncoder().encode(body), new TextEncoder().encode(body).buffer]) {
          assert.deepEqual(verify(headers, bytes, secret, { dialect, now: NOW }), event)
        }
      })
    }
  })
}

export interface Refused {
  readonly name: string
  readonly headers: HeadersLike
  readonly body: unknown
  readonly secret: Secret | readonly Secret[]
  readonly options: VerifyOptions
  readonly code: VerifyError['code']
  readonly says: RegExp
}

/** Each of these does not verify, and is told why. */
export function isTold(dialect: Dialect, refused: readonly Refused[]): void {
  describe(`${dialect}: what is said of a delivery that does not verify`, () => {
    for (const { name, headers, body, secret, options, code, says } of refused) {
      test(name, () => {
        const problem = problemOf(headers, body, secret, options)
        assert.equal(problem.code, code, problem.message)
        assert.match(problem.message, says)
      })
    }
  })
}
