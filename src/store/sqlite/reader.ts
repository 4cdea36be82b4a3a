import { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import { kyselyOver } from '../kysely.ts'
import type { Tables } from '../tables.ts'
import { coldUnits } from '../units/cold.ts'
import { READS } from '../units/names.ts'
import type { Reading } from '../work.ts'
import { type Connection, openReader } from './database.ts'
import { SAID_END } from './position.ts'
import { type Answer, type Answers, answer, type Call, failure } from './protocol.ts'
import { STORED_BYTES } from './size.ts'

type Read = (work: Reading, ...args: unknown[]) => Promise<unknown>
const UNITS = new Map<string, Read>(READS.map((name) => [name, coldUnits[name] as unknown as Read]))

/**
 * Answers what only reads, one call after the other, each on one snapshot, so that a long list holds up other lists and no write.
 * It also writes the journal back, for the same reason: a checkpoint beside the writer costs it nothing.
 */
export class Reader {
  #connection: Connection
  #checkpoints: DatabaseSync
  #db: Kysely<Tables>

  constructor(file: string) {
    this.#connection = openReader(file)
    this.#checkpoints = new DatabaseSync(file)
    this.#checkpoints.exec('pragma synchronous = full')
    this.#db = kyselyOver('sqlite', this.#connection.execute)
  }

  async runGroup(calls: readonly Call[]): Promise<Answers> {
    const answers: Answer[] = []
    for (const call of calls) answers.push(await this.#run(call))
    return { answers, nudged: [], checkpoint: false }
  }

  async #run([id, name, args]: Call): Promise<Answer> {
    if (name === 'checkpoint') return answer(id, this.#checkpoint())
    try {
      const unit = UNITS.get(name)
      if (unit === undefined) throw new Error(`the reader has no unit ${name}`)
      this.#connection.prepare('begin').run()
      return answer(id, await unit({ db: this.#db, saidEnd: SAID_END, storedBytes: STORED_BYTES }, ...args))
    } catch (error) {
      return failure(id, error)
    } finally {
      if (this.#connection.db.isTransaction) this.#connection.prepare('rollback').run()
    }
  }

  #checkpoint(): void {
    this.#checkpoints.exec('pragma wal_checkpoint(passive)')
  }

  close(): void {
    this.#checkpoints.close()
    this.#connection.db.close()
  }
}
