import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** How far somebody has listened: what follows `cursor` was missed since `at`, ms since 1970 UTC. */
export interface Place {
  readonly cursor: string
  readonly at: number
}

/** What is listened to, so that each selection has a place of its own. */
export interface Selection {
  readonly place: string
  readonly events: string | undefined
  readonly account: string | undefined
  readonly webhook: string | undefined
}

/** Where programs keep what they know of earlier runs: https://specifications.freedesktop.org/basedir-spec/ */
export function stateFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment.XDG_STATE_HOME ?? ''
  return join(isAbsolute(named) ? named : join(homedir(), '.local', 'state'), 'landfall')
}

/**
 * Small files that only their owner can read: the place of each selection, and the secret of each server, so that a receiver that was
 * given it need not be told again. What cannot be read counts as not there.
 */
export class Memory {
  readonly #folder: string

  constructor(folder = stateFolder()) {
    this.#folder = folder
  }

  async place(selection: Selection): Promise<Place | undefined> {
    const { cursor, at } = (await this.#read(placeName(selection))) as Partial<Place>
    return typeof cursor === 'string' && typeof at === 'number' ? { cursor, at } : undefined
  }

  async keepPlace(selection: Selection, place: Place): Promise<void> {
    await this.#write(placeName(selection), { ...place, ...selection })
  }

  async secret(server: string): Promise<string | undefined> {
    const { secret } = (await this.#read(secretName(server))) as { secret?: unknown }
    return typeof secret === 'string' ? secret : undefined
  }

  async keepSecret(server: string, secret: string): Promise<void> {
    await this.#write(secretName(server), { place: server, secret })
  }

  async #read(name: string): Promise<object> {
    try {
      return Object(JSON.parse(await readFile(join(this.#folder, name), 'utf8')))
    } catch {
      return {}
    }
  }

  /** Whole or not at all, whenever the process dies. */
  async #write(name: string, content: object): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const path = join(this.#folder, name)
    const fresh = `${path}.${randomBytes(6).toString('hex')}`
    try {
      await writeFile(fresh, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: 'wx' })
      await rename(fresh, path)
    } catch (error) {
      await rm(fresh, { force: true })
      throw error
    }
  }
}

function placeName({ place, events, account, webhook }: Selection): string {
  const names = events?.split(',').toSorted() ?? null
  return `listen-${hashOf(JSON.stringify([place, names, account ?? null, webhook ?? null]))}.json`
}

function secretName(server: string): string {
  return `listen-secret-${hashOf(server)}.json`
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** Items end in any order; this is the cursor before which all of them have ended. */
export class Progress {
  #cursor: string | undefined
  #open: { cursor: string; isEnded: boolean }[] = []

  /** Undefined before the first. */
  get cursor(): string | undefined {
    return this.#cursor
  }

  /** An item was begun; the answer is to be called when it has ended. */
  begin(cursor: string): () => void {
    const entry = { cursor, isEnded: false }
    this.#open.push(entry)
    return () => {
      entry.isEnded = true
      while (this.#open[0]?.isEnded) this.#cursor = this.#open.shift()!.cursor
    }
  }

  /** The stream went over what was not asked for. */
  moved(cursor: string): void {
    this.begin(cursor)()
  }
}
