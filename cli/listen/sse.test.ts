import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EVENT_CHARACTERS_MAX, type SseEvent, SseParser } from './sse.ts'

function parse(...chunks: (string | Uint8Array)[]): { events: SseEvent[]; lastId: string } {
  const parser = new SseParser()
  const events = chunks.flatMap((chunk) => parser.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
  return { events, lastId: parser.lastId }
}

const message = (data: string): SseEvent => ({ event: 'message', data })

const cases = [
  { name: 'an event', text: 'event: hello\ndata: {}\nid: 7\n\n', events: [{ event: 'hello', data: '{}' }], lastId: '7' },
  { name: 'lines that end in CRLF', text: 'data: a\r\nid: 1\r\n\r\n', events: [message('a')], lastId: '1' },
  { name: 'lines that end in CR', text: 'data: a\rid: 1\r\r', events: [message('a')], lastId: '1' },
  { name: 'a byte order mark', text: '\ufeffdata: a\n\n', events: [message('a')], lastId: '' },
  { name: 'several lines of data', text: 'data: a\ndata:\ndata: b\n\n', events: [message('a\n\nb')], lastId: '' },
  { name: 'one space after the colon goes', text: 'data:a\n\ndata:  a\n\n', events: [message('a'), message(' a')], lastId: '' },
  { name: 'a field without a colon', text: 'data\n\n', events: [message('')], lastId: '' },
  { name: 'comments and unknown fields', text: ': beat\n\nretry: 9\nfoo: x\ndata: a\n\n', events: [message('a')], lastId: '' },
  { name: 'an id alone moves on', text: 'id: 3\ndata: a\n\nid: 9\n\n', events: [message('a')], lastId: '9' },
  { name: 'no id keeps the last', text: 'id: 3\n\ndata: a\n\n', events: [message('a')], lastId: '3' },
  { name: 'an id with a zero is none', text: 'id: a\0b\n\n', events: [], lastId: '' },
  { name: 'an event cut off is none, nor is its id', text: 'data: a\nid: 4\n', events: [], lastId: '' },
  { name: 'a name without data is none', text: 'event: x\n\ndata: a\n\n', events: [message('a')], lastId: '' },
] as const
for (const { name, text, events, lastId } of cases) {
  test(`sse: ${name}`, () => {
    assert.deepEqual(parse(text), { events, lastId })
  })
}

test('sse: the same events however the bytes are cut', () => {
  const line = fc.oneof(
    fc.constantFrom('', 'data: {"a":1}', 'data:é📦', 'data', 'event: hello', 'id: 12', 'id', ': beat', 'retry: 5', 'x'),
    fc.string({ unit: 'binary' }).map((text) => text.replace(/[\r\n]/g, '')),
  )
  const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')))
  fc.assert(
    fc.property(stream, fc.array(fc.nat(40), { minLength: 1 }), (lines, sizes) => {
      const bytes = Buffer.from(lines.flat().join(''))
      const chunks: Buffer[] = []
      for (let from = 0, next = 0; from < bytes.length; next++) {
        const until = from + sizes[next % sizes.length]! + (next % 2)
        chunks.push(bytes.subarray(from, until))
        from = until
      }
      assert.deepEqual(parse(...chunks), parse(bytes))
    }),
  )
})

test('sse: what any server writes comes back', () => {
  const written = fc.record({ event: fc.constantFrom('item', 'hello'), data: fc.string({ unit: 'grapheme' }), id: fc.nat() })
  fc.assert(
    fc.property(fc.array(written), (all) => {
      const text = all.map(({ event, data, id }) => `event: ${event}\ndata: ${JSON.stringify(data)}\nid: ${id}\n\n`).join('')
      const { events, lastId } = parse(text)
      assert.deepEqual(
        events,
        all.map(({ event, data }) => ({ event, data: JSON.stringify(data) })),
      )
      assert.equal(lastId, String(all.at(-1)?.id ?? ''))
    }),
  )
})

for (const [name, start] of [
  ['in one line', 'data: '],
  ['without any line end', ''],
  ['in many lines', 'data: a\n'.repeat(1000)],
] as const)
  test(`sse: an event that grows without end is refused, ${name}`, () => {
    const parser = new SseParser()
    parser.push(Buffer.from(start))
    const more = Buffer.from(name === 'in many lines' ? 'data: aaaaaaaa\n'.repeat(100_000) : 'a'.repeat(1024 * 1024))
    assert.throws(() => {
      for (let bytes = 0; bytes <= 2 * EVENT_CHARACTERS_MAX; bytes += more.length) parser.push(more)
    }, /more than 8388608 characters/)
  })
