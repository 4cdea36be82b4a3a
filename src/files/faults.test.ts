/**
 * Every call to the store and to the storage fails once, before its work or after, or is the last one before the process
 * dies. Then the next process starts on what is left. Certain is: what was acknowledged is there and said; what was said is
 * there; nothing is half there; nothing stays open.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { type Backend, StorageError } from './backends/backend.ts'
import { PARTIAL_SYNC_BYTES } from './partials.ts'
import type { FileStore } from './port.ts'
import { openWorld, PUT, put, RESUME, type World } from './testing.ts'

const b = (text: string) => Buffer.from(text)

/** once: this call fails, later ones work. dies: this call and all later ones fail. */
type Mode = 'fails before' | 'fails after' | 'dies after'
// Dying before a call is dying after the one before it.
const MODES: Mode[] = ['fails before', 'fails after', 'dies after']

/** Counts the calls of a world and makes the chosen one fail. */
class Fault {
  /** Calls since it was armed; endless while it is not. */
  calls = Number.POSITIVE_INFINITY
  hit: string | undefined
  readonly nth: number
  readonly mode: Mode
  constructor(nth: number, mode: Mode) {
    this.nth = nth
    this.mode = mode
  }

  async around<Answer>(name: string, error: () => Error, act: () => Promise<Answer>): Promise<Answer> {
    if (this.disarmed) return act()
    const n = this.calls++
    if (n < this.nth || (n > this.nth && this.mode.startsWith('fails'))) return act()
    if (n === this.nth) this.hit = name
    if (n === this.nth && this.mode.endsWith('after')) {
      await closeAll(await act())
    }
    throw error()
  }

  arm(): void {
    this.calls = 0
  }

  /** No more faults: the next process. */
  disarm(): void {
    this.calls = Number.POSITIVE_INFINITY
  }

  get disarmed(): boolean {
    return this.calls === Number.POSITIVE_INFINITY
  }
}

/** Of an answer that is lost nobody knows what it holds open. */
async function closeAll(lost: unknown): Promise<void> {
  if (typeof lost !== 'object' || lost === null) return
  const parts = [lost, ...Object.values(lost)] as { close?: () => Promise<void> }[]
  for (const part of parts) if (typeof part?.close === 'function') await part.close()
}

// Closing is left alone: a descriptor that stays open would outlive the test.
const PASS = new Set(['close', 'stop', 'start', 'temporaryPath', 'temporaries', 'descriptor', 'then'])

function faulty<Part extends object>(part: Part, prefix: string, error: () => Error, fault: Fault): Part {
  return new Proxy(part, {
    get(target, name: string) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function' || PASS.has(name)) return member
      return async (...given: unknown[]) => {
        const args = given.map((arg) =>
          typeof arg === 'function' ? (place: object) => arg(faulty(place, 'place.', error, fault)) : arg,
        )
        const act = async () => member.apply(target, args)
        // The walk and what is done at its end are two things that can fail.
        const answer = await fault.around(prefix + name, error, act)
        const isPart =
          typeof answer === 'object' && answer !== null && Object.values(answer).some((value) => typeof value === 'function')
        return isPart ? faulty(answer, `${name}.`, error, fault) : answer
      }
    },
  })
}

/** One life of a user: new, replaced, resumed, appended, renamed and removed files, folders. Goes on after failures. */
async function live(world: World): Promise<Set<string>> {
  const acknowledged = new Set<string>()
  const attempt = async (name: string, act: () => Promise<unknown>) => {
    try {
      await act()
      acknowledged.add(name)
    } catch (error) {
      assert.ok(error instanceof AppError, `${name}: ${error}`)
    }
  }
  const { space } = world
  await attempt('file.uploaded /a', () => put(space, '/a', 'one'))
  await attempt('file.uploaded /a', () => put(space, '/a', 'two, replaced'))
  await attempt('dir.created /d', () => space.makeDirectory(b('/d'), 0o755))
  await attempt('file.uploaded /d/b', () => put(space, '/d/b', 'b'))
  await attempt('file.renamed /d/c', () => space.rename(b('/d/b'), b('/d/c'), { replace: true }))
  await attempt('cut', async () => {
    const handle = await space.openWrite(b('/r'), PUT)
    await handle.write([b('0123')], 0).catch(() => {})
    await handle.abandon('cut')
  })
  await attempt('file.uploaded /r', async () => {
    const handle = await space.openWrite(b('/r'), RESUME)
    const { size } = await handle.attributes()
    await handle.write([b('0123456789').subarray(size)], size).catch(async (error) => {
      await handle.abandon('the write failed')
      throw error
    })
    await handle.close()
  })
  await attempt('file.uploaded /a', () => put(space, '/a', '!', { ...RESUME, append: true }))
  await attempt('file.deleted /d/c', () => space.remove(b('/d/c')))
  await attempt('dir.deleted /d', () => space.removeDirectory(b('/d')))
  return acknowledged
}

function check(world: World, acknowledged: Set<string>, when: string): void {
  const { rows, folder } = world
  assert.equal(rows.intents.size, 0, `${when}: an intent is open`)
  const states = [...rows.events.values()].map(({ state }) => state)
  assert.ok(!states.includes('held'), `${when}: an event is held`)
  const said = new Set(world.said())
  for (const name of acknowledged)
    if (name !== 'cut') assert.ok(said.has(name), `${when}: ${name} was acknowledged and is not said`)

  // What is said, one after the other, makes exactly what is there.
  const expected = new Map<string, string>()
  const inOrder = [...rows.events.values()].filter(({ state }) => state === 'said')
  for (const { draft } of inOrder) {
    const { path, previous_path, sha256 } = draft.data as { path: string; previous_path: string; sha256: string }
    if (draft.type === 'file.uploaded') expected.set(path, sha256)
    if (draft.type === 'dir.created') expected.set(path, 'folder')
    if (draft.type === 'file.deleted' || draft.type === 'dir.deleted') expected.delete(path)
    if (draft.type === 'file.renamed') {
      expected.set(path, expected.get(previous_path)!)
      expected.delete(previous_path)
    }
  }
  const there = new Map<string, string>()
  let [bytes, files] = [0, 0]
  for (const entry of readdirSync(world.home, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const content = entry.isFile() ? readFileSync(path) : undefined
    there.set(
      path.slice(world.home.length),
      content === undefined ? 'folder' : createHash('sha256').update(content).digest('hex'),
    )
    if (content !== undefined) [bytes, files] = [bytes + content.length, files + 1]
  }
  assert.deepEqual(new Map([...there].sort()), new Map([...expected].sort()), `${when}: what is there is not what was said`)
  assert.deepEqual(rows.usage, { bytes, files }, `${when}: usage`)

  // Temporaries are exactly the partials, each with its prefix and never a hole.
  const partials = new Map([...rows.partials.values()].map((row) => [row.temporary, row]))
  const left = readdirSync(join(folder, '.landfall/uploads')).map((name) => `/.landfall/uploads/${name}`)
  for (const path of left) {
    const row = partials.get(path)
    assert.ok(row !== undefined, `${when}: ${path} is nobody's`)
    assert.equal(row.node, null, `${when}: a partial is held`)
    assert.ok(row.prefixBytes <= statSync(join(folder, path)).size, `${when}: a partial promises more than there is`)
  }
}

/** Worlds are apart from one another, and mostly wait for the disk. */
const RUNS_AT_ONCE = 8

/** A hundred times as fast, so that what is tried again is tried at once. */
const fastClock: Clock = { ...systemClock, after: (ms, call) => systemClock.after(ms / 100, call) }

/** A world whose calls fail as `fault` says. */
function openFaultyWorld(fault: Fault): Promise<World> {
  return openWorld({
    clock: fastClock,
    wrapStore: (store) => faulty<FileStore>(store, 'store.', () => new AppError('store_failed', 'the fault of the test'), fault),
    wrapBackend: (backend) => faulty<Backend>(backend, 'backend.', () => new StorageError('EIO'), fault),
  })
}

for (const mode of MODES) {
  test(`every call ${mode} its work`, { timeout: 300_000 }, async (t) => {
    let unharmed: number | undefined
    for (let first = 0; unharmed === undefined; first += RUNS_AT_ONCE) {
      const runs = Array.from({ length: RUNS_AT_ONCE }, async (_, n) => {
        const fault = new Fault(first + n, mode)
        const world = await openFaultyWorld(fault)
        fault.arm()
        const acknowledged = await live(world)
        await world.space.close()
        // Whatever waits in the background may still meet the fault; the next process meets none.
        await world.files.stop()
        fault.disarm()
        await world.restart()
        check(world, acknowledged, `call ${fault.nth} (${fault.hit}) ${mode}`)
        await world.end()
        if (fault.hit === undefined) unharmed ??= fault.nth
      })
      await Promise.all(runs)
    }
    t.diagnostic(`${unharmed} calls`)
    assert.ok(unharmed > 60)
  })

  test(`every call of a recovery ${mode} its work`, { timeout: 300_000 }, async (t) => {
    // A life that ends with a change of each kind recorded and not carried out.
    const changes: ((world: World) => Promise<unknown>)[] = [
      ({ space }) => put(space, '/d/old', 'placed over'),
      ({ space }) => space.rename(b('/d/old'), b('/new'), { replace: false }),
      ({ space }) => space.remove(b('/d/old')),
      ({ space }) => space.makeDirectory(b('/e'), 0o755),
      ({ space }) => space.removeDirectory(b('/empty')),
    ]
    let calls = 0
    for (const change of changes) {
      for (let nth = 0; ; nth++) {
        const recovering = new Fault(nth, mode)
        const world = await openRecordedWorld(recovering, change)
        recovering.arm()
        await world
          .restart()
          .catch((error) => assert.ok(error instanceof AppError || error instanceof StorageError, String(error)))
        await world.files.stop()
        recovering.disarm()
        await world.restart()
        check(world, new Set(), `call ${nth} (${recovering.hit}) of a recovery ${mode}`)
        await world.end()
        calls += nth
        if (recovering.hit === undefined) break
      }
    }
    t.diagnostic(`${calls} calls`)
    assert.ok(calls > 20)
  })
}

/** A world whose process died right after `change` was recorded. */
async function openRecordedWorld(fault: Fault, change: (world: World) => Promise<unknown>): Promise<World> {
  let dead = false
  const world = await openWorld({
    wrapStore: (store) => {
      const mine = faulty<FileStore>(store, 'store.', () => new AppError('store_failed', 'the fault of the test'), fault)
      return new Proxy(mine, {
        get: (target, name) => {
          if (dead) return () => Promise.reject(new AppError('store_failed', 'dead'))
          return Reflect.get(target, name)
        },
      })
    },
    wrapBackend: (backend) => {
      const mine = faulty<Backend>(backend, 'backend.', () => new StorageError('EIO'), fault)
      return new Proxy(mine, {
        get: (target, name) => {
          if (dead && ['carryOut', 'isDone', 'removeTemporary'].includes(name as string))
            return () => Promise.reject(new StorageError('EIO'))
          return Reflect.get(target, name)
        },
      })
    },
    reach(point) {
      if (point === 'change.recorded' && armed) dead = true
    },
  })
  let armed = false
  await world.space.makeDirectory(b('/d'), 0o755)
  await world.space.makeDirectory(b('/empty'), 0o755)
  await put(world.space, '/d/old', 'old')
  armed = true
  await assert.rejects(change(world))
  await world.space.close()
  await world.files.stop()
  dead = false
  armed = false
  assert.equal(world.rows.intents.size, 1)
  return world
}

test('a change that cannot be decided is held, makes the node unhealthy, and ends by itself once the storage answers', async () => {
  let failing = false
  const world = await openWorld({
    wrapBackend: (backend) => ({
      ...backend,
      async syncDeed(deed) {
        if (failing) throw new StorageError('EIO')
        await backend.syncDeed(deed)
      },
    }),
  })
  failing = true
  await assert.rejects(put(world.space, '/a', 'x'), (error) => error instanceof AppError && error.code === 'storage_undecided')
  assert.equal(world.rows.intents.size, 1)
  assert.deepEqual(world.said(), [])
  while (world.files.undecided() === 0) await new Promise((resolve) => setImmediate(resolve))
  failing = false
  while (world.rows.intents.size > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(world.said(), ['file.uploaded /a'])
  await put(world.space, '/a', 'next')
  assert.equal(world.files.undecided(), 0)
  await world.end()
})

test('a storage that is full undoes the change: the old file stays, usage is given back, the client hears storage_full', async () => {
  let full = false
  const world = await openWorld({
    wrapBackend: (backend) => ({
      ...backend,
      async carryOut(deed) {
        if (full) throw new StorageError('ENOSPC')
        await backend.carryOut(deed)
      },
    }),
  })
  await put(world.space, '/a', 'old')
  full = true
  await assert.rejects(put(world.space, '/a', 'newer'), (error) => error instanceof AppError && error.code === 'storage_full')
  await world.end()
  assert.deepEqual(world.rows.usage, { bytes: 3, files: 1 })
  assert.deepEqual(world.said(), ['file.uploaded /a', 'file.upload_failed /a'])
  assert.equal([...world.rows.events.values()].filter(({ state }) => state === 'void').length, 1)
})

test('saying the event begins before the client hears', async () => {
  let closing = 0
  const world = await openWorld({
    wrapStore: (store) => ({
      ...store,
      closeIntent: (intent, held) => {
        closing++
        assert.ok(held !== undefined)
        return store.closeIntent(intent, held)
      },
    }),
  })
  await put(world.space, '/a', 'x')
  assert.equal(closing, 1)
  await world.end()
})

test('a crash in the middle of a long upload: what is resumed has no hole', async () => {
  const fault = new Fault(0, 'dies after')
  const world = await openFaultyWorld(fault)
  const handle = await world.space.openWrite(b('/big'), PUT)
  const block = (n: number) => Buffer.alloc(MIB, n + 1)
  for (let n = 0; n < PARTIAL_SYNC_BYTES / MIB; n++) await handle.write([block(n)], n * MIB)
  await handle.write([block(20)], 20 * MIB)
  while (world.rows.partials.size === 0) await new Promise((resolve) => setImmediate(resolve))
  fault.arm()
  await world.space.close()
  await world.files.stop()
  fault.disarm()
  await world.restart()
  const again = await world.space.openWrite(b('/big'), RESUME)
  const { size } = await again.attributes()
  assert.equal(size, PARTIAL_SYNC_BYTES)
  await again.write([block(8)], size)
  await again.close()
  const content = readFileSync(join(world.home, 'big'))
  for (let n = 0; n <= 8; n++) assert.deepEqual(content.subarray(n * MIB, (n + 1) * MIB), block(n))
  check(world, new Set(['file.uploaded /big']), 'resumed')
  await world.end()
})
