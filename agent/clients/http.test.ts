import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Transform } from 'node:stream'
import { afterEach, describe, type TestContext, test } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { movingClock } from '../../src/base/testing.ts'
import type { TransferFailureCode } from '../../src/wire/agent/failure.ts'
import type { HttpEndpoint } from '../../src/wire/agent/work.ts'
import { eventually } from '../../test/eventually.ts'
import { makeCertificate } from '../../test/peers/certificate.ts'
import { COUNTING_MS_MAX, openHttp } from './http.ts'
import { REDIRECTS_MAX } from './http-connections.ts'
import { httpFailure, statusFailure } from './http-status.ts'
import { idleConnections } from './idle.ts'
import { BODY_IDLE_MS } from './incoming.ts'
import { contextFor, failsWith, readAll, sha256 } from './testing.ts'

// Servers that behave are in test/flow; these do not, or do what few do.

const CONTENT = Buffer.from('0123456789')
const TOKEN = 'do-not-tell'

afterEach(() => idleConnections.closeAll())

async function serve(t: TestContext, listener: RequestListener): Promise<HttpEndpoint> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { protocol: 'http', host: '127.0.0.1', port: (server.address() as AddressInfo).port, bearer: TOKEN }
}

async function clientOf(t: TestContext, listener: RequestListener) {
  return await openHttp(await serve(t, listener), contextFor({}))
}

/** What the other end of a line on loopback sees a moment later. */
async function soon(check: () => void): Promise<void> {
  await eventually(async () => check())
}

const options = { id: 'trf_1', resumes: false, size: null, modifiedAt: null }

describe('what a status means', () => {
  const cases: [number, TransferFailureCode][] = [
    [400, 'UNSUPPORTED'],
    [401, 'AUTH_FAILED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [405, 'UNSUPPORTED'],
    [408, 'TIMEOUT'],
    [409, 'NOT_FOUND'],
    [410, 'NOT_FOUND'],
    [412, 'SOURCE_CHANGED'],
    [413, 'TOO_LARGE'],
    [429, 'PROTOCOL_ERROR'],
    [500, 'PROTOCOL_ERROR'],
    [502, 'CONNECTION_LOST'],
    [503, 'CONNECTION_LOST'],
    [504, 'TIMEOUT'],
    [507, 'DISK_FULL'],
    [599, 'PROTOCOL_ERROR'],
  ]
  for (const [status, code] of cases) {
    test(`${status}`, () => assert.equal(statusFailure(status, 'Reading “/a”').code, code))
  }
})

describe('what an error of a connection means', () => {
  const cases: [string, TransferFailureCode][] = [
    ['UND_ERR_CONNECT_TIMEOUT', 'TIMEOUT'],
    ['UND_ERR_HEADERS_TIMEOUT', 'TIMEOUT'],
    ['UND_ERR_SOCKET', 'CONNECTION_LOST'],
    ['ECONNREFUSED', 'CONNECTION_REFUSED'],
    ['ENOTFOUND', 'ADDRESS_NOT_FOUND'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERTIFICATE_INVALID'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'CERTIFICATE_INVALID'],
    ['CERT_HAS_EXPIRED', 'CERTIFICATE_INVALID'],
    ['HPE_INVALID_CONSTANT', 'PROTOCOL_ERROR'],
  ]
  for (const [name, code] of cases) {
    test(name, () => {
      const error = Object.assign(new Error('it broke'), { code: name })
      assert.equal(httpFailure(error, 'Reading “/a”', new AbortController().signal).code, code)
    })
  }
  test('any, once stopped', () => {
    assert.equal(httpFailure(new Error('it broke'), 'Reading “/a”', AbortSignal.abort()).code, 'CANCELLED')
  })
})

describe('a part that was asked for', () => {
  const answers: [string, number, Record<string, string>, TransferFailureCode | string][] = [
    ['comes as asked for', 206, { 'content-range': 'bytes 4-9/10' }, '456789'],
    ['of a file whose length is not told', 206, { 'content-range': 'bytes 4-9/*' }, '456789'],
    ['begins elsewhere', 206, { 'content-range': 'bytes 3-9/10' }, 'PROTOCOL_ERROR'],
    ['is of a longer file', 206, { 'content-range': 'bytes 4-9/11' }, 'SOURCE_CHANGED'],
    ['does not say where it begins', 206, {}, 'PROTOCOL_ERROR'],
    ['says so in no known way', 206, { 'content-range': 'lines 4-9/10' }, 'PROTOCOL_ERROR'],
    ['has another tag', 206, { 'content-range': 'bytes 4-9/10', etag: '"other"' }, 'SOURCE_CHANGED'],
    ['is the whole file instead', 200, {}, '456789'],
    ['is another whole file instead', 200, { etag: '"other"' }, 'SOURCE_CHANGED'],
    ['is not there', 416, { 'content-range': 'bytes */4' }, ''],
    ['is a 204', 204, {}, 'PROTOCOL_ERROR'],
  ]
  for (const [name, status, headers, expected] of answers) {
    test(name, async (t) => {
      const asked: IncomingMessage['headers'][] = []
      const client = await clientOf(t, (request, response) => {
        if (request.method === 'HEAD') {
          response.writeHead(200, { 'content-length': 10, etag: '"one"' }).end()
          return
        }
        asked.push(request.headers)
        const body = status === 206 ? CONTENT.subarray(4) : status === 200 ? CONTENT : Buffer.alloc(0)
        response.writeHead(status, { 'content-length': body.length, etag: '"one"', ...headers }).end(body)
      })
      await client.stat('/a')
      const reading = client.read('/a', 4).then(readAll)
      if (/^[A-Z]/.test(expected)) await failsWith(expected as TransferFailureCode, reading)
      else assert.equal(String(await reading), expected)
      const [{ range, 'if-range': condition, 'accept-encoding': encoding }] = asked as [IncomingMessage['headers']]
      assert.deepEqual([range, condition, encoding], ['bytes=4-', '"one"', 'identity'])
    })
  }

  test('a weak tag proves nothing, the time of the last change does', async (t) => {
    let modified = 'Sun, 06 Nov 1994 08:49:37 GMT'
    const client = await clientOf(t, (request, response) => {
      assert.equal(request.headers['if-range'], undefined)
      response.writeHead(200, { 'content-length': 10, etag: 'W/"one"', 'last-modified': modified })
      response.end(request.method === 'HEAD' ? undefined : CONTENT)
    })
    assert.deepEqual(await client.stat('/a'), { kind: 'file', size: 10, modifiedAt: 784111777000 })
    assert.equal(String(await client.read('/a', 8).then(readAll)), '89')
    modified = 'Sun, 06 Nov 1994 08:49:38 GMT'
    await failsWith('SOURCE_CHANGED', client.read('/a', 8))
  })
})

test('a # is refused: what follows it would not be asked for', async (t) => {
  const asked: string[] = []
  const client = await clientOf(t, (request, response) => {
    asked.push(request.url!)
    response.writeHead(200, { 'content-length': 0 }).end()
  })
  await client.stat('/a%23b?c')
  await failsWith('UNSUPPORTED', client.stat('/a#b'))
  await failsWith('UNSUPPORTED', client.remove('/a#b'))
  assert.deepEqual(asked, ['/a%23b?c'])
})

describe('a body', () => {
  test('that ends early', async (t) => {
    const client = await clientOf(t, (_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('0123', () => response.destroy())
    })
    await failsWith('CONNECTION_LOST', client.read('/a', 0).then(readAll))
  })

  test('that comes no further ends after a while, but not while nobody takes it', async (t) => {
    const { clock, pass } = movingClock()
    const large = Buffer.alloc(1024 * 1024)
    const endpoint = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-length': large.length + 1 }).write(large)
    })
    const client = await openHttp(endpoint, contextFor({ clock }))
    const stream = (await client.read('/a', 0)) as Transform
    await soon(() => assert.ok(stream.writableNeedDrain))
    await pass(BODY_IDLE_MS)
    assert.equal(stream.destroyed, false)
    let taken = 0
    stream.on('data', (chunk) => {
      taken += chunk.length
    })
    const failed = once(stream, 'error')
    await soon(() => assert.equal(taken, large.length))
    await pass(BODY_IDLE_MS)
    assert.equal((await failed)[0].code, 'TIMEOUT')
  })

  test('is ended by stopping, and by nobody wanting it', async (t) => {
    const stopping = new AbortController()
    let asked = 0
    let closed = 0
    const endpoint = await serve(t, (_request, response) => {
      asked++
      response
        .on('close', () => closed++)
        .writeHead(200)
        .write('0123')
    })
    const client = await openHttp(endpoint, contextFor({ signal: stopping.signal }))
    ;(await client.read('/a', 0)).destroy()
    await soon(() => assert.equal(closed, 1))
    const reading = client.read('/a', 0).then(readAll)
    const failed = failsWith('CANCELLED', reading)
    await soon(() => assert.equal(asked, 2))
    stopping.abort()
    await failed
    await soon(() => assert.equal(closed, 2))
  })
})

describe('looking at a file', () => {
  const whole: RequestListener = (request, response) => {
    const part = request.headers.range === undefined ? {} : { 'content-range': 'bytes 0-0/10' }
    response.writeHead(request.headers.range === undefined ? 200 : 206, part)
    response.end(request.headers.range === undefined ? CONTENT : '0')
  }
  const cases: [string, RequestListener, number | undefined][] = [
    ['where HEAD tells no length', whole, 10],
    ['of a server that knows no ranges either', (_request, response) => response.writeHead(200).end(CONTENT), 10],
    ['of no bytes', (_request, response) => response.writeHead(416, { 'content-range': 'bytes */0' }).end(), 0],
    ['that is not there', (_request, response) => response.writeHead(404).end(), undefined],
  ]
  for (const [name, listener, size] of cases) {
    for (const head of [403, 405, 501, 200]) {
      test(`${name}, HEAD answered with ${head}`, async (t) => {
        const client = await clientOf(t, (request, response) => {
          if (request.method === 'HEAD') response.writeHead(head).end()
          else listener(request, response)
        })
        assert.equal((await client.stat('/a'))?.size, size)
      })
    }
  }
})

describe('a file of which nobody says how long it is', () => {
  for (const head of [200, 405]) {
    test(`is read twice, to be counted and to be moved, HEAD answered with ${head}`, async (t) => {
      let read = 0
      const client = await clientOf(t, (request, response) => {
        if (request.method === 'HEAD') return void response.writeHead(head).end()
        read++
        response.writeHead(200).end(CONTENT)
      })
      const before = await client.stat('/a')
      assert.equal(before?.size, 10)
      assert.equal(String(await client.read('/a', 0).then(readAll)), String(CONTENT))
      assert.deepEqual(await client.stat('/a'), before)
      assert.equal(read, 2)
    })
  }

  test('is as long as what was read of it last, and of that content', async (t) => {
    let [content, tag] = [CONTENT, '"one"']
    const client = await clientOf(t, (request, response) => {
      response.writeHead(200, { etag: tag }).end(request.method === 'HEAD' ? undefined : content)
    })
    assert.equal((await client.stat('/a'))?.size, 10)
    content = CONTENT.subarray(4)
    assert.equal(String(await client.read('/a', 2).then(readAll)), '6789')
    assert.equal((await client.stat('/a'))?.size, 6)
    tag = '"two"'
    await failsWith('SOURCE_CHANGED', client.stat('/a'))
  })

  test('is not counted for ever', async (t) => {
    let timeIsUp: (() => void) | undefined
    const clock: Clock = {
      ...systemClock,
      after(ms, call) {
        if (ms === COUNTING_MS_MAX) timeIsUp = call
        // Bytes come all the time: nobody takes it for a line that died.
        return () => {}
      },
    }
    let closed = 0
    const endpoint = await serve(t, (request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(405).end()
      response.on('close', () => closed++).writeHead(200)
      const more = () => void (response.destroyed || response.write(CONTENT, () => setImmediate(more)))
      more()
    })
    const client = await openHttp(endpoint, contextFor({ clock }))
    const failed = failsWith('UNSUPPORTED', client.stat('/a'))
    await soon(() => assert.ok(timeIsUp))
    timeIsUp!()
    assert.match((await failed).message, /does not say how long it is, and it did not end within 15 minutes/)
    await soon(() => assert.equal(closed, 1))
  })
})

describe('what a server compresses though asked not to', () => {
  const cases: [string, string, string | undefined, boolean][] = [
    ['/a.csv', 'gzip', 'gzip', false],
    ['/a.csv', 'BR', 'br', false],
    ['/a.csv.gz', 'br', 'br', false],
    ['/a.csv.gz', 'gzip, gzip', 'gzip, gzip', false],
    ['/a?name=b.gz', 'gzip', 'gzip', false],
    ['/a.csv.gz', 'gzip', undefined, true],
    ['/a.TGZ?v=2', 'x-gzip', undefined, true],
    ['/a.csv', 'identity', undefined, true],
    ['/a.csv', 'aws-chunked', undefined, true],
    ['/a.csv', '', undefined, true],
  ]
  for (const head of [200, 405]) {
    for (const [path, encoding, told, isTaken] of cases) {
      test(`${path} with Content-Encoding “${encoding}”, HEAD answered with ${head}`, async (t) => {
        const client = await clientOf(t, (request, response) => {
          response.writeHead(request.method === 'HEAD' ? head : 200, { 'content-encoding': encoding, 'content-length': 10 })
          response.end(request.method === 'HEAD' ? undefined : CONTENT)
        })
        if (isTaken) {
          assert.equal((await client.stat(path))?.size, 10)
          assert.equal(String(await client.read(path, 0).then(readAll)), String(CONTENT))
          return
        }
        for (const call of [() => client.stat(path), () => client.read(path, 0)]) {
          const { message } = await failsWith('UNSUPPORTED', call())
          assert.ok(message.includes(`Content-Encoding: ${told}`), message)
        }
      })
    }
  }

  test('tells nothing of what was written', async (t) => {
    const client = await clientOf(t, (request, response) => {
      request.resume()
      if (request.method === 'PUT') request.on('end', () => response.writeHead(201).end())
      else response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 7 }).end()
    })
    const part = await client.write('/a', { ...options, size: 10 })
    await part.append(CONTENT)
    await part.commit(10, sha256(CONTENT))
  })
})

test('a url that is signed for GET alone', async (t) => {
  const client = await clientOf(t, (request, response) => {
    if (request.method === 'HEAD') return void response.writeHead(403).end()
    const part = request.headers.range === undefined ? {} : { 'content-range': 'bytes 0-0/10' }
    response.writeHead(request.headers.range === undefined ? 200 : 206, part)
    response.end(request.headers.range === undefined ? CONTENT : '0')
  })
  assert.equal((await client.stat('/a?signature=s'))?.size, 10)
  assert.equal(String(await client.read('/a?signature=s', 0).then(readAll)), String(CONTENT))
  assert.equal(await client.hash('/a?signature=s'), undefined)
})

test('what nobody may read, by HEAD nor by GET', async (t) => {
  const client = await clientOf(t, (_request, response) => response.writeHead(403).end())
  await failsWith('PERMISSION_DENIED', client.stat('/a'))
})

describe('redirects', () => {
  test('without end', async (t) => {
    let asked = 0
    const client = await clientOf(t, (_request, response) => {
      asked++
      response.writeHead(302, { location: `/${asked}` }).end()
    })
    const { message } = await failsWith('PROTOCOL_ERROR', client.stat('/a'))
    assert.match(message, /more than 5 redirects/)
    assert.equal(asked, REDIRECTS_MAX + 1)
  })

  test('elsewhere get the file, and no credentials', async (t) => {
    const asked: (string | undefined)[] = []
    const far = await serve(t, (request, response) => {
      asked.push(request.headers.authorization, request.headers.range)
      response.writeHead(206, { 'content-range': 'bytes 4-9/10' }).end(CONTENT.subarray(4))
    })
    const client = await clientOf(t, (request, response) => {
      asked.push(request.headers.authorization)
      response.writeHead(307, { location: request.url === '/a' ? '/b' : `http://127.0.0.1:${far.port}/c` }).end()
    })
    assert.equal(String(await readAll(await client.read('/a', 4))), '456789')
    assert.deepEqual(asked, [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`, undefined, 'bytes=4-'])
  })

  test('are not followed with what is written or deleted', async (t) => {
    const client = await clientOf(t, (request, response) => {
      request.resume()
      response.writeHead(307, { location: '/b' }).end()
    })
    const part = await client.write('/a', { ...options, size: 10 })
    await part.append(CONTENT)
    await failsWith('UNSUPPORTED', part.commit(10, sha256(CONTENT)))
    await failsWith('UNSUPPORTED', client.remove('/a'))
  })

  test('lead nowhere but to HTTP, and not from https to http', async (t) => {
    const own = await makeCertificate()
    let location = 'http://127.0.0.1/a'
    const server = createTlsServer({ cert: own.certificate, key: own.privateKey }, (_request, response) => {
      response.writeHead(302, { location }).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const client = await openHttp({ protocol: 'https', host: '127.0.0.1', port, ca: own.certificate }, contextFor({}))
    assert.match((await failsWith('UNSUPPORTED', client.stat('/a'))).message, /from https to http/)
    location = 'file:///etc/passwd'
    await failsWith('PROTOCOL_ERROR', client.stat('/a'))
    // The remote's own CA vouches for the remote, and for nobody else.
    location = `https://localhost:${port}/b`
    await failsWith('CERTIFICATE_INVALID', client.stat('/a'))
  })
})

describe('writing', () => {
  interface Got {
    text: string
    /** Of a body that ended as its length says, or was cut. */
    end?: 'whole' | 'cut'
  }

  /** A server that takes each PUT, and answers everything else by `after`. */
  function taking(got: Got[], status = 201, after: RequestListener = (_request, response) => response.writeHead(404).end()) {
    const listener: RequestListener = (request, response) => {
      if (request.method !== 'PUT') {
        after(request, response)
        return
      }
      const one: Got = { text: '' }
      got.push(one)
      request.on('data', (chunk) => {
        one.text += chunk
      })
      request.on('error', () => {
        one.end = 'cut'
      })
      request.on('end', () => {
        one.end = 'whole'
        response.writeHead(status).end()
      })
    }
    return listener
  }

  for (const size of [10, null]) {
    const length = size === null ? 'no known length' : 'its length'
    test(`with ${length}: what is given up never ends`, async (t) => {
      const got: Got[] = []
      const client = await clientOf(t, taking(got))
      const part = await client.write('/a', { ...options, size })
      await part.append(CONTENT.subarray(0, 4))
      await part.append(CONTENT.subarray(4))
      await soon(() => assert.deepEqual(got, [{ text: '0123' }]))
      await part.discard()
      await soon(() => assert.equal(got[0]!.end, 'cut'))
      const other = await client.write('/a', { ...options, size })
      await other.append(CONTENT.subarray(0, 4))
      await other.append(CONTENT.subarray(4))
      await other.commit(10, sha256(CONTENT))
      assert.deepEqual(got[1], { text: String(CONTENT), end: 'whole' })
    })
  }

  test('a size that is not the promised one', async (t) => {
    const got: Got[] = []
    const client = await clientOf(t, taking(got))
    const part = await client.write('/a', { ...options, size: 11 })
    await part.append(CONTENT)
    await failsWith('CHECKSUM_MISMATCH', part.commit(11, sha256(CONTENT)))
    await part.discard()
    assert.deepEqual(got, [])
  })

  const digest = (content: Uint8Array) => `sha-256=:${createHash('sha256').update(content).digest('base64')}:`
  const stored: [string, Record<string, string>, TransferFailureCode | undefined][] = [
    ['what was sent', { 'content-length': '10', 'repr-digest': `sha-512=:AAAA:, ${digest(CONTENT)}` }, undefined],
    ['another size', { 'content-length': '9' }, 'CHECKSUM_MISMATCH'],
    ['another content', { 'content-length': '10', 'content-digest': digest(Buffer.from('other')) }, 'CHECKSUM_MISMATCH'],
    ['nothing about it', {}, undefined],
  ]
  for (const [name, headers, code] of stored) {
    test(`the server says that it stored ${name}`, async (t) => {
      const client = await clientOf(
        t,
        taking([], 200, (_request, response) => response.writeHead(200, headers).end()),
      )
      const part = await client.write('/a', { ...options, size: 10 })
      await part.append(CONTENT)
      const committing = part.commit(10, sha256(CONTENT))
      if (code === undefined) await committing
      else await failsWith(code, committing)
    })
  }

  test('a refusal ends a writing that waits', async (t) => {
    const client = await clientOf(t, (request, response) => {
      if (request.method === 'PUT') response.writeHead(413).end()
      else response.writeHead(404).end()
    })
    const part = await client.write('/a', { ...options, size: 1024 ** 3 })
    const chunk = Buffer.alloc(1024 * 1024)
    await failsWith(
      'TOO_LARGE',
      (async () => {
        for (;;) await part.append(chunk)
      })(),
    )
    await part.discard()
  })

  test('a success before all was sent is none', async (t) => {
    const client = await clientOf(t, (_request, response) => response.writeHead(200).end())
    const part = await client.write('/a', { ...options, size: 1024 ** 3 })
    const chunk = Buffer.alloc(1024 * 1024)
    await failsWith(
      'PROTOCOL_ERROR',
      (async () => {
        for (;;) await part.append(chunk)
      })(),
    )
    await part.discard()
  })
})

test('what HTTP has no word for', async (t) => {
  const client = await clientOf(t, (_request, response) => response.writeHead(500).end())
  assert.throws(() => client.list('/'), { code: 'UNSUPPORTED' })
  await failsWith('UNSUPPORTED', client.move('/a', '/b'))
})

test('removing what is not there is fine, what may not be removed is told', async (t) => {
  let status = 404
  const client = await clientOf(t, (_request, response) => response.writeHead(status).end())
  await client.remove('/a')
  status = 403
  await failsWith('PERMISSION_DENIED', client.remove('/a'))
})

test('the hash of a file, where the server tells it', async (t) => {
  const headers: Record<string, string> = { 'repr-digest': `sha-256=:${createHash('sha256').update(CONTENT).digest('base64')}:` }
  const client = await clientOf(t, (request, response) => {
    assert.equal(request.headers['want-repr-digest'], 'sha-256=10')
    response.writeHead(200, headers).end()
  })
  assert.equal(await client.hash('/a'), sha256(CONTENT))
  headers['repr-digest'] = 'sha-256=:short:'
  assert.equal(await client.hash('/a'), undefined)
})

describe('the hash of a file that HEAD does not tell', () => {
  const digest = (content: Uint8Array) => `sha-256=:${createHash('sha256').update(content).digest('base64')}:`
  const [whole, part] = [digest(CONTENT), digest(CONTENT.subarray(4))]
  const RANGE = { 'content-range': 'bytes 4-9/10' }
  const cases: [string, number, number, Record<string, string>, boolean][] = [
    ['the whole brings it', 200, 200, { 'repr-digest': whole }, true],
    ['the whole brings it by another name', 200, 200, { 'content-digest': whole }, true],
    ['a part brings that of the whole', 200, 206, { ...RANGE, 'repr-digest': whole }, true],
    ['a part brings its own', 200, 206, { ...RANGE, 'content-digest': part }, false],
    ['nothing brings it', 200, 200, {}, false],
    ['there is no HEAD', 405, 200, { 'repr-digest': whole }, true],
    ['there is no HEAD, and a part brings it', 405, 206, { ...RANGE, 'repr-digest': whole }, true],
  ]
  for (const [name, head, status, headers, isTold] of cases) {
    test(name, async (t) => {
      const client = await clientOf(t, (request, response) => {
        if (request.method === 'HEAD') return void response.writeHead(head, { 'content-length': 10 }).end()
        assert.equal(request.headers['want-repr-digest'], 'sha-256=10')
        response.writeHead(status, headers).end(status === 206 ? CONTENT.subarray(4) : CONTENT)
      })
      await client.read('/a', status === 206 ? 4 : 0).then(readAll)
      assert.equal(await client.hash('/a'), isTold ? sha256(CONTENT) : undefined)
      assert.equal(await client.hash('/b'), undefined)
    })
  }

  test('looking, where there is no HEAD, brings it', async (t) => {
    const client = await clientOf(t, (request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(405).end()
      response.writeHead(206, { 'content-range': 'bytes 0-0/10', 'repr-digest': whole }).end('0')
    })
    assert.equal((await client.stat('/a'))?.size, 10)
    assert.equal(await client.hash('/a'), sha256(CONTENT))
  })
})

test('no secret is in a message, and the query of a path is none of its business', async (t) => {
  const endpoint = await serve(t, (_request, response) => response.writeHead(401).end())
  for (const one of [endpoint, { ...endpoint, port: 1 }, { protocol: 'http', host: '127.0.0.1', port: endpoint.port } as const]) {
    const client = await openHttp(one, contextFor({}))
    const message = await client.stat('/a?signature=hush').then(
      () => assert.fail('it should have failed'),
      (error: Error) => error.message,
    )
    assert.match(message, /“\/a\?…”/)
    assert.doesNotMatch(message, new RegExp(`hush|${TOKEN}`))
    await client.close()
  }
})
