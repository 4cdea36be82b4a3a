import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../client.ts'
import { CommandError } from '../command.ts'
import { follow, type Told } from './follow.ts'

/** What one connection says before it ends or breaks; an error is thrown where there is no connection. */
type Script = { text: string; breaks?: boolean } | { status: number; error: string } | { refused: string }

const hello = (cursor: string, more: object = {}) => `event: hello\ndata: ${JSON.stringify({ cursor, ...more })}\n\n`
const itemAt = (cursor: string) => `id: ${cursor}\ndata: ${JSON.stringify({ eventId: `whevt_${cursor}`, cursor })}\n\n`
const end = (reason: string) => `event: end\ndata: ${JSON.stringify({ cursor: '0', reason })}\n\n`

/** Follows a server that answers each connection from a script, until it has none left. */
async function followed(scripts: Script[], ask: { secret?: string; after?: string } = {}) {
  const asked: { path: string; secret: string | undefined }[] = []
  const notes: string[] = []
  const delaysMs: number[] = []
  const told: Told[] = []
  const stop = new AbortController()
  const client = {
    async open(path: string, headers: Record<string, string>) {
      const script = scripts.shift()
      asked.push({ path, secret: headers['x-landfall-listen-secret'] })
      if (script === undefined) {
        stop.abort()
        throw stop.signal.reason
      }
      if ('refused' in script) throw new CommandError(script.refused)
      if ('status' in script) return Response.json({ success: false, error: script.error }, { status: script.status })
      return new Response(bodyOf(script.text, script.breaks === true))
    },
  } as unknown as Client
  const stream = follow({
    connect: async () => client,
    ask: { query: { events: 'file.*', sign: 'mftplus', account: undefined }, secret: ask.secret, after: ask.after ?? null },
    signal: stop.signal,
    note: (text) => void notes.push(text),
    pause: async (ms) => void delaysMs.push(ms),
  })
  for await (const one of stream) told.push(one)
  return { asked, notes, told, delaysMs }
}

function bodyOf(text: string, breaks: boolean): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(Buffer.from(text)),
    pull: (controller) => (breaks ? controller.error(new TypeError('terminated')) : controller.close()),
  })
}

const cursorsOf = (told: readonly Told[]) => told.flatMap((one) => (one.kind === 'item' ? [one.item.cursor] : []))

test('follow: each connection goes on from the last item, and the secret that was made stays', async () => {
  const { asked, notes, told } = await followed([
    { text: hello('1', { secret: 'made' }) + itemAt('2') + itemAt('3') + end('the server is stopping') },
    { refused: 'no server runs on ./data' },
    { text: `${hello('3')}event: live\ndata: {"cursor":"3"}\n\n${itemAt('4')}id: 5\ndata: {"cut`, breaks: true },
    { text: hello('4') + itemAt('5') },
  ])
  const start = '/api/events/stream?events=file.*&sign=mftplus'
  const again = ['&after=3', '&after=3', '&after=4', '&after=5'].map((after) => ({ path: start + after, secret: 'made' }))
  assert.deepEqual(asked, [{ path: start, secret: undefined }, ...again])
  assert.deepEqual(cursorsOf(told), ['2', '3', '4', '5'])
  assert.equal(told.filter(({ kind }) => kind === 'hello').length, 1)
  const [stopping, gone, back, broken, ...rest] = notes
  assert.equal(stopping, 'the server is stopping; connecting again …')
  assert.equal(gone, 'no server runs on ./data; connecting again …')
  assert.match(back!, /^connected again after [\d.]+ s; nothing was missed$/)
  assert.equal(broken, 'the connection broke (terminated); connecting again …')
  assert.match(rest[0]!, /^connected again/)
})

test('follow: a place of before and a secret of the caller are sent with the first connection', async () => {
  const { asked } = await followed([], { secret: 'mine', after: '7' }).catch(() => assert.fail())
  assert.deepEqual(asked, [{ path: '/api/events/stream?events=file.*&sign=mftplus&after=7', secret: 'mine' }])
})

test('follow: a heartbeat moves on, and the next connection goes on from there', async () => {
  const { asked, told } = await followed([{ text: hello('1') }, { text: `${hello('1')}: still here\nid: 9\n\n` }])
  assert.deepEqual(told.at(-1), { kind: 'moved', cursor: '9' })
  assert.match(asked.at(-1)!.path, /&after=9$/)
})

test('follow: the same trouble is told once', async () => {
  const gone = { refused: 'no server runs' }
  const { notes, delaysMs } = await followed([
    { text: hello('1') },
    ...Array.from({ length: 6 }, () => gone),
    { text: hello('1') },
  ])
  assert.deepEqual(delaysMs, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 250])
  assert.deepEqual(notes.slice(0, 2), ['the connection ended; connecting again …', 'no server runs; connecting again …'])
  assert.match(notes[2]!, /^connected again/)
})

const refusals = [
  { name: 'anything at the first connection', scripts: [{ refused: 'no server runs' }], says: /^CommandError: no server runs$/ },
  {
    name: 'too many streams at the first connection',
    scripts: [{ status: 409, error: '100 streams' }],
    says: /^CommandError: 100 streams$/,
  },
  {
    name: 'a webhook that is gone later',
    scripts: [{ text: hello('1') }, { status: 404, error: 'no webhook' }],
    says: /^CommandError: no webhook$/,
  },
  { name: 'an event without end', scripts: [{ text: `data: ${'x'.repeat(9_000_000)}` }], says: /more than 8388608 characters/ },
]
for (const { name, scripts, says } of refusals)
  test(`follow ends with ${name}`, async () => {
    await assert.rejects(followed(scripts), says)
  })

test('follow: what passes is tried again: a token of before, a server that is busy', async () => {
  const { told } = await followed([
    { text: hello('1') },
    { status: 401, error: 'no such token' },
    { status: 503, error: 'stopping' },
    { text: hello('1') + itemAt('2') },
  ])
  assert.deepEqual(cursorsOf(told), ['2'])
})
