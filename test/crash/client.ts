import { KIB, MIB } from '../../src/base/units.ts'
import type { Random } from '../random.ts'
import { contentOf, hashOf } from './content.ts'
import { type Deed, type Entry, Tree, tookPlace } from './log.ts'
import { Cut, type Login, OPEN_MODE, Refused, Session } from './session.ts'

/** `many`: all kinds of changes of small files. `large`: uploads beyond the size at which partials are made durable. */
export type Habit = 'many' | 'large'

/** Steps of a round; a large upload weighs as much as many small changes. */
export const STEPS: Readonly<Record<Habit, number>> = { many: 10, large: 1 }

const SMALL_BYTES_MAX = 48 * KIB
/** A partial is made durable every 8 MiB: these reach it once or twice. */
const LARGE_BYTES = { least: 8 * MIB + 1, most: 18 * MIB } as const
const CHUNK_BYTES = 32 * KIB
/** Writes on their way at a time, sent in any order. */
const WRITES_IN_FLIGHT = 16
/** From here on a client removes before it adds. */
const FILES_MAX = 12
const LARGE_FILES_MAX = 1
const FOLDERS_MAX = 4

export interface ClientFacts {
  readonly log: readonly Entry[]
  /** What no client may ever see: refusals, torn files, partials that hold too much. */
  readonly faults: readonly string[]
  readonly resumed: number
}

type Upload = Extract<Deed, { kind: 'upload' }>

/**
 * A client of the storm: works on its own folder with a real SSH connection, one change after the other, until its steps are done
 * or the server is gone. After a restart it first finds out what became of the change that was cut, and finishes cut uploads.
 */
export class StormClient implements ClientFacts {
  readonly log: Entry[] = []
  readonly faults: string[] = []
  resumed = 0
  readonly #home: string
  readonly #habit: Habit
  readonly #random: Random
  readonly #login: Login
  readonly #tree = new Tree()
  #cut: Entry | undefined
  /** Paths of cut uploads: what is kept of one may show there later, so no other content is begun under the name. */
  readonly #uneasy = new Set<string>()
  #names = 0
  #session!: Session
  #onAcknowledged = () => {}
  #address = ''

  constructor(name: string, habit: Habit, login: Login, random: Random) {
    this.#home = `/${name}`
    this.#habit = habit
    this.#login = login
    this.#random = random
  }

  /** One round: resolves when all steps are done or the connection is cut, with which of the two; never rejects. */
  async work(address: string, tick: (what: 'acknowledged' | 'steps') => void): Promise<'done' | 'cut'> {
    this.#onAcknowledged = () => tick('acknowledged')
    return this.#connected(address, async () => {
      if (!this.#tree.folders.has(this.#home)) await this.#change({ kind: 'make_folder', path: this.#home })
      for (let step = 0; step < STEPS[this.#habit]; step++) {
        await this.#step()
        tick('steps')
      }
    })
  }

  /** The end of the storm: only finds out what became of the last change, and finishes a cut upload. */
  async conclude(address: string): Promise<void> {
    await this.#connected(address, async () => {})
    if (this.#cut !== undefined) this.faults.push(`${this.#home}: the last change could not be looked up`)
  }

  async #connected(address: string, work: () => Promise<void>): Promise<'done' | 'cut'> {
    this.#address = address
    try {
      this.#session = await Session.open(address, this.#login)
      await this.#learn()
      await work()
    } catch (error) {
      if (error instanceof Cut) return 'cut'
      this.faults.push(`${this.#home}: ${(error as Error).message}`)
    } finally {
      this.#session?.cut()
    }
    return 'done'
  }

  async #step(): Promise<void> {
    if (this.#habit === 'large') return this.#large()
    const { files, folders } = this.#tree
    const free = [...folders].filter((folder) => folder !== this.#home)
    const empty = free.filter((folder) => this.#tree.isEmpty(folder))
    const path = files.size > 0 ? this.#random.pick([...files.keys()]) : undefined
    if (path === undefined) return this.#upload(this.#newUpload(SMALL_BYTES_MAX))
    if (files.size >= FILES_MAX) return this.#change({ kind: 'remove', path })

    const choice = this.#random.between(1, 16)
    if (choice <= 5) return this.#upload(this.#newUpload(SMALL_BYTES_MAX))
    if (choice <= 8) return this.#upload(this.#describe(path, this.#otherSize(path)))
    if (choice <= 9) return this.#uploadInTwoSessions(this.#newUpload(SMALL_BYTES_MAX))
    if (choice <= 11) return this.#change({ kind: 'rename', from: path, path: this.#newName('f') })
    if (choice <= 12) return this.#change({ kind: 'rename', from: path, path: this.#random.pick([...files.keys()]) })
    if (choice <= 13) return this.#change({ kind: 'remove', path })
    if (choice <= 14 && empty.length > 0) return this.#change({ kind: 'remove_folder', path: this.#random.pick(empty) })
    if (choice <= 15 && free.length > 0)
      return this.#change({ kind: 'rename', from: this.#random.pick(free), path: this.#newFolder() })
    if (free.length < FOLDERS_MAX) return this.#change({ kind: 'make_folder', path: this.#newFolder() })
    return this.#readBack(path)
  }

  async #large(): Promise<void> {
    const [oldest] = this.#tree.files.keys()
    if (oldest !== undefined && this.#tree.files.size >= LARGE_FILES_MAX) await this.#change({ kind: 'remove', path: oldest })
    const upload = this.#newUpload(LARGE_BYTES.most, LARGE_BYTES.least)
    if (this.#random.chance(0.25)) await this.#uploadInTwoSessions(upload)
    else await this.#upload(upload)
  }

  /** Renames onto itself are skipped: they change nothing. */
  async #change(deed: Exclude<Deed, Upload>): Promise<void> {
    if (deed.kind === 'rename' && deed.from === deed.path) return
    await this.#told(this.#begin(deed), () => this.#ask(deed))
  }

  #ask(deed: Exclude<Deed, Upload>): Promise<void> {
    switch (deed.kind) {
      case 'remove':
        return this.#session.remove(deed.path)
      case 'make_folder':
        return this.#session.makeFolder(deed.path)
      case 'remove_folder':
        return this.#session.removeFolder(deed.path)
      case 'rename':
        return this.#tree.files.has(deed.path)
          ? this.#session.replace(deed.from, deed.path)
          : this.#session.rename(deed.from, deed.path)
    }
  }

  async #upload(upload: Upload): Promise<void> {
    await this.#told(this.#begin(upload), () => this.#send(upload, OPEN_MODE.WRITE | OPEN_MODE.CREAT | OPEN_MODE.TRUNC, 0))
  }

  /** Drops its connection in the middle, as a partner on a bad line, and goes on from what the server kept. */
  async #uploadInTwoSessions(upload: Upload): Promise<void> {
    this.#begin(upload)
    const flags = OPEN_MODE.WRITE | OPEN_MODE.CREAT | OPEN_MODE.TRUNC
    await this.#write(upload, await this.#session.open(upload.path, flags), 0, { share: this.#random.next() })
    this.#session.cut()
    this.#session = await Session.open(this.#address, this.#login)
    await this.#learn()
  }

  /** What became of the change that was cut? Uploads that did not take place are finished here. */
  async #learn(): Promise<void> {
    const entry = this.#cut
    if (entry === undefined) return
    const { deed } = entry
    this.#uneasy.add(deed.path)
    if (deed.kind === 'upload') return this.#learnOfUpload(entry, deed)
    const gone = deed.kind === 'rename' ? deed.from : deed.kind === 'make_folder' ? undefined : deed.path
    const happened = gone === undefined ? (await this.#session.look(deed.path)) !== undefined : !(await this.#isThere(gone))
    this.#end(entry, happened ? 'happened' : 'lost')
  }

  async #learnOfUpload(entry: Entry, upload: Upload): Promise<void> {
    const content = await this.#session.read(upload.path)
    const hash = content && hashOf(content)
    if (hash === upload.hash) return this.#end(entry, 'happened')
    const before = this.#tree.files.get(upload.path)
    if (hash !== before?.hash) {
      this.faults.push(
        `${upload.path}: after a cut upload it holds ${content?.length ?? 'no'} bytes that are neither the old nor the new file`,
      )
      return this.#end(entry, 'lost')
    }
    if (before !== undefined && this.#random.chance(0.5)) return this.#end(entry, 'lost')
    const kept = before === undefined ? await this.#kept(upload) : 0
    // A client that resumes always writes something: where all has arrived, the last byte again, which cannot be appended.
    const from = Math.min(kept, upload.bytes - 1)
    const flags = from > 0 ? this.#resumeFlags(from === kept) : OPEN_MODE.WRITE | OPEN_MODE.CREAT | OPEN_MODE.TRUNC
    await this.#told(entry, () => this.#send(upload, flags, Math.max(from, 0)))
    if (from > 0) this.resumed++
  }

  /** A file that is read: a partial does not count, it shows but cannot be read as a file. */
  async #isThere(path: string): Promise<boolean> {
    const found = await this.#session.look(path)
    if (found === undefined || found.isFolder) return found !== undefined
    return (await this.#session.read(path)) !== undefined
  }

  /** Bytes to go on from: what shows at the path. */
  async #kept(upload: Upload): Promise<number> {
    const bytes = (await this.#session.look(upload.path))?.bytes ?? 0
    if (bytes > upload.bytes)
      this.faults.push(`${upload.path}: a partial shows ${bytes} bytes, but ${upload.bytes} were sent at most`)
    return bytes
  }

  /** Clients differ in how they go on: OpenSSH writes at offsets, others open for appending. */
  #resumeFlags(mayAppend: boolean): number {
    const atOffsets = [OPEN_MODE.WRITE, OPEN_MODE.WRITE | OPEN_MODE.CREAT]
    return this.#random.pick(mayAppend ? [...atOffsets, OPEN_MODE.WRITE | OPEN_MODE.CREAT | OPEN_MODE.APPEND] : atOffsets)
  }

  async #send(upload: Upload, flags: number, from: number): Promise<void> {
    const handle = await this.#session.open(upload.path, flags)
    // What is appended lands in the order of arrival, so it is sent in order.
    await this.#write(upload, handle, from, { inOrder: (flags & OPEN_MODE.APPEND) !== 0 })
    await this.#session.close(handle)
  }

  /** Sends `share` of what is to be sent, in an order of its own: often with a chunk held back to the very end, so that there is a hole. */
  async #write(upload: Upload, handle: Buffer, from: number, { inOrder = false, share = 1 }): Promise<void> {
    const content = contentOf(contentName(upload), upload.bytes)
    let offsets: number[] = []
    for (let offset = from; offset < upload.bytes; offset += CHUNK_BYTES) offsets.push(offset)
    const heldBack = !inOrder && offsets.length > 0 && this.#random.chance(0.6) ? [this.#random.pick(offsets)] : []
    offsets = [...offsets.filter((offset) => !heldBack.includes(offset)), ...heldBack]
    offsets = offsets.slice(0, Math.ceil(offsets.length * share))
    for (let at = 0; at < offsets.length; at += WRITES_IN_FLIGHT) {
      const group = offsets.slice(at, at + WRITES_IN_FLIGHT)
      const order = inOrder || this.#random.chance(0.5) ? group : this.#random.shuffle(group)
      await Promise.all(
        order.map((offset) => this.#session.write(handle, content.subarray(offset, offset + CHUNK_BYTES), offset)),
      )
    }
  }

  async #readBack(path: string): Promise<void> {
    const content = await this.#session.read(path)
    if (content === undefined || hashOf(content) !== this.#tree.files.get(path)!.hash) {
      this.faults.push(`${path}: reading gave ${content?.length ?? 'no'} bytes that are not the file that was acknowledged`)
    }
  }

  #begin(deed: Deed): Entry {
    const entry: Entry = { deed, outcome: 'asked' }
    this.log.push(entry)
    this.#cut = entry
    return entry
  }

  async #told(entry: Entry, ask: () => Promise<void>): Promise<void> {
    try {
      await ask()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.faults.push(`${JSON.stringify(entry.deed)} was refused with status ${error.status}: ${error.message}`)
      return this.#end(entry, 'refused')
    }
    this.#end(entry, 'acknowledged')
    this.#onAcknowledged()
  }

  #end(entry: Entry, outcome: Entry['outcome']): void {
    entry.outcome = outcome
    this.#cut = undefined
    if (tookPlace(entry)) this.#tree.apply(entry.deed)
  }

  /** Now and then under a name that was removed before. */
  #newUpload(most: number, least = 0): Upload {
    const removed = this.#removedPaths()
    if (removed.length === 0 || this.#random.chance(0.8))
      return this.#describe(this.#newName('f'), this.#random.between(least, most))
    const path = this.#random.pick(removed)
    return this.#describe(path, this.#otherSize(path, most, least))
  }

  #removedPaths(): string[] {
    const { files, folders } = this.#tree
    const removed = this.log.flatMap(({ deed }) => (deed.kind === 'remove' ? [deed.path] : []))
    return removed.filter(
      (path) => !files.has(path) && !this.#uneasy.has(path) && folders.has(path.slice(0, path.lastIndexOf('/'))),
    )
  }

  /** Sizes of one path differ, so that path and size name the upload. */
  #otherSize(path: string, most = SMALL_BYTES_MAX, least = 1): number {
    const used = new Set(this.log.flatMap(({ deed }) => (deed.kind === 'upload' && deed.path === path ? [deed.bytes] : [])))
    for (;;) {
      const bytes = this.#random.between(least, most)
      if (!used.has(bytes)) return bytes
    }
  }

  #describe(path: string, bytes: number): Upload {
    return { kind: 'upload', path, bytes, hash: hashOf(contentOf(contentName({ path, bytes }), bytes)) }
  }

  #newName(kind: 'f' | 'd'): string {
    const folder = kind === 'f' ? this.#random.pick([...this.#tree.folders]) : this.#home
    return `${folder}/${kind}${++this.#names}`
  }

  #newFolder(): string {
    return this.#newName('d')
  }
}

function contentName({ path, bytes }: { path: string; bytes: number }): string {
  return `${path} ${bytes}`
}
