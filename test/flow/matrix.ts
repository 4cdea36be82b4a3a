import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { idleConnections } from '../../agent/clients/idle.ts'
import { openClient } from '../../agent/clients/open.ts'
import { moveFile } from '../../agent/work/move.ts'
import { bytesOf, localWork, sha256Of, workBench } from '../../agent/work/testing.ts'
import type { Arrival, Place, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import { mountSmallDisk } from '../peers/on-disk.ts'
import { FULL_DISK_BYTES, type Peer, type PeerKind } from '../peers/peer.ts'

// Every protocol × pull and push × what may go well or wrong, against a real server each. Every module of test/peers that exports `kind` or `kinds` takes part.

const MIB = 1024 * 1024
/** A broken one: long enough that it breaks in the middle. */
const BROKEN_BYTES = 24 * MIB
const CUT_AFTER_BYTES = 12 * MIB
/** What a cut may be called by those who meet it. */
const BROKEN = ['CONNECTION_LOST', 'CONNECTION_REFUSED', 'TIMEOUT', 'PROTOCOL_ERROR']
const DIRECTIONS = ['pull', 'push'] as const
type Direction = (typeof DIRECTIONS)[number]

/** Declares the tests of every peer whose module is wanted: one file of tests for each few, so that none takes minutes. */
export async function testMatrix(isWanted: (module: string) => boolean): Promise<void> {
  for (const kind of await peerKinds(isWanted)) testKind(kind)
}

function testKind(kind: PeerKind): void {
  describe(`transfers: ${kind.name}`, { skip: kind.missing ?? false, timeout: 240_000 }, () => {
    let peer: Peer
    let folder: string
    let transfers = 0

    before(async () => {
      peer = await kind.start()
      folder = await mkdtemp(join(tmpdir(), 'landfall-matrix-'))
      await mkdir(join(folder, 'files'))
    })
    after(async () => {
      idleConnections.closeAll()
      await peer.stop()
      await rm(folder, { recursive: true, force: true })
    })

    /** A file at its source, and the work that moves it; `resumed` attempts are made with the same work. */
    async function prepare(direction: Direction, bytes: Uint8Array) {
      const name = `${direction}-${transfers++}.bin`
      const near: Place = { endpoint: { protocol: 'local' }, path: join(folder, 'files', name) }
      const far: Place = { endpoint: peer.endpoint, path: `${peer.folder}/${name}` }
      const isPull = direction === 'pull'
      if (isPull) await peer.put(far.path, bytes)
      else await writeFile(near.path, bytes)
      const ends = isPull ? { source: far, destination: near } : { source: near, destination: far }
      const transferId = `trf_matrix${String(transfers).padStart(6, '0')}`
      return {
        work: { ...localWork('', ''), transferId, direction, ...ends } satisfies TransferWork,
        arrived: async () => (isPull ? await readFile(near.path).catch(() => undefined) : await peer.get(far.path)),
      }
    }

    async function attempt(work: TransferWork, roots: readonly string[] = [folder, ...(peer.roots ?? [])]) {
      const bench = workBench(folder, {
        roots,
        open: (endpoint, context) => openClient(endpoint, { ...context, ...peer.space }),
      })
      await moveFile(work, bench.context)
      return bench.reports.at(-1) as WorkReport & Partial<Arrival> & { errorCode?: string; error?: string }
    }

    function towards(work: TransferWork, far: Partial<Place>): TransferWork {
      return work.direction === 'pull'
        ? { ...work, source: { ...work.source, ...far } }
        : { ...work, destination: { ...work.destination, ...far } }
    }

    async function assertNothingHalf(): Promise<void> {
      const names = [...(await peer.names(peer.folder)), ...(await readdir(join(folder, 'files')))]
      assert.deepEqual(
        names.filter((name) => name.endsWith('.part')),
        [],
      )
    }

    for (const direction of DIRECTIONS) {
      for (const size of [0, 1, 100 * MIB]) {
        test(`${direction}: ${size} bytes`, async () => {
          const bytes = bytesOf(size, transfers + 1)
          const { work, arrived } = await prepare(direction, bytes)
          const end = await attempt(work)
          assert.equal(end.state, 'completed', end.error ?? '')
          assert.deepEqual([end.size, end.bytesTransferred, end.sha256], [size, size, sha256Of(bytes)])
          assert.ok(Buffer.from((await arrived())!).equals(bytes))
          await assertNothingHalf()
        })
      }

      test(`${direction}: a connection that breaks in the middle`, async (t) => {
        if (peer.cutAfter === undefined) {
          t.skip('there is no connection that could break')
          return
        }
        const bytes = bytesOf(BROKEN_BYTES, transfers + 1)
        const { work, arrived } = await prepare(direction, bytes)
        peer.cutAfter(CUT_AFTER_BYTES)
        const broken = await attempt(work)
        assert.ok(broken.state === 'failed' && BROKEN.includes(broken.errorCode!), JSON.stringify(broken))
        assert.equal(await arrived(), undefined)
        const end = await attempt(work)
        assert.equal(end.state, 'completed', end.error ?? '')
        assert.equal(end.sha256, sha256Of(bytes))
        assert.ok(Buffer.from((await arrived())!).equals(bytes))
        if (kind.resumes[direction]) assert.ok(end.bytesTransferred! < BROKEN_BYTES, 'it was to go on where it broke')
        else assert.equal(end.bytesTransferred, BROKEN_BYTES)
        await assertNothingHalf()
      })

      test(`${direction}: a wrong password`, async (t) => {
        if (peer.wrongPassword === undefined) {
          t.skip('nobody asks for a password')
          return
        }
        const { work, arrived } = await prepare(direction, bytesOf(10))
        const end = await attempt(towards(work, { endpoint: peer.wrongPassword }))
        assert.deepEqual([end.state, end.errorCode], ['failed', 'AUTH_FAILED'], end.error ?? '')
        assert.equal(await arrived(), undefined)
        await assertNothingHalf()
      })

      test(`${direction}: a changed host key or certificate`, async (t) => {
        if (peer.wrongIdentity === undefined) {
          t.skip('nothing is shown that could be pinned')
          return
        }
        const { work, arrived } = await prepare(direction, bytesOf(10))
        const end = await attempt(towards(work, { endpoint: peer.wrongIdentity }))
        // A pinned certificate is a pinned key by another name.
        const codes = peer.endpoint.protocol === 'sftp' ? ['HOST_KEY_MISMATCH'] : ['HOST_KEY_MISMATCH', 'CERTIFICATE_INVALID']
        assert.ok(end.state === 'failed' && codes.includes(end.errorCode!), JSON.stringify(end))
        assert.equal(await arrived(), undefined)
        await assertNothingHalf()
      })
    }

    test('names with what means something in a url are kept, and kept apart', async () => {
      const names = ['%41', '50%', 'a b', 'a+b', 'r?1', 'r?2', 's#1', 's#2', 'ü']
      const [sent, back] = [join(folder, 'files/sent'), join(folder, 'files/back')]
      await mkdir(sent)
      for (const name of names) {
        await writeFile(join(sent, name), name)
        const written = peer.endpoint.protocol.startsWith('http') ? encodeURIComponent(name) : name
        const far: Place = { endpoint: peer.endpoint, path: `${peer.folder}/named/${written}` }
        const near = (path: string): Place => ({ endpoint: { protocol: 'local' }, path: join(path, name) })
        for (const ends of [
          { source: near(sent), destination: far },
          { source: far, destination: near(back) },
        ]) {
          const transferId = `trf_names${String(transfers++).padStart(6, '0')}`
          const end = await attempt({ ...localWork('', ''), transferId, ...ends })
          assert.equal(end.state, 'completed', `${name}: ${end.error}`)
        }
      }
      assert.deepEqual((await peer.names(`${peer.folder}/named`)).sort(), [...names].sort())
      for (const name of names) assert.equal(await readFile(join(back, name), 'utf8'), name)
    })

    test('pull: no such file', async () => {
      const { work } = await prepare('pull', bytesOf(10))
      const end = await attempt(towards(work, { path: `${peer.folder}/nothing.bin` }))
      assert.deepEqual([end.state, end.errorCode], ['failed', 'NOT_FOUND'], end.error ?? '')
      await assertNothingHalf()
    })

    test('pull: a full disk', async (t) => {
      const small = join(folder, 'small')
      const disk = await mountSmallDisk(small)
      if (disk === undefined) {
        t.skip('mounting a small disk needs root')
        return
      }
      try {
        const { work } = await prepare('pull', bytesOf(2 * FULL_DISK_BYTES))
        const end = await attempt({ ...work, destination: { endpoint: { protocol: 'local' }, path: join(small, 'a.bin') } })
        assert.deepEqual([end.state, end.errorCode], ['failed', 'DISK_FULL'], end.error ?? '')
        assert.deepEqual(await readdir(small), [])
      } finally {
        await disk.stop()
      }
    })

    test('push: a full disk', async (t) => {
      const full = peer.fullFolder
      if (full === undefined) {
        t.skip('no full disk is to be had here')
        return
      }
      const { work } = await prepare('push', bytesOf(2 * FULL_DISK_BYTES))
      const path = `${full.folder}/full.bin`
      const end = await attempt({ ...work, destination: { endpoint: full.endpoint, path } })
      assert.ok(['DISK_FULL', 'QUOTA_EXCEEDED'].includes(end.errorCode!), JSON.stringify(end))
      assert.equal(await peer.get(path), undefined)
      assert.deepEqual(
        (await peer.names(full.folder)).filter((name) => name.endsWith('.part')),
        [],
      )
    })
  })
}

async function peerKinds(isWanted: (module: string) => boolean): Promise<PeerKind[]> {
  const peers = join(import.meta.dirname, '../peers')
  const kinds: PeerKind[] = []
  for (const name of (await readdir(peers)).filter(isWanted).sort()) {
    const module = (await import(join(peers, name))) as { kind?: PeerKind; kinds?: readonly PeerKind[] }
    kinds.push(...(module.kinds ?? (module.kind ? [module.kind] : [])))
  }
  assert.ok(kinds.length > 0)
  return kinds
}
