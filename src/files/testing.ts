/** For tests: a store in memory that keeps the promises of `FileStore`, and a world with a real folder around it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Permission } from '../accounts/permission.ts'
import type { User } from '../accounts/user.ts'
import type { AuditEntry } from '../audit/entry.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { silentLog } from '../base/log.ts'
import type { EventDraft, EventState } from '../events/event.ts'
import { createRecorder } from '../events/record.ts'
import type { Backend } from './backends/backend.ts'
import { createLocalBackend } from './backends/local.ts'
import { createFiles, type Files, type FilesOptions } from './files.ts'
import { folderOf, fromStoredPath, pathBelow } from './path.ts'
import type { Deed, FileStore, Intent, Partial } from './port.ts'
import type { Space, WriteOptions } from './space.ts'

/** What the store holds; it outlives the process that uses it. */
export interface Rows {
  intents: Map<string, Intent>
  events: Map<string, { draft: EventDraft; state: EventState }>
  partials: Map<string, Partial>
  audit: AuditEntry[]
  usage: { bytes: number; files: number }
}

function emptyRows(): Rows {
  return { intents: new Map(), events: new Map(), partials: new Map(), audit: [], usage: { bytes: 0, files: 0 } }
}

function memoryStore(rows: Rows): FileStore {
  const isNobodys = (partial: Partial) => partial.node === null
  const newestFirst = (a: Partial, b: Partial) => b.updatedAt - a.updatedAt

  function addUsage({ bytes, files }: Intent['usage'], sign: 1 | -1): void {
    rows.usage.bytes += sign * bytes
    rows.usage.files += sign * files
  }

  function own({ id, node }: { id: string; node: string }): Intent | undefined {
    const intent = rows.intents.get(id)
    return intent?.node === node ? intent : undefined
  }

  return {
    async recordChange({ intent, event, audit, endsUpload }) {
      for (const other of rows.intents.values()) {
        if (meet(other.deed, intent.deed)) throw new AppError('path_busy', 'another change of this path is open')
      }
      rows.intents.set(intent.id, intent)
      rows.events.set(event.id, { draft: event, state: 'held' })
      rows.audit.push(audit)
      if (endsUpload !== null) rows.partials.delete(endsUpload)
      addUsage(intent.usage, 1)
      return { eventId: event.id, deliveries: [] }
    },
    async closeIntent(named) {
      const intent = own(named)
      if (intent === undefined) return
      rows.intents.delete(intent.id)
      rows.events.get(intent.eventId)!.state = 'said'
    },
    async undoIntent(named, audit) {
      const intent = own(named)
      if (intent === undefined) return
      rows.intents.delete(intent.id)
      rows.events.get(intent.eventId)!.state = 'void'
      rows.audit.push(audit)
      addUsage(intent.usage, -1)
    },
    findIntent: async (id) => rows.intents.get(id),
    async takeIntents(node, limit) {
      const taken = [...rows.intents.values()].filter((intent) => intent.node !== node).slice(0, limit)
      return taken.map((intent) => {
        const mine = { ...intent, node }
        rows.intents.set(intent.id, mine)
        return mine
      })
    },
    async recordFact(event, audit) {
      rows.events.set(event.id, { draft: event, state: 'said' })
      rows.audit.push(audit)
    },
    async savePartial(partial) {
      rows.partials.set(partial.id, partial)
    },
    async takePartial(id, node) {
      const partial = rows.partials.get(id)
      if (partial === undefined || !isNobodys(partial)) return undefined
      const mine = { ...partial, node }
      rows.partials.set(id, mine)
      return mine
    },
    async removePartial(id) {
      rows.partials.delete(id)
    },
    async findPartial(userId, path) {
      const found = [...rows.partials.values()].filter((row) => isNobodys(row) && row.userId === userId && row.path === path)
      return found.sort(newestFirst)[0]
    },
    async listPartials(userId, folder, limit) {
      const lies = (row: Partial) => folderOf(fromStoredPath(row.path)).equals(fromStoredPath(folder))
      const found = [...rows.partials.values()].filter((row) => isNobodys(row) && row.userId === userId && lies(row))
      return found.sort(newestFirst).slice(0, limit)
    },
    async releasePartials(node) {
      const left = [...rows.partials.values()].filter((row) => row.node !== null && row.node !== node)
      for (const row of left) rows.partials.set(row.id, { ...row, node: null })
      return left.length
    },
    async keptTemporaries(olderThan) {
      for (const row of rows.partials.values()) if (isNobodys(row) && row.updatedAt < olderThan) rows.partials.delete(row.id)
      const ofIntents = [...rows.intents.values()].flatMap(({ deed }) => (deed.kind === 'place' ? [deed.temporary] : []))
      return [...ofIntents, ...[...rows.partials.values()].map((row) => row.temporary)]
    },
  }
}

function meet(a: Deed, b: Deed): boolean {
  const below = (deed: Deed, path: Buffer, above: Buffer) =>
    path.equals(above) || ((deed.kind === 'rename' || deed.kind === 'rmdir') && pathBelow(above, path) !== undefined)
  return pathsOf(a).some((path) => pathsOf(b).some((other) => below(a, other, path) || below(b, path, other)))
}

function pathsOf(deed: Deed): Buffer[] {
  return (deed.kind === 'rename' ? [deed.path, deed.to] : [deed.path]).map(fromStoredPath)
}

export interface World {
  /** The storage on the disk. */
  readonly folder: string
  /** The home of `user` on the disk. */
  readonly home: string
  readonly rows: Rows
  user: User
  files: Files
  space: Space
  /** Ends this process as a stop would, and starts the next on the same disk and rows. */
  restart(): Promise<void>
  /** Events that are said, oldest first, as type and path. */
  said(): string[]
  /** `data` of the last said event of a type. */
  lastData(type: string): Record<string, unknown> | undefined
  end(): Promise<void>
}

export interface WorldOptions {
  clock?: Clock
  byDescriptor?: boolean
  permissions?: Permission[]
  /** Puts something between the files and what they stand on. */
  wrapStore?: (store: FileStore) => FileStore
  wrapBackend?: (backend: Backend) => Backend
  reach?: FilesOptions['reach']
}

let nodes = 0

/** Files over a fresh folder and an empty store, with one user in one session. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { clock = systemClock, wrapStore = (store) => store, wrapBackend = (backend) => backend } = options
  const folder = mkdtempSync(join(tmpdir(), 'landfall-files-'))
  const rows = emptyRows()

  function start(): Files {
    const backend = createLocalBackend({
      folder,
      ...(options.byDescriptor === undefined ? {} : { byDescriptor: options.byDescriptor }),
    })
    return createFiles({
      storage: wrapBackend(backend),
      store: wrapStore(memoryStore(rows)),
      audit: { append: (entries) => rows.audit.push(...entries) },
      recorder: createRecorder(clock),
      ...{ clock, log: silentLog, node: `node_${++nodes}` },
      ...(options.reach === undefined ? {} : { reach: options.reach }),
    })
  }

  const world: World = {
    folder,
    home: join(folder, 'acme/pipeline'),
    rows,
    user: testUser(options.permissions),
    files: start(),
    space: undefined as unknown as Space,
    async restart() {
      await world.files.stop()
      world.files = start()
      await world.files.recover()
      world.space = openSession(world)
    },
    said: () =>
      [...rows.events.values()].filter(({ state }) => state === 'said').map(({ draft }) => `${draft.type} ${draft.data.path}`),
    lastData(type) {
      const events = [...rows.events.values()].filter(({ draft, state }) => state === 'said' && draft.type === type)
      return events.at(-1)?.draft.data
    },
    async end() {
      await world.space.close()
      await world.files.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await world.files.recover()
  world.space = openSession(world)
  return world
}

/** Another session of the same user; permissions are those of `world.user` at each call. */
export function openSession(world: World): Space {
  const session = {
    get user() {
      return world.user
    },
    address: '203.0.113.5',
    door: 'sftp',
  } as const
  return world.files.openSpace(session)
}

function testUser(permissions: Permission[] = ['list', 'read', 'write', 'delete']): User {
  return {
    ...{ id: 'usr_1', accountId: 'acc_1', accountSlug: 'acme', name: 'pipeline', passwordHash: null, publicKeys: [] },
    ...{ home: '/acme/pipeline', permissions, disabled: false, createdAt: 0, updatedAt: 0 },
  }
}

export const PUT: WriteOptions = { create: true, exclusive: false, truncate: true, append: false }
export const RESUME: WriteOptions = { create: true, exclusive: false, truncate: false, append: false }

/** Uploads a whole file. */
export async function put(space: Space, path: string | Buffer, content: string | Buffer, options = PUT): Promise<void> {
  const handle = await space.openWrite(Buffer.from(path as string), options)
  await handle.write([Buffer.from(content as string)], 0)
  await handle.close()
}

/** Downloads a whole file. */
export async function get(space: Space, path: string | Buffer): Promise<Buffer> {
  const handle = await space.openRead(Buffer.from(path as string))
  const parts: Buffer[] = []
  for (let offset = 0; ; ) {
    const into = Buffer.alloc(65536)
    const read = await handle.read(into, offset)
    if (read === 0) break
    parts.push(into.subarray(0, read))
    offset += read
  }
  await handle.close()
  return Buffer.concat(parts)
}

/** The names in a folder, sorted. */
export async function list(space: Space, path: string): Promise<string[]> {
  const folder = await space.openDirectory(Buffer.from(path))
  const names: string[] = []
  for (let entries = await folder.next(100); entries.length > 0; entries = await folder.next(100)) {
    names.push(...entries.map(({ name }) => name.toString()))
  }
  await folder.close()
  return names.sort()
}
