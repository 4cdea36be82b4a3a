import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { parseSshKey } from './ssh-key.ts'

/** Made by ssh-keygen, fingerprints by `ssh-keygen -l`. */
const taken = [
  {
    line: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBu+jzjgAEu7NMt//Uw2JUAAwJ4TiY4bRFVO0udpV/H ed25519 key',
    fingerprint: 'SHA256:H5f7zHwd5jeKxRTYiWwPRpQtHnWc50eUchY7M/NoG2g',
  },
  {
    line: 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFTQ/mO/RIWxrL4y9J1Q1pD3PiIJUNjDjLaJaNTnZnGo/H5Z3xQk6g7FATF07m1HiVqPvrIgchUfQuUpFRRG4EE= ecdsab256 key',
    fingerprint: 'SHA256:I9z3+YNQolsI9NOKc+GFx0U1DiJiRSZlU2rlKXJa0pg',
  },
  {
    line: 'ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBJ/Y/18i4WVIS0EL0zYHxwa3Dn/RfVWQaFhUPovY38CM9bCm8z11xIC0EBy+dUsuDFplloyUsS0LFuq2j1AVhMNTPet/icvNekxdCsbMI1C3RazdwjxGq8Qj9kN6vJYc0w== ecdsab384 key',
    fingerprint: 'SHA256:ZbX4ia2P/C1qsb8ZlTE7PxIJONAHUi9VxjH+btn6LGA',
  },
  {
    line: 'ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAG9VK1H8fBc3g/AIj3NPxDotg7azJ+zjBWf5HVHnQcn7E8cxpWV7MKv6IqZa/IHmcN8HcvFiMZ/THS6w74wvZX5awGYXPENpxYTCxtwA9KhRs989WUe0Nl2ExEQYYQ9XRHt4vFy0W1ssqiVDxfDBoAFL5PDCJ7eRcZ34LEcaLVaDi86fw== ecdsab521 key',
    fingerprint: 'SHA256:3/xpgAglmyZqurX2xeeCzHbdotocGQoqKOm0yo9A5zk',
  },
  {
    line: 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCF7yQvJTm/vj8wd8cdHZWCILSGCsj35rTl1UkVUs2aGMXmz0qzjZgj1zypgx6D+e9YczoUTUJtUyMR9ZhI26Px/JWoE/0Fr6OsCupX6VDEHt8pA6JjKcW01Slyx/8oQkRv7VuMDcUEt7t72ZTQf0axN9INNsrIPicWIco+RgrmqScUAM7OubZXoxDKeU1EASV53lVbdgRFaRZadko+UavV8q6JE2YRV5xe0wvyQPWB8lBdtZSaoqZwqIHWyvNEmnFoJtvE9eMTFWFVpvWfF30BlpNTFL/pWdYRjruRMPZOJB/fVymW49grNVBRW5Z9Us/YBMwIdzFQrkJSwKh5sk2f rsab2048 key',
    fingerprint: 'SHA256:nx0C0xn5AmhkHiNQgIomfjek15J2CnMDW6r23JvInnc',
  },
]
for (const { line, fingerprint } of taken) {
  const [type, blob, ...comment] = line.split(' ')
  test(`parseSshKey: takes ${type}`, () => {
    assert.deepEqual(parseSshKey(`  ${line}\n`, 'key'), { type, blob, comment: comment.join(' '), fingerprint })
    assert.equal(parseSshKey(`${type} ${blob}`, 'key').comment, '')
  })
}

const [ed25519, p256] = taken.map(({ line }) => line) as [string, string]
const blob = ed25519.split(' ')[1]!
/** A key in its wire form from its parts. */
function wire(type: string, ...parts: Uint8Array[]): string {
  const prefixed = [Buffer.from(type), ...parts].flatMap((part) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    return [length, part]
  })
  return `${type} ${Buffer.concat(prefixed).toString('base64')}`
}
const exponent = Buffer.from([1, 0, 1])
const modulus = (bits: number, last = 1) =>
  Buffer.concat([Buffer.from([0, 0x80]), Buffer.alloc(bits / 8 - 2, 7), Buffer.from([last])])

const refused: { name: string; line: string; says: RegExp }[] = [
  { name: 'nothing', line: ' ', says: /is empty/ },
  { name: 'a private key', line: '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA', says: /is a private key/ },
  { name: 'an RFC 4716 block', line: '---- BEGIN SSH2 PUBLIC KEY ----\nAAAA', says: /RFC 4716/ },
  { name: 'two lines', line: `${ed25519}\n${p256}`, says: /more than one line/ },
  { name: 'too long a line', line: `ssh-ed25519 ${'A'.repeat(9_000)}`, says: /has 9012 characters, at most 8192/ },
  { name: 'DSA', line: 'ssh-dss AAAA', says: /"ssh-dss"; DSA is no longer safe/ },
  { name: 'a hardware key', line: 'sk-ssh-ed25519@openssh.com AAAA', says: /hardware tokens/ },
  { name: 'options', line: `no-pty ${ed25519}`, says: /"no-pty"; options/ },
  { name: 'no key part', line: 'ssh-ed25519', says: /not base64/ },
  { name: 'not base64', line: `ssh-ed25519 ${blob.replace('u', '!')}`, says: /not base64/ },
  { name: 'another type inside', line: `ssh-rsa ${blob}`, says: /holds a key of another type/ },
  { name: 'a cut key', line: wire('ssh-ed25519', Buffer.alloc(31)), says: /31 bytes, not 32/ },
  { name: 'bytes after the end', line: wire('ssh-ed25519', Buffer.alloc(32), Buffer.alloc(1)), says: /bytes after the end/ },
  {
    name: 'a point off the curve',
    line: wire('ecdsa-sha2-nistp256', Buffer.from('nistp256'), Buffer.alloc(65, 4)),
    says: /not on nistp256/,
  },
  {
    name: 'a compressed point',
    line: wire('ecdsa-sha2-nistp256', Buffer.from('nistp256'), Buffer.alloc(33, 2)),
    says: /no uncompressed point/,
  },
  {
    name: 'the wrong curve',
    line: wire('ecdsa-sha2-nistp256', Buffer.from('nistp384'), Buffer.alloc(65, 4)),
    says: /no uncompressed point/,
  },
  {
    name: 'RSA of 1,024 bits',
    line: 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDYQUnDGmiSnAfYp9yqfmuv/Rd8fADeWe7btHKLKQNBPbFfnm4MfK3318eLjaXYiYWSYjKfwbOLHEOv4rR4+3FEmwa8Dk1wPUOSDJLx0lA6iN8yeIKqTEokjNADMoRtj4P8/StCOJv5EXTr2ULPj/BBJOmfQVqcKdlDUkr3vC7tww== rsab1024 key',
    says: /RSA key of 1024 bits, not 2048 to 16384/,
  },
  { name: 'RSA of 2,040 bits', line: wire('ssh-rsa', exponent, modulus(2_040)), says: /RSA key of 2040 bits/ },
  { name: 'RSA of 16,392 bits', line: wire('ssh-rsa', exponent, modulus(16_392)), says: /RSA key of 16392 bits/ },
  { name: 'an even modulus', line: wire('ssh-rsa', exponent, modulus(2_048, 2)), says: /cannot be one/ },
  { name: 'an exponent of one', line: wire('ssh-rsa', Buffer.from([1]), modulus(2_048)), says: /cannot be one/ },
  {
    name: 'a negative modulus',
    line: wire('ssh-rsa', exponent, modulus(2_048).subarray(1)),
    says: /no RSA exponent and modulus/,
  },
  { name: 'a long comment', line: `${ed25519} ${'c'.repeat(256)}`, says: /comment of 268 characters, at most 256/ },
]
for (const { name, line, says } of refused) {
  test(`parseSshKey: refuses ${name}`, () => {
    assert.throws(
      () => parseSshKey(line, 'publicKeys[0]'),
      (error) =>
        error instanceof AppError && error.code === 'invalid' && error.field === 'publicKeys[0]' && says.test(error.message),
    )
  })
}

test('parseSshKey: whatever the bytes, it answers or refuses', () => {
  fc.assert(
    fc.property(fc.constantFrom(...taken), fc.nat(600), fc.integer({ min: 0, max: 255 }), ({ line }, at, value) => {
      const [type = '', key = ''] = line.split(' ')
      const bytes = Buffer.from(key, 'base64')
      bytes[at % bytes.length] = value
      try {
        assert.equal(parseSshKey(`${type} ${bytes.toString('base64')}`, 'key').type, type)
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'invalid', String(error))
      }
    }),
  )
})
