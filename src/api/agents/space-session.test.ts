import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import { systemClock } from '../../base/clock.ts'
import { AppError, codeOf } from '../../base/error.ts'
import type { FileStore } from '../../files/port.ts'
import { openWorld, put, type World } from '../../files/testing.ts'
import type { SpaceAction } from '../../transfers/space-grant.ts'
import { SpaceSession } from './space-session.ts'

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex')
const refused = (code: string) => (error: unknown) => codeOf(error) === code
const temporaries = (world: World) => readdirSync(join(world.folder, '.landfall/uploads'))

function sessionOn(world: World, may: (action: SpaceAction, path: string) => boolean = () => true): SpaceSession {
  return new SpaceSession({ space: world.space, refresh: async () => {}, checkRoom: async () => {} }, { may }, systemClock)
}

async function* chunks(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

/** A world for each test, in which nothing is left open. */
function withWorld(name: string, body: (world: World) => Promise<void>): void {
  test(name, async () => {
    const world = await openWorld()
    try {
      await body(world)
    } finally {
      await world.end()
    }
  })
}

withWorld('bytes come piece by piece and are the file once they are what was sent', async (world) => {
  const session = sessionOn(world)
  assert.equal(await session.open('/new/folder/a.txt', { resumes: true, size: null }), 0)
  assert.equal(await session.append(0, chunks('he', 'll')), 4)
  await assert.rejects(session.append(2, chunks('x')), refused('conflict'))
  assert.equal(await session.append(4, chunks('o')), 5)
  await assert.rejects(session.commit(6, sha256('hello!'), null), refused('conflict'))
  assert.equal(await session.facts('/new/folder/a.txt'), null, 'on its way it is not there')
  await session.commit(5, sha256('hello'), 1_700_000_000_500)
  assert.deepEqual(await session.facts('/new/folder/a.txt'), { kind: 'file', size: 5, modifiedAt: 1_700_000_000_000 })
  assert.deepEqual(world.said().at(-1), 'file.uploaded /new/folder/a.txt')
})

withWorld('what is not what was sent does not become the file, and nothing of it is gone on with', async (world) => {
  await put(world.space, '/a.txt', 'old')
  const session = sessionOn(world)
  for (const isResumed of [false, true]) {
    await session.open(isResumed ? '/b.txt' : '/a.txt', { resumes: false, size: null })
    await session.append(0, chunks('hellp'))
    if (isResumed) {
      await session.abandon('the agent was lost')
      assert.equal(await session.open('/b.txt', { resumes: true, size: null }), 5)
    }
    await assert.rejects(session.commit(5, sha256('hello'), null), refused('checksum_mismatch'))
    await session.abandon('the attempt has failed', { keeps: false })
  }
  assert.equal(readFileSync(join(world.home, 'a.txt'), 'utf8'), 'old')
  assert.equal(existsSync(join(world.home, 'b.txt')), false)
  assert.equal(await session.open('/b.txt', { resumes: true, size: null }), 0)
  await session.abandon('the end')
  assert.deepEqual(temporaries(world), [])
  assert.equal(world.rows.partials.size, 0)
  assert.equal(world.lastData('file.upload_failed')?.resumable, false)
})

withWorld('a request that breaks off in the middle: what came is kept for the next attempt', async (world) => {
  async function* breaking(): AsyncGenerator<Buffer> {
    yield Buffer.from('hel')
    throw new Error('the agent hung up')
  }
  const first = sessionOn(world)
  await first.open('/a.txt', { resumes: true, size: null })
  await assert.rejects(first.append(0, breaking()), /hung up/)
  await first.abandon('the agent was gone')
  const next = sessionOn(world)
  assert.equal(await next.open('/a.txt', { resumes: true, size: null }), 3)
  assert.equal(await next.hashPart(), sha256('hel'))
  await next.append(3, chunks('lo'))
  await next.commit(5, sha256('hello'), null)
  assert.equal(readFileSync(join(world.home, 'a.txt'), 'utf8'), 'hello')
})

withWorld('all of it came, and the agent died before it said so: the next attempt has nothing to bring', async (world) => {
  const first = sessionOn(world)
  await first.open('/a.txt', { resumes: true, size: null })
  await first.append(0, chunks('hello'))
  await first.abandon('the agent was gone')
  const next = sessionOn(world)
  assert.equal(await next.open('/a.txt', { resumes: true, size: null }), 5)
  await next.commit(5, sha256('hello'), null)
  assert.equal(readFileSync(join(world.home, 'a.txt'), 'utf8'), 'hello')
  assert.equal(world.said().at(-1), 'file.uploaded /a.txt')
  assert.equal(world.rows.partials.size, 0)
})

withWorld('two requests do not write one file at the same time', async (world) => {
  const session = sessionOn(world)
  await session.open('/a.txt', { resumes: true, size: null })
  const gate = Promise.withResolvers<void>()
  async function* slowly(): AsyncGenerator<Buffer> {
    yield Buffer.from('hel')
    await gate.promise
    yield Buffer.from('lo')
  }
  const first = session.append(0, slowly())
  await assert.rejects(session.append(0, chunks('HEL')), refused('conflict'))
  await assert.rejects(session.commit(0, sha256(''), null), refused('conflict'))
  gate.resolve()
  assert.equal(await first, 5)
  await session.commit(5, sha256('hello'), null)
})

withWorld('two sessions may write one path: each its own file, the later end wins', async (world) => {
  const [one, other] = [sessionOn(world), sessionOn(world)]
  await one.open('/a.txt', { resumes: false, size: null })
  await other.open('/a.txt', { resumes: false, size: null })
  await one.append(0, chunks('one'))
  await other.append(0, chunks('other'))
  await other.commit(5, sha256('other'), null)
  await one.commit(3, sha256('one'), null)
  assert.equal(readFileSync(join(world.home, 'a.txt'), 'utf8'), 'one')
  assert.deepEqual(temporaries(world), [])
})

withWorld('given up before a byte came, nothing is said to have failed', async (world) => {
  const session = sessionOn(world)
  await session.open('/a.txt', { resumes: true, size: null })
  await session.abandon('the agent gave it up', { keeps: false })
  assert.deepEqual([world.said(), temporaries(world)], [[], []])
})

withWorld('only what its work names is let through', async (world) => {
  await put(world.space, '/a.txt', 'x')
  const session = sessionOn(world, (action, path) => action === 'look' && path === '/a.txt')
  assert.equal((await session.facts('/a.txt'))?.size, 1)
  for (const call of [
    () => session.facts('/b.txt'),
    () => session.read('/a.txt', 0),
    () => session.remove('/a.txt'),
    () => session.move('/a.txt', '/b.txt'),
    () => session.open('/a.txt', { resumes: false, size: null }),
    () => session.entries('/').next(),
  ])
    await assert.rejects(async () => call(), refused('forbidden'))
  assert.equal(existsSync(join(world.home, 'a.txt')), true)
})

withWorld('a file gets another name, folders made as needed, and never that of another file', async (world) => {
  const session = sessionOn(world)
  for (const [content, isMoved] of [
    ['old', true],
    ['new', false],
  ] as const) {
    await put(world.space, '/a.txt', content)
    assert.equal(await session.move('/a.txt', '/done/2026/b.txt'), isMoved)
    assert.equal(existsSync(join(world.home, 'a.txt')), !isMoved)
    assert.equal(readFileSync(join(world.home, 'done/2026/b.txt'), 'utf8'), 'old')
  }
})

withWorld('a folder of thousands is listed step by step, and whoever stops reading leaves nothing open', async (world) => {
  await put(world.space, '/first.txt', '')
  for (let at = 1; at < 1_200; at++) writeFileSync(join(world.home, `${at}.txt`), '')
  const session = sessionOn(world)
  const names = new Set<string>()
  for await (const { name } of session.entries('/')) names.add(name)
  assert.equal(names.size, 1_200)
  for await (const entry of session.entries('/')) {
    assert.equal(session.busy, 1)
    assert.equal(entry.kind, 'file')
    break
  }
  assert.equal(session.busy, 0)
})

for (const there of [undefined, 'old']) {
  test(`a commit that fails leaves nothing once it is given up${there ? ', beside the file that it was to replace' : ''}`, async (t) => {
    let refusal: AppError | undefined
    const wrapStore = (store: FileStore): FileStore => ({
      ...store,
      recordChange: (change) => (refusal === undefined ? store.recordChange(change) : Promise.reject(refusal)),
    })
    const world = await openWorld({ wrapStore })
    t.after(() => world.end())
    if (there !== undefined) await put(world.space, '/a.txt', there)
    // Two at the same time have found room for each.
    for (const code of ['quota_exceeded', 'store_failed'] as const) {
      const session = sessionOn(world)
      refusal = undefined
      await session.open('/a.txt', { resumes: false, size: null })
      await session.append(0, chunks('hello'))
      refusal = new AppError(code, 'of the test')
      await assert.rejects(session.commit(5, sha256('hello'), null), refused(code))
      await assert.rejects(session.append(5, chunks('more')), refused('conflict'))
      await session.abandon('the agent gave it up', { keeps: false })
      // What was kept beside a file goes without anybody waiting for it.
      await eventually(async () => assert.deepEqual([temporaries(world), world.rows.partials.size], [[], 0], code))
      await session.close()
    }
    assert.equal(await readFile(join(world.home, 'a.txt'), 'utf8').catch(() => undefined), there)
  })
}
