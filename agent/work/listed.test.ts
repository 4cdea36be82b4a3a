import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Peer } from '../../test/peers/peer.ts'
import { kind } from '../../test/peers/sftp-landfall.ts'
import { idleConnections } from '../clients/idle.ts'
import { openClient } from '../clients/open.ts'
import { contextFor } from '../clients/testing.ts'
import { moveFile } from './move.ts'
import { bytesOf, endOf, freshGround, localWork, MIB, workBench } from './testing.ts'

// A file that was just listed is not looked at again before it is read, where a listing tells all; what became of it meanwhile shows afterwards.

let peer: Peer
before(async () => {
  peer = await kind.start()
})
after(async () => {
  idleConnections.closeAll()
  await peer.stop()
})

const SMALL = 4096

for (const size of [0, SMALL, MIB]) {
  const changes = {
    'another size, less': { size: size + 1 },
    'another size, more': { size: size - 1 },
    'another time': { modifiedAt: 86_400_000 },
  }
  for (const [name, members] of Object.entries(changes)) {
    if ('size' in members && members.size < 0) continue
    test(`a file of ${size} bytes that was listed with ${name}, is SOURCE_CHANGED, and nothing is left`, async (t) => {
      const folder = await freshGround(t)
      await mkdir(join(folder, 'out'))
      const path = `${peer.folder}/listed-${size}`
      await peer.put(path, bytesOf(size))
      const bench = workBench(folder)
      const listed = await lookAt(path)
      const source = { endpoint: peer.endpoint, path }
      await moveFile(localWork(path, join(folder, 'out/b'), { source, expected: { ...listed, ...members } }), bench.context)
      assert.equal(endOf(bench.reports).errorCode, 'SOURCE_CHANGED')
      assert.deepEqual(await readdir(join(folder, 'out')), [])
    })
  }

  test(`a file of ${size} bytes that is as it was listed arrives with its time`, async (t) => {
    const folder = await freshGround(t)
    const path = `${peer.folder}/same-${size}`
    await peer.put(path, bytesOf(size))
    const expected = await lookAt(path)
    const bench = workBench(folder)
    const source = { endpoint: peer.endpoint, path }
    await moveFile(localWork(path, join(folder, 'out/b'), { source, expected }), bench.context)
    assert.equal(endOf(bench.reports).state, 'completed')
    assert.equal((await stat(join(folder, 'out/b'))).mtimeMs, expected.modifiedAt)
  })
}

test('a small file of this machine that is not as it was listed is SOURCE_CHANGED, and one that is arrives', async (t) => {
  const folder = await freshGround(t)
  await mkdir(join(folder, 'out'))
  const path = join(folder, 'a')
  await writeFile(path, bytesOf(SMALL))
  const modifiedAt = Math.floor((await stat(path)).mtimeMs)
  async function ended(expected: { size: number; modifiedAt: number }) {
    const bench = workBench(folder)
    await moveFile(localWork(path, join(folder, 'out/b'), { expected }), bench.context)
    const { state, errorCode } = endOf(bench.reports)
    return errorCode ?? state
  }
  assert.equal(await ended({ size: SMALL + 1, modifiedAt }), 'SOURCE_CHANGED')
  assert.equal(await ended({ size: SMALL - 1, modifiedAt }), 'SOURCE_CHANGED')
  assert.equal(await ended({ size: SMALL, modifiedAt: modifiedAt - 1 }), 'SOURCE_CHANGED')
  assert.deepEqual(await readdir(join(folder, 'out')), [])
  assert.equal(await ended({ size: SMALL, modifiedAt }), 'completed')
  assert.deepEqual(await readFile(join(folder, 'out/b')), bytesOf(SMALL))
})

test('a listed file that is gone is NOT_FOUND', async (t) => {
  const folder = await freshGround(t)
  const path = `${peer.folder}/gone`
  const bench = workBench(folder)
  const source = { endpoint: peer.endpoint, path }
  const expected = { size: 1, modifiedAt: 1000 }
  await moveFile(localWork(path, join(folder, 'out/b'), { source, expected }), bench.context)
  assert.equal(endOf(bench.reports).errorCode, 'NOT_FOUND')
})

async function lookAt(path: string) {
  const client = await openClient(peer.endpoint, contextFor({}))
  const { size, modifiedAt } = (await client.stat(path))!
  await client.close()
  return { size, modifiedAt }
}
