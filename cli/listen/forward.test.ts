import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Forwarded, Forwarder, type Item, type Post, post } from './forward.ts'

const RUNNING = new AbortController().signal

function itemOf(number: number, event = 'file.uploaded'): Item {
  const eventId = `whevt_${number}`
  return { deliveryId: `dlv_${number}`, eventId, event, headers: {}, body: '{}', cursor: String(number) }
}

async function listening(t: TestContext, server: Server): Promise<URL> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?a=b`)
}

async function receiver(t: TestContext, answers: RequestListener): Promise<URL> {
  const server = createServer(answers)
  t.after(() => server.closeAllConnections())
  return listening(t, server)
}

test('forward: exactly the bytes and the headers that were signed', async (t) => {
  const got: unknown[] = []
  const url = await receiver(t, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { host, connection, ...headers } = request.headers
    got.push(request.method, request.url, headers, Buffer.concat(chunks).toString())
    response.end('taken')
  })
  const body = '{"path":"/données 📦.csv",  "a":1}'
  const headers = { 'Content-Type': 'application/json', 'User-Agent': 'X/1', 'X-Webhook-Signature': 'sha256=00' }
  const result = await post(url, { headers, body }, RUNNING)
  assert.deepEqual([result.status, (result as { answer: string }).answer], [200, 'taken'])
  const lower = { 'content-type': 'application/json', 'user-agent': 'X/1', 'x-webhook-signature': 'sha256=00' }
  assert.deepEqual(got, ['POST', '/hook?a=b', { ...lower, 'content-length': String(Buffer.byteLength(body)) }, body])
})

const answers: { name: string; answer: RequestListener; status?: number; says: RegExp }[] = [
  {
    name: 'a redirect is not followed',
    answer: (_, to) => to.writeHead(302, { location: '/other' }).end(),
    status: 302,
    says: /^$/,
  },
  {
    name: 'the first line tells why',
    answer: (_, to) => to.writeHead(401).end('\n\nno such key\nat x.js:3'),
    status: 401,
    says: /^no such key$/,
  },
  { name: 'a long line is cut', answer: (_, to) => to.writeHead(500).end('x'.repeat(5_000)), status: 500, says: /^x{100}$/ },
  {
    name: 'an endless body',
    answer: (_, to) => void to.writeHead(200).write('x'.repeat(64 * 1024)),
    status: 200,
    says: /^x{100}$/,
  },
  { name: 'no answer at all', answer: () => {}, says: /^no answer within 0\.2 s$/ },
  { name: 'a body that does not end', answer: (_, to) => void to.writeHead(200).write('x'), says: /^no answer within 0\.2 s$/ },
  {
    name: 'a crash',
    answer: ({ socket }) => void socket.destroy(),
    says: /closed the connection without an answer: did your receiver crash\?$/,
  },
]
for (const { name, answer, status = null, says } of answers)
  test(`forward: ${name}`, async (t) => {
    const url = await receiver(t, answer)
    // Only who never answers is given up so soon.
    const deadlineMs = says.source.includes('no answer within') ? [200] : []
    const result = await post(url, { headers: {}, body: '{}' }, RUNNING, ...deadlineMs)
    assert.equal(result.status, status)
    assert.match(result.status === null ? result.reason : result.answer, says)
  })

test('forward: what cannot be reached is told in words', async (t) => {
  const gone = new URL('http://127.0.0.1:1/')
  const babble = await listening(
    t,
    createTcpServer((socket) => socket.on('error', () => {}).end('220 ftp ready\r\n')),
  )
  const reasonAt = async (url: URL) => {
    const result = await post(url, { headers: {}, body: '{}' }, RUNNING)
    return result.status === null ? result.reason : assert.fail(`answered ${result.status}`)
  }
  assert.equal(await reasonAt(gone), `nothing listens there: is your receiver running on ${gone.host}?`)
  assert.equal(await reasonAt(babble), `${babble.host} does not answer in HTTP: is it an https port?`)
  const plain = await receiver(t, (_, response) => response.end())
  plain.protocol = 'https:'
  assert.equal(await reasonAt(plain), `${plain.host} does not speak TLS: is it an http port?`)
})

/** Posts that end when told. */
function heldPosts() {
  const open: { url: string; end: (status?: number) => void }[] = []
  const post: Post = (url, _, signal) =>
    new Promise<Forwarded>((resolve) => {
      open.push({ url: url.href, end: (status = 204) => resolve({ status, answer: '', ms: 1 }) })
      signal.addEventListener('abort', () => resolve({ status: null, reason: 'cut', ms: 1 }))
    })
  return { open, post }
}

function forwarderOf(routes: Record<string, string>) {
  const { open, post } = heldPosts()
  const ended: string[] = []
  const forwarder = new Forwarder({
    routes: Object.entries(routes).map(([pattern, url]) => ({ pattern, url: new URL(url) })),
    post,
    ended: ({ eventId }, route, result) => void ended.push(`${eventId} ${route?.url.pathname ?? '-'} ${result?.status ?? '-'}`),
  })
  return { forwarder, open, ended }
}

const settled = () => new Promise(setImmediate)

test('forward: a route keeps its order, and a slow one holds up no other', async () => {
  const { forwarder, open, ended } = forwarderOf({ 'file.*': 'http://a/slow', 'dir.*': 'http://a/quick' })
  for (const number of [1, 2]) await forwarder.take(itemOf(number))
  for (const number of [3, 4]) await forwarder.take(itemOf(number, 'dir.created'))
  await forwarder.take(itemOf(5, 'job.failed'))
  assert.deepEqual(
    open.map(({ url }) => url),
    ['http://a/slow', 'http://a/quick'],
  )
  open[1]!.end()
  await settled()
  open[2]!.end(500)
  await settled()
  open[0]!.end()
  await settled()
  open[3]!.end()
  await settled()
  assert.deepEqual(ended, ['whevt_5 - -', 'whevt_3 /quick 204', 'whevt_4 /quick 500', 'whevt_1 /slow 204', 'whevt_2 /slow 204'])
})

test('forward: eight are under way at most, and every route has its turn', async () => {
  const routes = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`t.n${index}`, `http://a/${index}`]))
  const { forwarder, open } = forwarderOf(routes)
  for (let number = 0; number < 22; number++) void forwarder.take(itemOf(number, `t.n${number % 12}`))
  await settled()
  assert.equal(open.length, 8)
  for (let next = 0; next < 22; next++) {
    open[next]!.end()
    await settled()
    assert(open.length - next - 1 <= 8)
  }
  assert.deepEqual(new Set(open.slice(0, 12).map(({ url }) => url)), new Set(Object.values(routes)))
  assert.equal(open.length, 22)
})

test('forward: who brings too many waits until there is room', async () => {
  const { forwarder, open } = forwarderOf({ '*': 'http://a/' })
  let taken = 0
  const bringing = (async () => {
    for (let number = 0; number < 30; number++) {
      await forwarder.take(itemOf(number))
      taken++
    }
  })()
  await settled()
  assert.equal(taken, 23)
  for (let next = 0; next < 30; next++) {
    open[next]!.end()
    await settled()
  }
  await bringing
  assert.equal(taken, 30)
})

test('forward: closing lets end what is under way, begins nothing, and cuts what takes too long', async () => {
  const patient = forwarderOf({ '*': 'http://a/' })
  for (const number of [1, 2]) await patient.forwarder.take(itemOf(number))
  const closing = patient.forwarder.close(60_000)
  patient.open[0]!.end()
  await closing
  await patient.forwarder.take(itemOf(3))
  assert.deepEqual([patient.ended, patient.open.length], [['whevt_1 / 204'], 1])

  const hanging = forwarderOf({ '*': 'http://a/' })
  await hanging.forwarder.take(itemOf(1))
  await hanging.forwarder.close(1)
  assert.deepEqual(hanging.ended, [])
})
