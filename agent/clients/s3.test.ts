import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { GIB, MIB } from '../../src/base/units.ts'
import type { TransferFailureCode } from '../../src/wire/agent/failure.ts'
import type { S3Endpoint } from '../../src/wire/agent/work.ts'
import type { Peer } from '../../test/peers/peer.ts'
import { kind } from '../../test/peers/s3.ts'
import type { Client } from './client.ts'
import { idleConnections } from './idle.ts'
import { EMPTY_PAGES_MAX, openS3 } from './s3.ts'
import { s3Failure } from './s3-failure.ts'
import { partBytesFor } from './s3-write.ts'
import { contextFor, failsWith, readAll, sha256 } from './testing.ts'

afterEach(() => idleConnections.closeAll())

const options = { id: 'trf_1', resumes: false, size: null, modifiedAt: 1_700_000_000_250 }

describe('what an error means', () => {
  const cases: [string, number | undefined, TransferFailureCode][] = [
    ['InvalidAccessKeyId', 403, 'AUTH_FAILED'],
    ['SignatureDoesNotMatch', 403, 'AUTH_FAILED'],
    ['ExpiredToken', 400, 'AUTH_FAILED'],
    ['AccessDenied', 403, 'PERMISSION_DENIED'],
    ['Unknown', 403, 'PERMISSION_DENIED'],
    ['NoSuchBucket', 404, 'NOT_FOUND'],
    ['NoSuchUpload', 404, 'PROTOCOL_ERROR'],
    ['PreconditionFailed', 412, 'SOURCE_CHANGED'],
    ['EntityTooLarge', 400, 'TOO_LARGE'],
    ['PermanentRedirect', 301, 'UNSUPPORTED'],
    ['SlowDown', 503, 'PROTOCOL_ERROR'],
    ['Unheard', 500, 'PROTOCOL_ERROR'],
    ['Unheard', 503, 'CONNECTION_LOST'],
    ['XMinioStorageFull', 507, 'DISK_FULL'],
    ['XMinioAdminBucketQuotaExceeded', 400, 'QUOTA_EXCEEDED'],
    ['TimeoutError', undefined, 'TIMEOUT'],
    ['SyntaxError', 200, 'PROTOCOL_ERROR'],
  ]
  for (const [name, status, code] of cases) {
    test(`${name}, status ${status}`, () => {
      const error = Object.assign(new Error('the key is hush'), { name, $metadata: { httpStatusCode: status } })
      const failure = s3Failure(error, 'Reading “/a”')
      assert.equal(failure.code, code)
      assert.doesNotMatch(failure.message, /hush/)
    })
  }
  test('of the line', () => {
    const reset = Object.assign(new Error(), { name: 'TimeoutError', code: 'ECONNRESET' })
    assert.equal(s3Failure(reset, 'x').code, 'CONNECTION_LOST')
    assert.equal(s3Failure(Object.assign(new Error(), { code: 'CERT_HAS_EXPIRED' }), 'x').code, 'CERTIFICATE_INVALID')
    assert.equal(s3Failure(new Error(), 'x', AbortSignal.abort()).code, 'CANCELLED')
  })
})

describe('parts', () => {
  const cases: [number | null, number][] = [
    [0, 8],
    [80_000 * MIB, 8],
    [80_000 * MIB + 1, 9],
    [5 * 1024 * GIB, 525],
    [null, 64],
  ]
  for (const [size, mib] of cases) test(`of ${size} bytes have ${mib} MiB`, () => assert.equal(partBytesFor(size), mib * MIB))

  test('10,000 of them suffice', () => {
    const sizes = fc.integer({ min: 0, max: 5 * 1024 * GIB })
    fc.assert(fc.property(sizes, (size) => Math.ceil(size / partBytesFor(size)) <= 10_000))
  })
})

describe('over fauxqs', () => {
  let peer: Peer
  let client: Client
  const at = (name: string) => `${peer.folder}/${name}`
  before(async () => {
    peer = await kind.start()
    client = await openS3(peer.endpoint as S3Endpoint, contextFor({}))
  })
  after(async () => {
    await client.close()
    await peer.stop()
  })

  async function write(path: string, content: Uint8Array, size: number | null = content.length): Promise<void> {
    const part = await client.write(path, { ...options, size })
    for (let from = 0; from < content.length; from += 300_000) await part.append(content.subarray(from, from + 300_000))
    await part.commit(content.length, sha256(content))
  }

  for (const bytes of [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB]) {
    test(`${bytes} bytes there and back, with their time`, async () => {
      const content = Buffer.alloc(bytes, 'some content')
      await write(at(`round-${bytes}`), content)
      const { kind: found, size, modifiedAt, contentFrom } = (await client.stat(at(`round-${bytes}`)))!
      assert.deepEqual([found, size, contentFrom], ['file', bytes, options.modifiedAt])
      assert.ok(Math.abs(modifiedAt! - Date.now()) < 60_000)
      assert.ok(content.equals(await readAll(await client.read(at(`round-${bytes}`), 0))))
      const offset = Math.floor(bytes / 2)
      assert.ok(content.subarray(offset).equals(await readAll(await client.read(at(`round-${bytes}`), offset))))
      // A server keeps one of the whole where it came by one request.
      assert.equal(await client.hash(at(`round-${bytes}`)), bytes <= 8 * MIB ? sha256(content) : undefined)
    })
  }

  test('a file whose size nobody knows', async () => {
    const content = Buffer.alloc(65 * MIB, 'some content')
    const part = await client.write(at('unknown'), options)
    // fauxqs takes no such part, which is as good a proof that one was sent.
    await failsWith('TOO_LARGE', part.append(content))
    await part.discard()
    assert.deepEqual(
      (await peer.names(peer.folder)).filter((name) => name.includes('unknown')),
      [],
    )
  })

  test('a size or hash that is not the promised one leaves the old object', async () => {
    await peer.put(at('kept'), Buffer.from('old'))
    for (const [size, hash] of [
      [4, sha256(Buffer.from('new'))],
      [3, sha256(Buffer.from('other'))],
    ] as const) {
      const part = await client.write(at('kept'), { ...options, size })
      await part.append(Buffer.from('new'))
      await failsWith('CHECKSUM_MISMATCH', part.commit(size, hash))
      await part.discard()
    }
    assert.equal(String(await peer.get(at('kept'))), 'old')
  })

  test('a ticket that finds nothing any more begins anew', async () => {
    const part = await client.write(at('anew'), { ...options, resumes: true, ticket: 'gone' })
    assert.deepEqual([part.bytes, part.ticket], [0, undefined])
    await part.discard()
  })

  test('listing tells names, kinds, sizes and the same times as looking', async () => {
    await peer.put(at('listing/ä b "c"&d.csv'), Buffer.from('12345'))
    await peer.put(at('listing/below/deep'), Buffer.from(''))
    await peer.put(at('listing/'), Buffer.from(''))
    const entries = await Array.fromAsync(client.list(at('listing')))
    assert.equal(entries.length, 2)
    const { name, ...file } = entries.find(({ size }) => size === 5)!
    assert.equal(name, 'ä b "c"&d.csv')
    assert.deepEqual(file, await client.stat(at('listing/ä b "c"&d.csv')))
    assert.deepEqual(
      entries.filter(({ kind }) => kind === 'folder').map(({ name }) => name),
      ['below'],
    )
    assert.deepEqual(
      (await Array.fromAsync(client.list('/'))).map(({ name }) => name),
      [peer.folder.slice(1)],
    )
  })

  test('listing goes on over pages', async () => {
    for (let index = 0; index < 1001; index++) await peer.put(at(`pages/${index}`), Buffer.from(''))
    const names = new Set((await Array.fromAsync(client.list(at('pages')))).map(({ name }) => name))
    assert.equal(names.size, 1001)
  })

  test('nothing at a path, and no bucket', async () => {
    assert.equal(await client.stat(at('none')), undefined)
    await client.remove(at('none'))
    await failsWith('NOT_FOUND', client.read(at('none'), 0))
    await failsWith('NOT_FOUND', client.move(at('none'), at('other')))
    await failsWith('NOT_FOUND', Array.fromAsync(client.list(at('none'))))
    await failsWith('NOT_FOUND', client.stat('/'))
    const other = await openS3({ ...(peer.endpoint as S3Endpoint), bucket: 'no-such-bucket' }, contextFor({}))
    await failsWith('NOT_FOUND', other.stat('/a'))
    await other.close()
  })

  test('reading from behind the end gives nothing, and of another object by now fails', async () => {
    await peer.put(at('changing'), Buffer.from('12345'))
    await client.stat(at('changing'))
    assert.equal((await readAll(await client.read(at('changing'), 5))).length, 0)
    await peer.put(at('changing'), Buffer.from('54321'))
    await failsWith('SOURCE_CHANGED', client.read(at('changing'), 0))
    await failsWith('SOURCE_CHANGED', client.read(at('changing'), 2))
  })

  test('an object gets another key, and never that of another one', async () => {
    await write(at('from ä+%'), Buffer.from('moved'))
    await peer.put(at('to/there'), Buffer.from('other'))
    assert.equal(await client.move(at('from ä+%'), at('to/there')), false)
    assert.equal(await client.move(at('from ä+%'), at('from ä+%')), false)
    assert.equal(String(await peer.get(at('to/there'))), 'other')
    assert.equal(String(await peer.get(at('from ä+%'))), 'moved')
    assert.equal(await client.move(at('from ä+%'), at('to/free')), true)
    assert.equal(String(await peer.get(at('to/free'))), 'moved')
    assert.equal(await peer.get(at('from ä+%')), undefined)
    assert.equal((await client.stat(at('to/free')))?.contentFrom, options.modifiedAt)
  })

  test('a move that stopped between the copy and the removal is gone on with', async () => {
    for (const name of ['halfway', 'halfway/copy']) await write(at(name), Buffer.from('halfway'))
    assert.equal(await client.move(at('halfway'), at('halfway/copy')), true)
    assert.equal(await peer.get(at('halfway')), undefined)
    assert.equal(String(await peer.get(at('halfway/copy'))), 'halfway')
  })

  test('stopping ends what is under way', async () => {
    await peer.put(at('long'), Buffer.alloc(16 * MIB))
    const stopping = new AbortController()
    const one = await openS3(peer.endpoint as S3Endpoint, contextFor({ signal: stopping.signal }))
    const stream = await one.read(at('long'), 0)
    const failed = failsWith('CANCELLED', readAll(stream))
    stopping.abort()
    await failed
    await failsWith('CANCELLED', one.stat(at('long')))
    await one.close()
  })
})

describe('servers that lie', () => {
  async function clientOf(t: TestContext, listener: RequestListener): Promise<Client> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const keys = { accessKeyId: 'AKIAHUSH', secretAccessKey: 'hush-hush' }
    return await openS3({ protocol: 's3', endpoint, region: 'x', bucket: 'b', ...keys, pathStyle: true }, contextFor({}))
  }
  const says = (status: number, headers: Record<string, string>, body = ''): RequestListener => {
    return (request, response) => {
      request.resume()
      response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body)
    }
  }

  const reads: [string, RequestListener, TransferFailureCode][] = [
    ['another part than was asked for', says(206, { 'content-range': 'bytes 0-2/10' }, '012'), 'PROTOCOL_ERROR'],
    ['the whole instead of a part', says(200, {}, '0123456789'), 'PROTOCOL_ERROR'],
    ['an error that is none', says(500, {}, '<html>'), 'PROTOCOL_ERROR'],
    ['to come later', says(503, {}, '<Error><Code>SlowDown</Code></Error>'), 'PROTOCOL_ERROR'],
    [
      'the request with its key',
      says(403, {}, '<Error><Code>SignatureDoesNotMatch</Code><Message>AKIAHUSH hush-hush</Message></Error>'),
      'AUTH_FAILED',
    ],
  ]
  for (const [name, listener, code] of reads) {
    test(`reading: ${name}`, async (t) => {
      const client = await clientOf(t, listener)
      const { message } = await failsWith(code, client.read('/a', 4))
      assert.doesNotMatch(message, /hush/i)
    })
  }

  test('reading: a body that ends early', async (t) => {
    const client = await clientOf(t, (_request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('0123', () => response.destroy())
    })
    await failsWith('CONNECTION_LOST', client.read('/a', 0).then(readAll))
  })

  test('listing: always one page more', async (t) => {
    let pages = 0
    const client = await clientOf(t, (_request, response) => {
      pages++
      const token = `<IsTruncated>true</IsTruncated><NextContinuationToken>${pages}</NextContinuationToken>`
      response.end(`<ListBucketResult>${token}</ListBucketResult>`)
    })
    await failsWith('PROTOCOL_ERROR', Array.fromAsync(client.list('/a')))
    assert.equal(pages, EMPTY_PAGES_MAX + 1)
  })

  test('writing: stored, and the size is another one', async (t) => {
    const client = await clientOf(t, says(200, { 'content-length': '7' }, '<a></a>'))
    const part = await client.write('/a', { ...options, size: 3 })
    await part.append(Buffer.from('new'))
    await failsWith('CHECKSUM_MISMATCH', part.commit(3, sha256(Buffer.from('new'))))
  })

  test('writing: whoever may write need not be let read', async (t) => {
    const client = await clientOf(t, (request, response) => {
      request.resume()
      const denied = '<Error><Code>AccessDenied</Code></Error>'
      if (request.method === 'PUT') response.writeHead(200).end()
      else response.writeHead(403).end(request.method === 'HEAD' ? undefined : denied)
    })
    const part = await client.write('/a', { ...options, size: 3 })
    await part.append(Buffer.from('new'))
    await part.commit(3, sha256(Buffer.from('new')))
  })
})
