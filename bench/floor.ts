import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Pool } from 'undici'
import { mftplus } from '../src/dialects/mftplus.ts'
import { systemMs } from './receiver.ts'

/**
 * The least that the same promise can cost on this machine: the same syncs as an upload (file, folder of the
 * temporaries, one SQLite commit with `synchronous=FULL`, rename, both folders) and then one POST. No protocol,
 * no threads, no bookkeeping.
 */
export class Floor {
  readonly #uploads: string
  readonly #home: string
  readonly #folders: readonly FileHandle[]
  readonly #database: DatabaseSync
  readonly #pool: Pool
  readonly #path: string
  readonly #content: Buffer

  static async open(folder: string, url: string, fileBytes: number): Promise<Floor> {
    const [uploads, home] = [join(folder, 'uploads'), join(folder, 'home')]
    await mkdir(uploads)
    await mkdir(home)
    const folders = [await open(uploads), await open(home)]
    const database = new DatabaseSync(join(folder, 'floor.sqlite'))
    database.exec(
      'pragma journal_mode = wal; pragma synchronous = full; create table event (id text primary key, body text) strict',
    )
    return new Floor({ uploads, home, folders, database, url: new URL(url), fileBytes })
  }

  private constructor(parts: {
    uploads: string
    home: string
    folders: FileHandle[]
    database: DatabaseSync
    url: URL
    fileBytes: number
  }) {
    this.#uploads = parts.uploads
    this.#home = parts.home
    this.#folders = parts.folders
    this.#database = parts.database
    this.#pool = new Pool(parts.url.origin, { connections: 16 })
    this.#path = parts.url.pathname
    this.#content = Buffer.alloc(parts.fileBytes, 'order;amount;date\n')
  }

  /** One file, written before the clock starts, as a client has sent its bytes before it closes. Returns when that was. */
  async one(number: number): Promise<{ number: number; closedAt: number }> {
    const [uploads, home] = this.#folders as [FileHandle, FileHandle]
    const name = `file-${number}.bin`
    const file = await open(join(this.#uploads, name), 'wx')
    await file.write(this.#content)

    const closedAt = systemMs()
    await file.datasync()
    await uploads.sync()
    const body = Buffer.from(
      JSON.stringify({
        id: `whevt_${number}`,
        event: 'file.uploaded',
        timestamp: '2026-06-08T12:00:00Z',
        data: { path: `/${name}` },
      }),
    )
    this.#database.prepare('insert into event (id, body) values (?, ?)').run(name, body.toString())
    await rename(join(this.#uploads, name), join(this.#home, name))
    await Promise.all([uploads.sync(), home.sync()])
    const facts = {
      deliveryId: `dlv_${number}`,
      eventId: 'whevt_1a2b3c4d5e6f7g8h',
      secretBefore: null,
      eventType: 'file.uploaded',
      startedAt: Date.now(),
      body,
      secret: 'a secret of the benchmark',
    }
    const answer = await this.#pool.request({ method: 'POST', path: this.#path, headers: mftplus.headers(facts), body })
    await answer.body.text()
    await file.close()
    return { number, closedAt }
  }

  async close(): Promise<void> {
    await this.#pool.close()
    this.#database.close()
    for (const folder of this.#folders) await folder.close()
  }
}
