import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { idleConnections } from '../../agent/clients/idle.ts'
import { moveFile } from '../../agent/work/move.ts'
import { freshGround, localWork, workBench } from '../../agent/work/testing.ts'
import type { Place, PostAction, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import { eventually } from '../eventually.ts'
import * as vsftpd from '../peers/ftp-vsftpd.ts'
import type { Peer, PeerKind } from '../peers/peer.ts'
import * as s3 from '../peers/s3.ts'
import * as openssh from '../peers/sftp-openssh.ts'
import { startTestServer, type TestServer } from '../server.ts'

// One file that is reached by two roads is not moved onto itself: that would delete it, and call it completed.

const GONE: readonly PostAction[] = [{ kind: 'delete' }, { kind: 'move', to: '' }]

function testRoads(kind: PeerKind, roads: (peer: Peer, path: string) => readonly [Place, Place]): void {
  describe(kind.name, { skip: kind.missing ?? false }, () => {
    let peer: Peer
    before(async () => {
      peer = await kind.start()
    })
    after(async () => {
      idleConnections.closeAll()
      await peer.stop()
    })

    for (const direction of ['pull', 'push'] as const) {
      for (const { kind: action } of GONE) {
        test(`${direction}, ${action}`, async (t) => {
          const path = `${peer.folder}/${direction}-${action}/a.csv`
          const bytes = Buffer.from(`${direction} ${action}`)
          await peer.put(path, bytes)
          const [far, near] = roads(peer, path)
          const [source, destination] = direction === 'pull' ? [far, near] : [near, far]
          const postAction = action === 'move' ? { kind: action, to: `${peer.folder}/done/a.csv` } : { kind: action as 'delete' }
          const bench = workBench(await freshGround(t), { roots: [peer.folder] })
          await moveFile(
            { ...localWork('', ''), direction, source, destination, postAction } satisfies TransferWork,
            bench.context,
          )
          const end = bench.reports.at(-1) as WorkReport & { errorCode?: string; error?: string }
          assert.deepEqual([end.state, end.errorCode], ['failed', 'UNSUPPORTED'], end.error ?? '')
          assert.ok(bytes.equals((await peer.get(path))!))
          assert.deepEqual(
            (await peer.names(`${peer.folder}/${direction}-${action}`)).map((name) => name.replace(/^\//, '')),
            ['a.csv'],
          )
        })
      }
    }
  })
}

const local = { endpoint: { protocol: 'local' } } as const
testRoads(openssh.kind, ({ endpoint }, path) => [
  { endpoint, path },
  { ...local, path },
])
testRoads(vsftpd.kinds[0]!, ({ endpoint }, path) => [
  { endpoint, path },
  { ...local, path },
])
// Two endpoints of one bucket.
testRoads(s3.kind, ({ endpoint }, path) => [
  { endpoint, path },
  { endpoint: { ...endpoint, region: 'eu-central-1' } as Place['endpoint'], path },
])

describe('this server itself', () => {
  let server: TestServer
  let home: string
  let agentId: string
  let remoteId: string
  before(async () => {
    server = await startTestServer({ '--builtin-agent': 'on', '--builtin-agent-roots': '/' })
    const { password, home: its } = await server.makeUser('alice')
    home = its
    await mkdir(home, { recursive: true })
    await mkdir(join(home, 'real'))
    await symlink('real', join(home, 'alias'))
    const login = { host: server.sftpHost, port: server.sftpPort, username: 'alice', password }
    const remote = { name: 'self', protocol: 'sftp', ...login, trustFirstHostKey: true }
    remoteId = (await server.call<{ remote: { id: string } }>('POST', '/api/remotes', remote)).remote.id
    agentId = await eventually(async () => {
      assert.equal(server.app.agentPort.stats().streams, 1)
      return (await server.call<{ agents: { id: string }[] }>('GET', '/api/agents')).agents[0]!.id
    })
  })
  after(() => server.stop())

  interface Row {
    readonly status: string
    readonly errorCode: string | null
    readonly errorMessage: string | null
  }
  async function ended(order: object): Promise<Row> {
    const body = { agentId, retryDelaysSeconds: [], ...order }
    const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', body)
    return eventually(async () => {
      const found = (await server.call<{ transfer: Row }>('GET', `/api/transfers/${transfer.id}`)).transfer
      assert.ok(!['queued', 'running'].includes(found.status))
      return found
    })
  }

  const roads = {
    remote: (path: string) => path,
    space: (path: string) => `space://default/alice${path}`,
    local: (path: string) => join(home, path),
  }
  type Road = keyof typeof roads
  const pairs = (['remote', 'space', 'local'] as const).flatMap((from) =>
    (['remote', 'space', 'local'] as const).filter((to) => to !== from).map((to) => [from, to] as [Road, Road]),
  )
  /** What is `path` at the source is `there` at the destination. */
  function orderOf([from, to]: readonly [Road, Road], path: string, there: string, postAction: PostAction) {
    return {
      ...(from === 'remote' || to === 'remote' ? { remoteId } : {}),
      direction: from === 'remote' ? 'pull' : 'push',
      ...{ sourceUrl: roads[from](path), destinationPath: roads[to](there), postAction },
    }
  }

  /** Where the source is, as a path. */
  function toOf([from, to]: readonly [Road, Road]): string {
    const path = `/done-${from}-${to}/a`
    return from === 'local' ? roads.local(path) : path
  }

  for (const pair of [...pairs, ['space', 'space'] as [Road, Road]]) {
    for (const { kind } of GONE) {
      test(`from ${pair.join(' to ')}, ${kind}`, async () => {
        const path = pair[0] === pair[1] ? '/alias/a' : '/real/a'
        const there = '/real/a'
        await writeFile(join(home, path), kind)
        await utimes(join(home, path), 1_700_000_000, 1_700_000_000)
        const postAction: PostAction = kind === 'move' ? { kind, to: toOf(pair) } : { kind: kind as 'delete' }
        const { status, errorCode, errorMessage } = await ended(orderOf(pair, path, there, postAction))
        assert.deepEqual([status, errorCode], ['failed', 'UNSUPPORTED'], errorMessage ?? '')
        assert.match(errorMessage!, /is the source and, reached in another way, the destination/)
        assert.deepEqual(await readdir(join(home, 'real')), ['a'])
        assert.equal(await readFile(join(home, 'real/a'), 'utf8'), kind)
        assert.equal((await stat(join(home, 'real/a'))).mtimeMs, 1_700_000_000_000)
      })
    }

    test(`from ${pair.join(' to ')} over a file of the same name and size`, async () => {
      const [from, to] = [`/from-${pair.join('-')}`, `/to-${pair.join('-')}`]
      await mkdir(join(home, from))
      await mkdir(join(home, to))
      await writeFile(join(home, from, 'a'), 'new')
      await writeFile(join(home, to, 'a'), 'old')
      await utimes(join(home, from, 'a'), 1_700_000_000, 1_700_000_000)
      const { status, errorMessage } = await ended(orderOf(pair, `${from}/a`, `${to}/a`, { kind: 'delete' }))
      assert.deepEqual([status, errorMessage], ['completed', null])
      assert.deepEqual([await readdir(join(home, from)), await readdir(join(home, to))], [[], ['a']])
      assert.equal(await readFile(join(home, to, 'a'), 'utf8'), 'new')
      assert.equal((await stat(join(home, to, 'a'))).mtimeMs, 1_700_000_000_000)
    })
  }
})
