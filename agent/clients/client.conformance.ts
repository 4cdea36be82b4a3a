import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { MIB } from '../../src/base/units.ts'
import type { Endpoint } from '../../src/wire/agent/work.ts'
import type { Peer, PeerKind } from '../../test/peers/peer.ts'
import { type Client, partialName } from './client.ts'
import { idleConnections } from './idle.ts'
import { openClient } from './open.ts'
import { partPath } from './rename.ts'
import { contextFor, failsWith, readAll, sha256 } from './testing.ts'

/** What the client of a server with folders, names and times promises, whatever the protocol. */
export function testClient(kind: PeerKind): void {
  describe(kind.name, { skip: kind.missing ?? false }, () => {
    let peer: Peer
    let client: Client
    const at = (name: string) => `${peer.folder}/${name}`
    const open = (endpoint: Endpoint = peer.endpoint, signal = new AbortController().signal) =>
      openClient(endpoint, contextFor({ signal }))

    before(async () => {
      peer = await kind.start()
      client = await open()
    })
    after(async () => {
      await client.close()
      idleConnections.closeAll()
      await peer.stop()
    })

    const options = { id: 'trf_1', resumes: false, size: null, modifiedAt: 1_700_000_000_000 }

    for (const bytes of [0, 1, 4096, 300_000, 9 * MIB + 1]) {
      test(`${bytes} bytes there and back`, async () => {
        const content = randomBytes(bytes)
        const name = `round-${bytes}`
        const part = await client.write(at(name), options)
        for (let from = 0; from < bytes; from += 100_000) await part.append(content.subarray(from, from + 100_000))
        await part.commit(bytes, sha256(content))
        const { kind: found, size, modifiedAt } = (await client.stat(at(name)))!
        assert.deepEqual([found, size, modifiedAt], ['file', bytes, options.modifiedAt])
        assert.ok(content.equals((await peer.get(at(name)))!))
        assert.ok(content.equals(await readAll(await client.read(at(name), 0))))
        const offset = Math.floor(bytes / 2)
        assert.ok(content.subarray(offset).equals(await readAll(await client.read(at(name), offset))))
        assert.equal((await peer.names(peer.folder)).includes(partialName(name, options.id)), false)
      })
    }

    test('reading from behind the end gives nothing', async () => {
      await peer.put(at('short'), randomBytes(10))
      assert.equal((await readAll(await client.read(at('short'), 50))).length, 0)
    })

    test('nothing at a path', async () => {
      assert.equal(await client.stat(at('none')), undefined)
      await client.remove(at('none'))
      await failsWith('NOT_FOUND', client.read(at('none'), 0))
      await failsWith('NOT_FOUND', client.move(at('none'), at('other')))
      await failsWith('NOT_FOUND', Array.fromAsync(client.list(at('none'))))
    })

    test('folders above a file are made, and what is there is replaced', async () => {
      const path = at('new/folders/below/a.txt')
      for (const text of ['first', 'second']) {
        const part = await client.write(path, options)
        await part.append(Buffer.from(text))
        assert.notEqual(String(await peer.get(path)), text)
        await part.commit(text.length, sha256(Buffer.from(text)))
        assert.equal(String(await peer.get(path)), text)
      }
      assert.deepEqual(await peer.names(at('new/folders/below')), ['a.txt'])
    })

    test('a size that is not the promised one leaves the old file', async () => {
      await peer.put(at('kept'), Buffer.from('old'))
      const part = await client.write(at('kept'), options)
      await part.append(Buffer.from('new'))
      await failsWith('CHECKSUM_MISMATCH', part.commit(4, sha256(Buffer.from('new'))))
      await part.discard()
      assert.equal(String(await peer.get(at('kept'))), 'old')
      assert.equal((await peer.names(peer.folder)).includes(partialName('kept', options.id)), false)
    })

    test('what was suspended is gone on with, and its hash is told', async () => {
      const content = randomBytes(MIB)
      const first = await client.write(at('resumed'), options)
      await first.append(content.subarray(0, 600_000))
      await first.suspend()
      const second = await client.write(at('resumed'), { ...options, resumes: true })
      assert.ok(second.bytes > 0 && second.bytes <= 600_000, `${second.bytes} bytes are there`)
      assert.equal(await second.hash(), sha256(content.subarray(0, second.bytes)))
      await second.append(content.subarray(second.bytes))
      await second.commit(content.length, sha256(content))
      assert.ok(content.equals((await peer.get(at('resumed')))!))
    })

    // A server that names a file only once it is closed has nothing to remove before.
    test('a part that somebody removes is missed, and its beginning does not come back as zeros', async () => {
      const content = randomBytes(MIB)
      const path = at('removed')
      const write = async () => {
        const part = await client.write(path, options)
        await part.append(content.subarray(0, 600_000))
        return part
      }
      const isMissedOrWhole = async (committing: Promise<void>, whole: Buffer) => {
        const there = committing.then(() => peer.get(path))
        await there.then(
          (found) => assert.ok(whole.equals(found!)),
          () => failsWith('CHECKSUM_MISMATCH', there),
        )
      }
      const first = await write()
      await client.remove(partPath(path, options.id))
      const beginning = content.subarray(0, 600_000)
      await isMissedOrWhole(first.commit(beginning.length, sha256(beginning)), beginning)
      await first.discard()
      await client.remove(path)
      await (await write()).suspend()
      const second = await client.write(path, { ...options, resumes: true })
      await second.hash()
      await client.remove(partPath(path, options.id))
      const writingOn = async () => {
        await second.append(content.subarray(second.bytes))
        await second.commit(content.length, sha256(content))
      }
      await isMissedOrWhole(writingOn(), content)
      await second.discard()
      assert.ok(!(await peer.names(peer.folder)).includes(partialName('removed', options.id)))
    })

    test('what was discarded leaves nothing', async () => {
      const part = await client.write(at('discarded'), options)
      await part.append(randomBytes(100_000))
      await part.discard()
      assert.equal((await peer.names(peer.folder)).filter((name) => name.includes('discarded')).length, 0)
    })

    test('listing tells names, kinds, sizes and times', async () => {
      await peer.put(at('listing/ä b "c".csv'), Buffer.from('12345'))
      await peer.put(at('listing/below/deep'), Buffer.from(''))
      for (let index = 0; index < 250; index++) await peer.put(at(`listing/many-${index}`), Buffer.from(''))
      const entries = await Array.fromAsync(client.list(at('listing')))
      assert.equal(entries.length, 252)
      const file = entries.find(({ name }) => name === 'ä b "c".csv')
      assert.equal(file?.kind, 'file')
      assert.equal(file?.size, 5)
      assert.ok(Math.abs(file!.modifiedAt! - Date.now()) < 60_000)
      assert.equal(entries.find(({ name }) => name === 'below')?.kind, 'folder')
    })

    test('a file gets another name, folders made as needed, and never that of another file', async () => {
      await peer.put(at('moved-from'), Buffer.from('moved'))
      await peer.put(at('archive/there'), Buffer.from('old'))
      for (const taken of ['archive/there', 'archive', 'moved-from'])
        assert.equal(await client.move(at('moved-from'), at(taken)), false, taken)
      assert.equal(String(await peer.get(at('archive/there'))), 'old')
      assert.equal(String(await peer.get(at('moved-from'))), 'moved')
      assert.equal(await client.move(at('moved-from'), at('made/now/there')), true)
      assert.equal(await peer.get(at('moved-from')), undefined)
      assert.equal(String(await peer.get(at('made/now/there'))), 'moved')
      await client.remove(at('made/now/there'))
      assert.equal(await peer.get(at('made/now/there')), undefined)
    })

    test('a stopped reading ends, and the connection serves on', async () => {
      await peer.put(at('long'), randomBytes(8 * MIB))
      const stream = await client.read(at('long'), 0)
      for await (const _chunk of stream) break
      assert.equal(stream.destroyed, true)
      assert.equal((await client.stat(at('long')))?.size, 8 * MIB)
    })

    test('stopping ends what is under way', async () => {
      const stopping = new AbortController()
      const one = await open(peer.endpoint, stopping.signal)
      await peer.put(at('long'), randomBytes(16 * MIB))
      const stream = await one.read(at('long'), 0)
      const failed = failsWith('CANCELLED', readAll(stream))
      stopping.abort()
      await failed
      await failsWith('CANCELLED', one.stat(at('long')))
      await one.close()
      await failsWith('CANCELLED', open(peer.endpoint, stopping.signal))
    })

    test('wrong credentials are told as such', async () => {
      await failsWith('AUTH_FAILED', open(peer.wrongPassword!))
    })

    test('who is not the one that is pinned is told, with what was shown', async (t) => {
      if (peer.wrongIdentity === undefined) return t.skip('it shows nothing that could be pinned')
      const { message } = await failsWith('HOST_KEY_MISMATCH', open(peer.wrongIdentity))
      assert.match(message, /SHA-?256/)
    })

    test('a line that breaks in the middle is told, reading and writing', async () => {
      await peer.put(at('cut'), randomBytes(8 * MIB))
      const reader = await open()
      peer.cutAfter!(2 * MIB)
      await failsWith('CONNECTION_LOST', reader.read(at('cut'), 0).then(readAll))
      await reader.close()
      const writer = await open()
      const part = await writer.write(at('cut-writing'), options)
      peer.cutAfter!(2 * MIB)
      const chunk = randomBytes(MIB)
      await failsWith(
        'CONNECTION_LOST',
        (async () => {
          for (let count = 0; count < 16; count++) await part.append(chunk)
          await part.commit(16 * MIB, '')
        })(),
      )
      await part.suspend()
      await writer.close()
      client = await open()
    })

    test('a full disk is told as one', async (t) => {
      if (peer.fullFolder === undefined) return t.skip('no small disk to be had here')
      const path = `${peer.fullFolder.folder}/large`
      const part = await client.write(path, options)
      const chunk = randomBytes(MIB)
      await failsWith(
        'DISK_FULL',
        (async () => {
          for (let count = 0; count < 8; count++) await part.append(chunk)
          await part.commit(8 * MIB, '')
        })(),
      )
      await part.discard()
      assert.deepEqual(await peer.names(peer.fullFolder.folder), [])
    })
  })
}
