import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { GetObjectCommand, ListPartsCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3'
import { movingClock } from '../../src/base/testing.ts'
import type { S3Endpoint } from '../../src/wire/agent/work.ts'
import { eventually } from '../../test/eventually.ts'
import type { Peer } from '../../test/peers/peer.ts'
import { kind } from '../../test/peers/s3.ts'
import type { Client } from '../clients/client.ts'
import { idleConnections } from '../clients/idle.ts'
import { openClient } from '../clients/open.ts'
import { Journal } from './journal.ts'
import { moveFile } from './move.ts'
import { bytesOf, endOf, ground, localWork, MIB, sha256Of, workBench } from './testing.ts'

// Uploads in parts, which only their ticket finds again.

let peer: Peer
before(async () => {
  peer = await kind.start()
})
after(async () => {
  idleConnections.closeAll()
  await peer.stop()
})

const BYTES = 20 * MIB
const PARTS_BYTES = 16 * MIB

/** A push that broke in the middle of the third part. */
async function brokenPush(t: TestContext) {
  const { folder, source, bytes } = await ground(t, bytesOf(BYTES))
  const path = `${peer.folder}/${t.name.replaceAll(/\W+/g, '-')}`
  const destination = { endpoint: peer.endpoint, path }
  const work = localWork(source, '', { direction: 'push', destination })
  const broken = workBench(folder)
  peer.cutAfter!(18 * MIB)
  await moveFile(work, broken.context)
  assert.equal(endOf(broken.reports).errorCode, 'CONNECTION_LOST')
  assert.deepEqual(await half(path), [1])
  const { ticket } = (await new Journal(join(folder, '.agent')).read(work.transferId))!
  return { folder, source, bytes, path, work, upload: uploadOf(path, ticket!) }
}

/** Uploads under way to a path. */
async function half(path: string): Promise<number[]> {
  const name = `${path.slice(path.lastIndexOf('/') + 1)}.part`
  const count = (await peer.names(peer.folder)).filter((one) => one.endsWith(name)).length
  return count === 0 ? [] : [count]
}

function uploadOf(path: string, UploadId: string) {
  const { bucket, accessKeyId, secretAccessKey, endpoint, region, ca } = peer.endpoint as S3Endpoint
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({
    credentials,
    expectContinueHeader: false,
    endpoint: endpoint!,
    region,
    forcePathStyle: true,
    requestHandler: { httpsAgent: { ca } },
  })
  return { client, object: { Bucket: bucket, Key: path.slice(1), UploadId } }
}

async function finish(folder: string, work: Parameters<typeof moveFile>[0]) {
  const bench = workBench(folder)
  await moveFile(work, bench.context)
  const end = endOf(bench.reports)
  assert.equal(end.state, 'completed', end.error ?? '')
  return end
}

test('the parts that are there are not sent again', async (t) => {
  const { folder, bytes, path, work } = await brokenPush(t)
  const end = await finish(folder, work)
  assert.deepEqual([end.bytesTransferred, end.sha256], [BYTES - PARTS_BYTES, sha256Of(bytes)])
  assert.equal(sha256Of((await peer.get(path))!), sha256Of(bytes))
  assert.deepEqual(await half(path), [])
})

test('a part that is another one is not trusted, and the upload goes', async (t) => {
  const { folder, bytes, path, work, upload } = await brokenPush(t)
  const { Parts } = await upload.client.send(new ListPartsCommand(upload.object))
  assert.equal(Parts?.length, 2)
  const spoiled = { ...upload.object, PartNumber: 2, Body: bytesOf(8 * MIB, 99), ChecksumAlgorithm: 'SHA256' } as const
  await upload.client.send(new UploadPartCommand(spoiled))
  const end = await finish(folder, work)
  assert.equal(end.bytesTransferred, BYTES)
  assert.equal(sha256Of((await peer.get(path))!), sha256Of(bytes))
  assert.deepEqual(await half(path), [])
})

test('an upload of a source that changed since goes', async (t) => {
  const { folder, source, path, work } = await brokenPush(t)
  await utimes(source, 5, 5)
  assert.equal((await finish(folder, work)).bytesTransferred, BYTES)
  assert.deepEqual(await half(path), [])
  const { client, object } = uploadOf(path, '')
  const { Metadata } = await client.send(new GetObjectCommand({ Bucket: object.Bucket, Key: object.Key }))
  assert.equal(Metadata?.mtime, '5')
})

test('an upload of a transfer that is cancelled goes', async (t) => {
  const { folder, path, work } = await brokenPush(t)
  const bench = workBench(folder)
  bench.stop('cancelled')
  await moveFile(work, bench.context)
  assert.deepEqual(bench.said(), ['cancelled'])
  assert.deepEqual(await half(path), [])
  assert.equal(await peer.get(path), undefined)
})

test('the ticket is in the journal as soon as there is one: a kill leaves no upload that nobody finds', async (t) => {
  const { folder, source } = await ground(t, bytesOf(BYTES))
  const destination = { endpoint: peer.endpoint, path: `${peer.folder}/killed` }
  const work = localWork(source, '', { direction: 'push', destination })
  // While no time passes nothing but a new ticket is a reason to write the journal.
  const bench = workBench(folder, { clock: movingClock().clock, open: stuckAfter(12 * MIB) })
  const moving = moveFile(work, bench.context)
  const journal = new Journal(join(folder, '.agent'))
  await eventually(async () => assert.ok((await journal.read(work.transferId))?.ticket !== undefined))
  assert.deepEqual(await half(destination.path), [1])
  bench.stop('cancelled')
  await moving
  assert.deepEqual(await half(destination.path), [])
})

/** The destination takes so many bytes, and then no more for ever. */
function stuckAfter(bytes: number): typeof openClient {
  return async (endpoint, context) => {
    const client = await openClient(endpoint, context)
    const write = async (...parameters: Parameters<Client['write']>) => {
      const part = await client.write(...parameters)
      const append = part.append.bind(part)
      let taken = 0
      return Object.assign(part, {
        async append(chunk: Uint8Array) {
          taken += chunk.length
          await (taken > bytes ? new Promise<never>(() => {}) : append(chunk))
        },
      })
    }
    return { ...client, write }
  }
}
