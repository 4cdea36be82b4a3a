import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import { createPlaces } from './places.ts'
import { checkRemote, endpointOf, type RemoteInput } from './remote.ts'
import { aRemote, aTransfer, HOST_KEY } from './testing.ts'
import { type Remote, remoteSecretsPurpose } from './transfer.ts'

const SFTP: RemoteInput = {
  name: 'partner',
  protocol: 'sftp',
  host: 'ftp.example.com',
  username: 'me',
  password: 'pw',
  hostKeys: [HOST_KEY],
}
const FTPS: RemoteInput = { name: 'partner', protocol: 'ftps', host: 'ftp.example.com', username: 'me', password: 'pw' }
const S3: RemoteInput = { name: 'bucket', protocol: 's3', bucket: 'in-box', accessKeyId: 'AK', secretAccessKey: 'hush' }
const HTTPS: RemoteInput = { name: 'web', protocol: 'https', host: 'www.example.com' }

const refused: [string, RemoteInput, string, RegExp][] = [
  ['an unknown protocol', { ...SFTP, protocol: 'gopher' }, 'protocol', /is one of sftp, ftp.*not gopher/],
  ['what another protocol has', { ...SFTP, bucket: 'x' }, 'bucket', /nothing that a remote of sftp has/],
  ['a secret of another protocol', { ...FTPS, privateKey: 'hush' }, 'privateKey', /nothing that a remote of ftps has/],
  ['a missing host', { ...SFTP, host: null }, 'host', /host is missing/],
  ['a url as host', { ...SFTP, host: 'sftp://ftp.example.com' }, 'host', /without scheme/],
  ['a host with a port', { ...SFTP, host: 'ftp.example.com:22' }, 'host', /host is a name or an address/],
  ['a host with an empty label', { ...SFTP, host: 'ftp..example.com' }, 'host', /host is a name/],
  ['a host of two dots at its end', { ...SFTP, host: 'ftp.example.com..' }, 'host', /host is a name/],
  ['a host that begins with a dot', { ...SFTP, host: '.example.com' }, 'host', /host is a name/],
  ['a host of a long label', { ...SFTP, host: `${'a'.repeat(64)}.com` }, 'host', /host is a name/],
  ['a long host', { ...SFTP, host: `${'ab.'.repeat(84)}ab` }, 'host', /at most 253 characters/],
  ['a port out of bounds', { ...SFTP, port: 70_000 }, 'port', /between 1 and 65535, not 70000/],
  ['SFTP without credentials', { ...SFTP, password: null }, 'password', /password or privateKey/],
  ['SFTP without a pinned key', { ...SFTP, hostKeys: [] }, 'hostKeys', /trustFirstHostKey/],
  ['a host key in another form', { ...SFTP, hostKeys: ['MD5:00:11'] }, 'hostKeys', /SHA256: and 43 characters/],
  ['too many host keys', { ...SFTP, hostKeys: new Array(11).fill(HOST_KEY) }, 'hostKeys', /at most 10 entries, not 11/],
  ['a private key that is none', { ...SFTP, privateKey: 'hush' }, 'privateKey', /BEGIN/],
  ['a passphrase of nothing', { ...SFTP, passphrase: 'hush' }, 'passphrase', /privateKey, which is missing/],
  ['a password with a line end', { ...SFTP, password: 'hu\nsh' }, 'password', /control character/],
  ['a long password', { ...SFTP, password: 'x'.repeat(4_097) }, 'password', /1 to 4096 characters, not 4097/],
  ['a name with a line end', { ...SFTP, name: 'a\nb' }, 'name', /control character/],
  ['a name that turns what follows', { ...SFTP, name: 'a\u202eb' }, 'name', /name has a control character \(U\+202E\)/],
  ['an unknown kind of TLS', { ...FTPS, tls: 'none' }, 'tls', /implicit or explicit, not none/],
  ['a CA that is none', { ...FTPS, ca: 'hello' }, 'ca', /certificates in PEM/],
  [
    'a CA that cannot be read',
    { ...FTPS, ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
    'ca',
    /cannot be read/,
  ],
  ['a fingerprint in another form', { ...FTPS, certificates: ['AB:CD'] }, 'certificates', /64 lower-case hex digits/],
  ['half a login', { ...HTTPS, username: 'me' }, 'username', /go together/],
  ['two logins', { ...HTTPS, username: 'me', password: 'pw', bearer: 'x' }, 'bearer', /takes the place/],
  ['a CA without TLS', { ...HTTPS, protocol: 'http', ca: 'x' }, 'ca', /nothing that a remote of http has/],
  ['a bucket with a slash', { ...S3, bucket: 'a/b' }, 'bucket', /3 to 63/],
  ['an endpoint with a path', { ...S3, endpoint: 'https://s3.example/x' }, 'endpoint', /without user, path or query/],
  ['an endpoint with a user', { ...S3, endpoint: 'https://me:hush@s3.example' }, 'endpoint', /without user/],
  ['an endpoint of another scheme', { ...S3, endpoint: 'ftp://s3.example' }, 'endpoint', /http\(s\)/],
  ['S3 without a key', { ...S3, secretAccessKey: null }, 'secretAccessKey', /is missing/],
]
for (const [name, input, field, message] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => checkRemote(input),
      (error: Error) => {
        assert.deepEqual(
          [(error as never as { code: string }).code, (error as never as { field: string }).field],
          ['invalid', field],
        )
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /hush/)
        return true
      },
    )
  })
}

for (const host of [
  'h',
  'ftp.example.com.',
  'my_host.local',
  '_sftp.example.com',
  '10.0.0.1',
  '::1',
  'xn--bcher-kva.example',
  `${'a'.repeat(63)}.com`,
]) {
  test(`a host: ${host}`, () => assert.equal(checkRemote({ ...SFTP, host }).host, host))
}

function made(input: RemoteInput): Remote {
  const { secrets: _secrets, ...open } = checkRemote(input)
  return { ...aRemote(0), ...open }
}

test('what an agent is told, by protocol', () => {
  const endpoint = (input: RemoteInput) => endpointOf(made(input), checkRemote(input).secrets)
  assert.deepEqual(endpoint(SFTP), {
    ...{ protocol: 'sftp', host: 'ftp.example.com', port: 22, username: 'me', password: 'pw' },
    ...{ hostKeys: [HOST_KEY], trustsFirstKey: false },
  })
  assert.deepEqual(endpoint({ ...SFTP, hostKeys: null, trustFirstHostKey: true }), {
    ...{
      protocol: 'sftp',
      host: 'ftp.example.com',
      port: 22,
      username: 'me',
      password: 'pw',
      hostKeys: [],
      trustsFirstKey: true,
    },
  })
  const ftp = { protocol: 'ftps', host: 'ftp.example.com', username: 'me', password: 'pw' }
  assert.deepEqual(endpoint(FTPS), { ...ftp, port: 21, tls: 'explicit' })
  assert.deepEqual(endpoint({ ...FTPS, tls: 'implicit' }), { ...ftp, port: 990, tls: 'implicit' })
  assert.deepEqual(endpoint({ ...FTPS, protocol: 'ftp' }), { ...ftp, protocol: 'ftp', port: 21, tls: 'none' })
  const www = { protocol: 'https', host: 'www.example.com', port: 443 }
  assert.deepEqual(endpoint(HTTPS), www)
  assert.deepEqual(endpoint({ ...HTTPS, bearer: 'x' }), { ...www, bearer: 'x' })
  const s3 = { protocol: 's3', bucket: 'in-box', region: 'us-east-1', accessKeyId: 'AK', secretAccessKey: 'hush' }
  assert.deepEqual(endpoint(S3), { ...s3, pathStyle: false })
  const own = { ...S3, endpoint: 'http://127.0.0.1:9000' }
  assert.deepEqual(endpoint(own), { ...s3, endpoint: 'http://127.0.0.1:9000', pathStyle: true })
  assert.deepEqual([made(own).host, made(own).port], ['127.0.0.1', 9000])
})

const seal = createSeal(new Uint8Array(MASTER_KEY_BYTES))
const placesOf = (remote: Remote | undefined) => createPlaces({ store: { findRemote: async () => remote }, seal })
const sealedRemote = () => {
  const remote = aRemote(0)
  return { ...remote, sealedSecrets: seal.seal('{"password":"pw"}', remoteSecretsPurpose(remote.id)) }
}

test('both sides of a transfer, pull and push', async () => {
  const remote = sealedRemote()
  const endpoint = endpointOf(remote, { password: 'pw' })
  const pull = aTransfer(0, {
    remoteId: remote.id,
    sourceUrl: 'sftp://ftp.example.com/a%20b',
    destinationPath: 'space://default/alice/in/a',
  })
  assert.deepEqual(await placesOf(remote).ofTransfer(pull), {
    source: { endpoint, path: '/a b' },
    destination: { endpoint: { protocol: 'space', account: 'default', user: 'alice' }, path: '/in/a' },
  })
  const push = aTransfer(0, { remoteId: remote.id, direction: 'push', sourceUrl: '/local/a', destinationPath: '/in/a%20b' })
  assert.deepEqual(await placesOf(remote).ofTransfer(push), {
    source: { endpoint: { protocol: 'local' }, path: '/local/a' },
    destination: { endpoint, path: '/in/a%20b' },
  })
})

test('a remote that is gone or does not open', async () => {
  const transfer = aTransfer(0, { remoteId: 'rmt_x' })
  await assert.rejects(placesOf(undefined).ofTransfer(transfer), {
    code: 'REMOTE_UNAVAILABLE',
    message: 'The remote rmt_x is gone.',
  })
  const closed = { ...sealedRemote(), sealedSecrets: createSeal(new Uint8Array(MASTER_KEY_BYTES).fill(1)).seal('{}', 'remote:x') }
  await assert.rejects(placesOf(closed).ofTransfer(transfer), { code: 'REMOTE_UNAVAILABLE', message: /do not open/ })
})

test('urls of what a listing finds', async () => {
  const { urlsAt } = placesOf(aRemote(0))
  assert.equal((await urlsAt('rmt_x', '/out/*'))('/out/a b'), 'sftp://ftp.example.com/out/a%20b')
  assert.equal((await urlsAt(null, 'space://default/alice/out/*'))('/out/a b'), 'space://default/alice/out/a b')
  assert.equal((await urlsAt(null, '/out/*'))('/out/a b'), '/out/a b')
})
