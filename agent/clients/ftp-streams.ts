import { PassThrough, Readable, Writable } from 'node:stream'
import { MIB, SECOND_MS } from '../../src/base/units.ts'
import type { AppendedFile } from './rename.ts'

/** What of a file is taken and not yet passed on, bytes. */
const WAITING_BYTES_MAX = MIB
/** A stopped upload may send what it has within this time, ms, so that the connection can be used again. */
const ABANDON_MS = 2 * SECOND_MS

/** A file that arrives: at its end only when the server has said that it was all. */
export class ArrivingFile extends Readable {
  readonly sink: Writable
  readonly #stop: () => void
  #isFinished = false
  #more: (() => void) | undefined

  /** `stop` is called when nobody wants the rest. */
  constructor(stop: () => void) {
    super({ highWaterMark: WAITING_BYTES_MAX })
    this.#stop = stop
    this.sink = new Writable({
      write: (chunk, _encoding, done) => {
        if (this.push(chunk)) done()
        else this.#more = done
      },
    })
  }

  finish(): void {
    this.#isFinished = true
    this.push(null)
  }

  /** Before it was handed out nobody listens; then whoever waits for it hears of the failure. */
  fail(error: Error): never {
    this.once('error', () => {})
    this.destroy(error)
    throw error
  }

  override _read(): void {
    const more = this.#more
    this.#more = undefined
    more?.()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isFinished) this.#stop()
    done(error)
  }
}

/** Bytes between whoever appends them and the data connection. What becomes of them is told by the transfer. */
export class UnsentBytes extends PassThrough {
  constructor() {
    super({ highWaterMark: WAITING_BYTES_MAX })
    this.on('error', () => {})
  }
}

/** A file that is sent while it is appended to. */
export class SentFile implements AppendedFile {
  readonly #source: UnsentBytes
  readonly #sent: Promise<void>
  readonly #cut: () => void

  constructor(source: UnsentBytes, sent: Promise<void>, cut: () => void) {
    this.#source = source
    this.#sent = sent
    this.#cut = cut
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (!this.#source.destroyed && this.#source.write(chunk)) return
    // Destroyed, it closes without ever having had room again: what ended it is what was sent's.
    if (!this.#source.destroyed) {
      await new Promise<void>((resolve) => {
        const go = () => {
          this.#source.off('drain', go)
          this.#source.off('close', go)
          resolve()
        }
        this.#source.on('drain', go)
        this.#source.on('close', go)
      })
    }
    if (this.#source.destroyed) await this.#sent
  }

  async finish(): Promise<undefined> {
    this.#source.end()
    await this.#sent
  }

  async abandon(): Promise<void> {
    this.#source.end()
    const cut = setTimeout(this.#cut, ABANDON_MS)
    await this.#sent.catch(() => {})
    clearTimeout(cut)
  }
}
