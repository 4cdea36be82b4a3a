import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BODY_EXCERPT_BYTES_MAX, type PostResult } from '../http/exchange.ts'
import { MASKED, withoutSecrets } from './redact.ts'

function answered(body: string | Buffer, headers: Record<string, string> = {}) {
  return { kind: 'answered', status: 200, headers, bodyExcerpt: Buffer.from(body), durationMs: 5 } satisfies PostResult
}

function shown(body: string | Buffer, secrets: readonly string[], headers: Record<string, string> = {}) {
  const result = withoutSecrets(answered(body, headers), secrets)
  assert.ok(result.kind === 'answered')
  return { ...result, body: result.bodyExcerpt.toString() }
}

/** As languages and frameworks write a text into an answer. */
const ascii = (text: string) =>
  text.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
const inJson = (text: string) => JSON.stringify(text).slice(1, -1)
const inUrl = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
const writers: Readonly<Record<string, (text: string) => string>> = {
  'as it is': (text) => text,
  JSON: inJson,
  'JSON of PHP': (text) => ascii(inJson(text)).replaceAll('/', '\\/'),
  'JSON of Python': (text) => ascii(inJson(text)),
  'JSON of .NET': (text) =>
    inJson(text).replace(
      /["'&<>+]|\\"/g,
      (one) =>
        `\\u${one
          .charCodeAt(one.length - 1)
          .toString(16)
          .padStart(4, '0')
          .toUpperCase()}`,
    ),
  'JSON in JSON': (text) => inJson(`{"key":"${inJson(text)}"}`).slice(11, -3),
  'a url of JavaScript': (text) => encodeURIComponent(text),
  'a url of most others': inUrl,
  'a url in small letters': (text) => inUrl(text).replace(/%../g, (one) => one.toLowerCase()),
  'a path of a url': (text) => encodeURIComponent(text).replaceAll('%2F', '/'),
  'a form': (text) => new URLSearchParams({ '': text }).toString().slice(1),
  'a url in JSON of PHP': (text) => inUrl(text).replaceAll('/', '\\/'),
  HTML: (text) => text.replace(/[&<>"']/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? '&#039;'),
  'HTML by numbers': (text) => text.replace(/[&<>"']/g, (one) => `&#x${one.charCodeAt(0).toString(16).toUpperCase()};`),
  capitals: (text) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
}
const SECRETS = ['super"secret', 'a/b+c==/d/e+f', "ApiKey k&y<1>'2' 100%", 'C:\\temp\\nüß€ 📦 key', '%41%42%43"%22\\u0041']
for (const [name, write] of Object.entries(writers)) {
  test(`a secret is masked in ${name}`, () => {
    for (const secret of SECRETS) {
      const text = `{"key":"${write(secret)}","ok":true}`
      assert.equal(shown(text, [secret]).body, `{"key":"${MASKED}","ok":true}`, secret)
    }
  })
}

test('property: no writing of a secret is shown, and nothing else is masked', () => {
  const secret = fc
    .string({
      unit: fc.oneof(fc.constantFrom(...'aZ09/+="\'\\%&<> ;:u'), fc.string({ minLength: 1, maxLength: 1 })),
      minLength: 8,
    })
    .filter((text) => /^[!-~].*[!-~]$/.test(text) && !text.includes(MASKED.slice(0, 4)))
  const written = fc.constantFrom(...Object.keys(writers).filter((name) => name !== 'capitals'))
  fc.assert(
    fc.property(secret, written, (text, name) => {
      assert.equal(shown(`[${writers[name]!(text)}] 200 OK`, [text]).body, `[${MASKED}] 200 OK`)
    }),
  )
})

test('a secret is masked in the names and values of headers', () => {
  const { headers } = shown('', ['SuperSecret-1234', 'q=/secret/'], {
    'x-supersecret-1234-x': 'a',
    location: 'https://receiver.example/?key=SuperSecret-1234&next=q%3d%2Fsecret%2f#top',
    'x-mine': 'SuperSecret-123',
  })
  assert.deepEqual(headers, {
    [`x-${MASKED}-x`]: 'a',
    location: `https://receiver.example/?key=${MASKED}&next=${MASKED}#top`,
    'x-mine': 'SuperSecret-123',
  })
})

const LONG = 'sk_"ive/0123456789abcdefghi' // 27 characters
/** What a receiver echoes so that the excerpt ends behind it. */
const full = (end: string) =>
  Buffer.concat([Buffer.alloc(BODY_EXCERPT_BYTES_MAX - Buffer.byteLength(end), '.'), Buffer.from(end)])
const cuts: { name: string; end: string; secret?: string; shows: string }[] = [
  { name: '20 of its 27 characters', end: `key=${LONG.slice(0, 20)}`, shows: `key=${MASKED}` },
  { name: 'all of it', end: `key=${LONG}`, shows: `key=${MASKED}` },
  { name: 'an escape that is cut', end: 'key=sk_\\', shows: 'key=sk_\\' },
  { name: 'a longer one', end: 'key=sk_\\"iv', shows: `key=${MASKED}` },
  { name: 'a cut escape at its end', end: 'key=sk_%22ive%2', shows: `key=${MASKED}` },
  { name: 'a cut escape of JSON at its end', end: 'key=sk_\\"ive\\', shows: `key=${MASKED}` },
  { name: 'a cut escape of letters', end: 'key=sk_\\u0022ive\\u', shows: `key=${MASKED}` },
  { name: 'too little to be one', end: 'key=sk_', shows: 'key=sk_' },
  { name: 'half a character', end: 'key=schlüssel'.slice(0, 8), secret: 'schlüssel-7', shows: `key=${MASKED}` },
  {
    name: 'the middle of a long one',
    end: `key=${'0123456789'.repeat(30)}`,
    secret: '0123456789'.repeat(400),
    shows: `key=${MASKED}`,
  },
]
for (const { name, end, secret = LONG, shows } of cuts) {
  test(`an excerpt that ends in a secret: ${name}`, () => {
    const { body } = shown(full(end), [secret])
    // A mask that is longer than what it hides ends with the excerpt.
    assert.equal(body.slice(body.indexOf('key=')), shows.slice(0, Buffer.byteLength(end)))
  })
}

test('a body that is whole may end as a secret begins, but not one that was cut while compressed', () => {
  assert.equal(shown('bad token', ['token-12345']).body, 'bad token')
  assert.equal(shown('bad token', ['token-12345'], { 'content-encoding': 'gzip' }).body, `bad ${MASKED}`)
})

const shorts: [secret: string, body: string, shows: string][] = [
  ['hunter2', '{"password":"hunter2"}', `{"password":"${MASKED}"}`],
  ['hunter2', 'user=me&pass%3Dhunter2%26x', `user=me&pass%3D${MASKED}%26x`],
  ['hunter2', 'hunter22 hunter2a ahunter2', 'hunter22 hunter2a ahunter2'],
  ['k-1', 'xk-k-1k-1 k-1', `xk-k-1k-1 ${MASKED}`],
  ['k-k', 'xk-k-k', `xk-${MASKED}`],
  ['p"w', '{"x":"p\\"w"}', `{"x":"${MASKED}"}`],
  ['1', '{"count":10,"at":"a1","one":1}', `{"count":10,"at":"a1","one":${MASKED}}`],
  ['', 'nothing', 'nothing'],
]
for (const [secret, body, shows] of shorts) {
  test(`a short secret is masked where it stands alone: ${body}`, () => assert.equal(shown(body, [secret]).body, shows))
}

test('secrets that overlap, hold one another or are made of stars leave nothing behind', () => {
  assert.equal(shown('abcdefgh-ijklmnop', ['abcdefgh', 'abcdefgh-ijklmnop']).body, MASKED)
  assert.equal(shown('1234567890abcdef', ['1234567890', '7890abcdef']).body, MASKED)
  assert.equal(shown('* ** *', ['*', '**', '********']).body, `${MASKED} ${MASKED} ${MASKED}`)
})

test('masks never make the excerpt longer than excerpts are', () => {
  const result = shown('k '.repeat(BODY_EXCERPT_BYTES_MAX / 2), ['k'])
  assert.equal(result.bodyExcerpt.length, BODY_EXCERPT_BYTES_MAX)
})

test('what holds no secret stays as it is, to the byte', () => {
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
  const result = answered(Buffer.concat([bytes, Buffer.from('%zz \\u12 &#; &amp; %')]), { 'x-a': 'b%20c' })
  assert.deepEqual(withoutSecrets(result, ['a secret of mine']), result)
  assert.equal(withoutSecrets(result, []), result)
})
