import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CommandError } from '../command.ts'
import { parseCapture, parseHeaders } from './capture.ts'

const HEADERS = { 'content-type': ['application/json'], 'x-webhook-id': ['dlv_1'] }
const cases = [
  { name: 'headers, a blank line, the body', text: 'Content-Type: application/json\nX-Webhook-ID: dlv_1\n\n{"a":1}' },
  {
    name: 'a whole request with CRLF',
    text: 'POST /hook HTTP/1.1\r\nContent-Type:application/json\r\nX-Webhook-ID:  dlv_1 \r\n\r\n{"a":1}',
  },
  { name: 'HTTP/2', text: ':method: POST\n:path: /hook\ncontent-type: application/json\nx-webhook-id: dlv_1\n\n{"a":1}' },
  {
    name: 'curl -v',
    text: '* Connected to x\n> POST /hook HTTP/1.1\n> Content-Type: application/json\n> X-Webhook-ID: dlv_1\n>\n} [7 bytes data]\n* upload done\n{"a":1}\n< HTTP/1.1 204 No Content\n<\n* closed',
  },
  {
    name: 'curl -v with CRLF',
    text: '> POST / HTTP/1.1\r\n> Content-Type: application/json\r\n> X-Webhook-ID: dlv_1\r\n> \r\n{"a":1}\r\n',
  },
  {
    name: 'JSON',
    text: JSON.stringify({ headers: { 'Content-Type': 'application/json', 'X-Webhook-ID': ['dlv_1'] }, body: '{"a":1}' }),
  },
  {
    name: 'JSON of a delivery of our own API',
    text: JSON.stringify({
      id: 'dlv_1',
      request: { url: 'https://x', headers: { 'Content-Type': 'application/json', 'X-Webhook-ID': 'dlv_1' }, body: '{"a":1}' },
    }),
  },
]
for (const { name, text } of cases) {
  test(`a capture: ${name}`, () => {
    const { headers, body } = parseCapture(Buffer.from(text))
    assert.deepEqual({ headers, body: body.toString() }, { headers: HEADERS, body: '{"a":1}' })
  })
}

const marked = [
  { name: 'what was sent', text: '> POST /hook HTTP/1.1\n> Content-Type: application/json\n> X-Webhook-ID: dlv_1\n>\n' },
  {
    name: 'both sides and remarks',
    text: '* Connected\n> Content-Type: application/json\r\n> X-Webhook-ID: dlv_1\r\n> \r\n} [7 bytes data]\n< HTTP/1.1 200 OK\n< Content-Type: x\n',
  },
  { name: 'what was got', text: '< HTTP/1.1 200 OK\n< Content-Type: application/json\n< X-Webhook-ID: dlv_1\n< ' },
  { name: 'no mark', text: 'HTTP/1.1 200\nContent-Type: application/json\nX-Webhook-ID: dlv_1' },
]
for (const { name, text } of marked) test(`headers of curl -v: ${name}`, () => assert.deepEqual(parseHeaders(text), HEADERS))

test('headers of curl -v: a line that is not understood keeps its number', () =>
  assert.throws(() => parseHeaders('> A: b\nhello'), { message: 'line 2 is no header: hello' }))

const ends = [
  { name: 'a pasted line end', text: 'A: b\n\n{}\n', body: '{}', notes: 1 },
  { name: 'a pasted CRLF', text: 'A: b\n\n{}\r\n', body: '{}', notes: 1 },
  { name: 'more than one', text: 'A: b\n\n{}\n\n', body: '{}\n', notes: 1 },
  { name: 'more than Content-Length', text: 'Content-Length: 2\n\n{}\n\nnext', body: '{}', notes: 1 },
  { name: 'what Content-Length covers', text: 'Content-Length: 3\n\n{}\n', body: '{}\n', notes: 0 },
  { name: 'a body that was written anew', text: 'Content-Length: 7\n\n{ "a": 1 }', body: '{ "a": 1 }', notes: 1 },
  { name: 'the same with a pasted line end', text: 'Content-Length: 7\n\n{ "a": 1 }\n', body: '{ "a": 1 }', notes: 2 },
  { name: 'less than Content-Length', text: 'Content-Length: 9\n\n{}', body: '{}', notes: 0 },
  { name: 'nothing', text: 'A: b\n\n', body: '', notes: 0 },
]
for (const { name, text, body, notes } of ends) {
  test(`the end of a body: ${name}`, () => {
    const capture = parseCapture(Buffer.from(text))
    assert.deepEqual([capture.body.toString(), capture.notes.length], [body, notes])
  })
}

const refused = [
  { name: 'a body alone', text: '["a"]', says: /no blank line/ },
  { name: 'a line that is no header', text: 'A: b\nwhat is this\n\n{}', says: /line 2 is no header: what is this/ },
  { name: 'control characters', text: '\u001b[2Jx\n\n{}', says: /\\x1b\[2Jx/ },
  { name: 'JSON of something else', text: '{"a":1}', says: /no members headers and body/ },
  { name: 'a parsed body', text: '{"headers":{},"body":{"a":1}}', says: /was parsed before/ },
]
for (const { name, text, says } of refused) {
  test(`refused: ${name}`, () => assert.throws(() => parseCapture(Buffer.from(text)), { name: 'CommandError', message: says }))
}

test('headers that come twice are kept both', () => assert.deepEqual(parseHeaders('A: 1\na: 2'), { a: ['1', '2'] }))

test('the bytes of a body come through any headers', () => {
  const someName = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,9}$/).filter((name) => name.toLowerCase() !== 'content-length')
  const someValue = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
  fc.assert(
    fc.property(
      fc.dictionary(someName, someValue, { minKeys: 1 }),
      fc.uint8Array(),
      fc.constantFrom('\n', '\r\n'),
      (headers, body, line) => {
        const head = [...Object.entries(headers), ['Content-Length', String(body.length)]]
          .map((pair) => pair.join(': '))
          .join(line)
        const capture = parseCapture(Buffer.concat([Buffer.from(head + line + line), body]))
        assert.deepEqual(new Uint8Array(capture.body), body)
      },
    ),
  )
})

test('whatever is given is parsed or refused in one line', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
        fc.string().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        try {
          parseCapture(Buffer.from(bytes))
        } catch (error) {
          assert(error instanceof CommandError)
          assert.ok(!error.message.includes('\n'))
        }
      },
    ),
  )
})
