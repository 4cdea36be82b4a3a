import { PassThrough } from 'node:stream'
import type { Dispatcher } from 'undici'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { PartialFile, WriteOptions } from './client.ts'
import { dismiss, expectStatus } from './http-connections.ts'

interface UploadParts {
  send(body: PassThrough, headers: Record<string, string>): Promise<Dispatcher.ResponseData>
  /** What the server says of the file afterwards. */
  lookAt(): Promise<{ readonly size: number | undefined; readonly sha256: string | undefined }>
  failureOf(error: unknown): TransferFailure
  readonly doing: string
}

/**
 * A file on its way by PUT. The last chunk is held back until the commit: what breaks before is a body shorter than its length, which a server that goes by
 * RFC 9112 §8 does not store. What cannot be promised over HTTP: that the server replaces the old file in one step, and that a file that it stored wrongly (told by
 * size or digest after the commit) is not at its final name. Nothing can be gone on with: every attempt begins anew.
 */
export class HttpUpload implements PartialFile {
  readonly bytes = 0
  readonly #parts: UploadParts
  readonly #headers: Record<string, string>
  readonly #body = new PassThrough()
  #held: Uint8Array | undefined
  #taken = 0
  /** Resolves with a good answer; undefined: not begun. */
  #answer: Promise<void> | undefined
  #failure: TransferFailure | undefined

  constructor({ size, modifiedAt }: WriteOptions, parts: UploadParts) {
    this.#parts = parts
    this.#headers = {
      'content-type': 'application/octet-stream',
      ...(size !== null && { 'content-length': String(size) }),
      // Nextcloud and ownCloud take a time so, seconds since 1970 UTC.
      ...(modifiedAt !== null && { 'x-oc-mtime': String(Math.floor(modifiedAt / 1000)) }),
    }
    // Its errors are said by the request that it is the body of.
    this.#body.on('error', () => {})
  }

  async hash(): Promise<undefined> {
    return undefined
  }

  async append(chunk: Uint8Array): Promise<void> {
    const before = this.#held
    this.#held = chunk
    this.#taken += chunk.length
    if (before !== undefined) await this.#write(before)
  }

  async commit(size: number, sha256: string): Promise<void> {
    if (this.#taken !== size) throw new TransferFailure('CHECKSUM_MISMATCH', `The upload took ${this.#taken} of ${size} bytes.`)
    if (this.#held !== undefined) await this.#write(this.#held)
    const answer = this.#begin()
    this.#body.end()
    await answer
    const stored = await this.#parts.lookAt()
    if (stored.size !== undefined && stored.size !== size) {
      throw new TransferFailure('CHECKSUM_MISMATCH', `The destination stored ${stored.size} of ${size} bytes.`)
    }
    if (stored.sha256 !== undefined && stored.sha256 !== sha256) {
      throw new TransferFailure(
        'CHECKSUM_MISMATCH',
        `What the destination stored has SHA-256 ${stored.sha256} instead of ${sha256}.`,
      )
    }
  }

  suspend(): Promise<void> {
    return this.discard()
  }

  async discard(): Promise<void> {
    this.#failure ??= new TransferFailure('CANCELLED', 'The upload was given up.')
    this.#body.destroy(this.#failure)
    await this.#answer?.catch(() => {})
  }

  /** Waits where the server takes no more, but not once it has refused. */
  async #write(chunk: Uint8Array): Promise<void> {
    const answer = this.#begin()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#body.write(chunk)) return
    const body = this.#body
    await new Promise<void>((resolve, reject) => {
      body.once('drain', resolve)
      answer.then(resolve, reject).finally(() => body.off('drain', resolve))
    })
  }

  #begin(): Promise<void> {
    if (this.#answer === undefined) {
      this.#answer = this.#request()
      // Waited for where it matters; until then it is nobody's.
      this.#answer.catch(() => {})
    }
    return this.#answer
  }

  async #request(): Promise<void> {
    try {
      const answer = await this.#parts.send(this.#body, this.#headers)
      await expectStatus(answer, (status) => status >= 200 && status < 300, this.#parts.doing)
      await dismiss(answer)
      if (this.#body.writableEnded) return
      throw new TransferFailure(
        'PROTOCOL_ERROR',
        `${this.#parts.doing} failed: the server answered before it had the whole file.`,
      )
    } catch (error) {
      this.#failure ??= this.#parts.failureOf(error)
      this.#body.destroy()
      throw this.#failure
    }
  }
}
