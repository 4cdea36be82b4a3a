import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { MINUTE_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { HttpEndpoint } from '../../src/wire/agent/work.ts'
import type { Client, FileFacts, WriteOptions } from './client.ts'
import { dismiss, expectStatus, HttpConnections, type HttpRequest } from './http-connections.ts'
import { checkPlain, encodingOf } from './http-encoding.ts'
import { HttpUpload } from './http-put.ts'
import { httpFailure, statusFailure } from './http-status.ts'
import { idleConnections } from './idle.ts'
import { type IncomingOptions, incoming } from './incoming.ts'
import type { ClientContext } from './open.ts'

/**
 * Single files of an HTTP server: read by GET, written by PUT, removed by DELETE. HTTP has no folders, so there is nothing to list, and no renaming. Nothing is
 * asked before the first call: wrong credentials show there.
 */
export async function openHttp(endpoint: HttpEndpoint, context: ClientContext): Promise<Client> {
  const { clock, signal } = context
  const connections = idleConnections.take<HttpConnections>(endpoint) ?? new HttpConnections(endpoint)
  const files = new HttpFiles(connections, context)
  return {
    stat: (path) => files.stat(path),
    list() {
      throw new TransferFailure('UNSUPPORTED', 'HTTP cannot list files: name one, without * and ?.')
    },
    read: (path, offset) => files.read(path, offset),
    write: (path, options) => files.write(path, options),
    remove: (path) => files.remove(path),
    async move() {
      throw new TransferFailure('UNSUPPORTED', 'HTTP cannot move a file on the server: keep it, or delete it.')
    },
    hash: (path) => files.hash(path),
    async close() {
      if (signal.aborted) connections.close()
      else idleConnections.keep(endpoint, connections, clock)
    },
  }
}

type Call = Omit<HttpRequest, 'signal'>

class HttpFiles {
  readonly #connections: HttpConnections
  readonly #context: ClientContext
  /** What was last told of a path: what is read later must still be that. */
  readonly #seen = new Map<string, Validators>()
  /** Hashes that came with what GET brought, for servers whose HEAD tells none. */
  readonly #told = new Map<string, string>()
  /** What was read to its end, for servers that tell no length: that need not be read once more to know it. */
  readonly #counted = new Map<string, SizedValidators>()

  constructor(connections: HttpConnections, context: ClientContext) {
    this.#connections = connections
    this.#context = context
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    const doing = `Looking at ${shown(path)}`
    const head = await this.#head(path, doing)
    if (head === 'nothing') return undefined
    const told = isSized(head) ? head : (this.#readBefore(path, head, doing) ?? (await this.#lookByGet(path, doing)))
    if (told === 'nothing') return undefined
    this.#seen.set(path, told)
    const { size, modifiedAt, tag } = told
    return { kind: 'file', size, modifiedAt, ...(tag !== undefined && { tag }) }
  }

  /**
   * From `offset` on of what was last looked at. A server that knows no ranges sends all of it, and the beginning is passed over; one that has something else by now,
   * or sends another part than was asked for, fails.
   */
  async read(path: string, offset: number): Promise<Readable> {
    const doing = `Reading ${shown(path)}`
    const seen = this.#seen.get(path)
    const range = offset > 0 && { range: `bytes=${offset}-`, ...(seen?.tag !== undefined && { 'if-range': seen.tag }) }
    const answer = await this.#send({ method: 'GET', path, doing, headers: { ...WITH_DIGEST, ...range } })
    if (offset > 0 && answer.statusCode === 416) {
      await dismiss(answer)
      return Readable.from([])
    }
    await expectStatus(answer, (status) => status === 200 || (status === 206 && offset > 0), doing)
    const now = validatorsOf(answer)
    try {
      checkPlain(answer, path, doing)
      checkSame(seen, now, doing)
      if (answer.statusCode === 206) checkRange(answer, offset, seen, doing)
      this.#remember(path, answer)
    } catch (error) {
      await dismiss(answer)
      throw error
    }
    const skip = answer.statusCode === 200 ? offset : 0
    return this.#bodyOf(answer, doing, {
      skip,
      ended: (bytes) => {
        if (sizeIn(answer) === undefined) this.#counted.set(path, { ...now, size: offset + bytes })
      },
    })
  }

  async write(path: string, options: WriteOptions): Promise<HttpUpload> {
    const doing = `Writing ${shown(path)}`
    const { signal } = this.#context
    const upload = new HttpUpload(options, {
      send: (body, headers) => this.#send({ method: 'PUT', path, body, headers, doing }),
      lookAt: () => this.#lookAfter(path),
      failureOf: (error) => httpFailure(error, doing, signal),
      doing,
    })
    if (options.size === null || options.size > ASKED_BEFORE_BYTES) await this.#askBefore(path, doing)
    return upload
  }

  async remove(path: string): Promise<void> {
    const doing = `Deleting ${shown(path)}`
    const answer = await this.#send({ method: 'DELETE', path, doing })
    await expectStatus(answer, (status) => isSuccess(status) || isNothing(status), doing)
    await dismiss(answer)
  }

  async hash(path: string): Promise<string | undefined> {
    const doing = `Asking for the hash of ${shown(path)}`
    const answer = await this.#send({ method: 'HEAD', path, doing, headers: FRESH })
    await dismiss(answer)
    if (answer.statusCode === 200) return digestOf(answer) ?? this.#told.get(path)
    if (isWithoutHead(answer.statusCode)) return this.#told.get(path)
    throw statusFailure(answer.statusCode, doing)
  }

  #remember(path: string, answer: Dispatcher.ResponseData): void {
    const digest = digestOf(answer)
    if (digest !== undefined) this.#told.set(path, digest)
  }

  /** Undefined: there is no HEAD. */
  async #head(path: string, doing: string): Promise<Validators | 'nothing' | undefined> {
    const answer = await this.#send({ method: 'HEAD', path, doing, headers: FRESH })
    await dismiss(answer)
    if (isNothing(answer.statusCode)) return 'nothing'
    if (isWithoutHead(answer.statusCode)) return undefined
    if (!isSuccess(answer.statusCode)) throw statusFailure(answer.statusCode, doing)
    checkPlain(answer, path, doing)
    return { ...validatorsOf(answer), size: lengthOf(answer) }
  }

  /** What was read to its end tells how long it is, unless HEAD says that the server has another content by now. */
  #readBefore(path: string, head: Validators | undefined, doing: string): SizedValidators | undefined {
    const counted = this.#counted.get(path)
    if (counted !== undefined && head !== undefined) checkSame(counted, head, doing)
    return counted
  }

  /**
   * From the headers of an answer with as little of the body as the server lets be. One that tells no length at all is read to its end and counted: how long a file
   * is decides whether there is room for it, whether all of it came, and whether it stayed the same.
   */
  async #lookByGet(path: string, doing: string): Promise<SizedValidators | 'nothing'> {
    const answer = await this.#send({ method: 'GET', path, doing, headers: { ...FRESH, range: 'bytes=0-0' } })
    if (isNothing(answer.statusCode)) {
      await dismiss(answer)
      return 'nothing'
    }
    const size = answer.statusCode === 416 ? (sizeIn(answer) ?? 0) : sizeIn(answer)
    const isGood = (status: number) => status === 200 || (status === 206 && size !== undefined) || status === 416
    await expectStatus(answer, isGood, doing)
    try {
      if (answer.statusCode !== 416) {
        checkPlain(answer, path, doing)
        this.#remember(path, answer)
      }
      return { ...validatorsOf(answer), size: size ?? (await this.#count(answer, doing)) }
    } finally {
      answer.body.on('error', () => {}).destroy()
    }
  }

  async #count(answer: Dispatcher.ResponseData, doing: string): Promise<number> {
    const body = this.#bodyOf(answer, doing)
    const cancel = this.#context.clock.after(COUNTING_MS_MAX, () => {
      const told = `the server does not say how long it is, and it did not end within ${COUNTING_MS_MAX / MINUTE_MS} minutes`
      body.destroy(new TransferFailure('UNSUPPORTED', `${doing} failed: ${told}.`))
    })
    try {
      let bytes = 0
      for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.length
      return bytes
    } finally {
      cancel()
    }
  }

  #bodyOf({ body }: Dispatcher.ResponseData, doing: string, how: Pick<IncomingOptions, 'skip' | 'ended'> = {}): Readable {
    const { clock, signal } = this.#context
    return incoming(body, { ...how, doing, clock, failureOf: (error) => httpFailure(error, doing, signal) })
  }

  /** What is there after a PUT, where the server tells: it may well let nobody read what he wrote. */
  async #lookAfter(path: string): Promise<{ size: number | undefined; sha256: string | undefined }> {
    const answer = await this.#send({ method: 'HEAD', path, doing: `Looking at ${shown(path)}`, headers: FRESH })
    await dismiss(answer)
    // Of what is compressed on the way, length and hash are not those of what was stored.
    const isTold = answer.statusCode === 200 && encodingOf(answer) === undefined
    return { size: isTold ? lengthOf(answer) : undefined, sha256: isTold ? digestOf(answer) : undefined }
  }

  /** A server that refuses a large PUT early may break the line before its answer is read; what it thinks of the credentials is asked before. */
  async #askBefore(path: string, doing: string): Promise<void> {
    const answer = await this.#send({ method: 'HEAD', path, doing })
    await dismiss(answer)
    if (answer.statusCode === 401) throw statusFailure(401, doing)
  }

  #send(call: Call): Promise<Dispatcher.ResponseData> {
    return this.#connections.send({ ...call, signal: this.#context.signal })
  }
}

/** A PUT of more bytes than these is preceded by the question whether the credentials are right. */
const ASKED_BEFORE_BYTES = 1024 * 1024

/** A body whose length is not told gets this long to be counted, ms: one that never ends would be counted for ever. */
export const COUNTING_MS_MAX = 15 * MINUTE_MS

/** RFC 9530 §4. */
const WITH_DIGEST = { 'want-repr-digest': 'sha-256=10' } as const
/** What a cache on the way has may be old. */
const FRESH = { 'cache-control': 'no-cache', ...WITH_DIGEST } as const

/** What tells one content from another. */
interface Validators {
  readonly modifiedAt: number | null
  readonly tag: string | undefined
  readonly size: number | undefined
}
type SizedValidators = Validators & { readonly size: number }

function isSized(told: Validators | undefined): told is SizedValidators {
  return told?.size !== undefined
}

function validatorsOf({ headers }: Dispatcher.ResponseData): Validators {
  const modifiedAt = Date.parse(String(headers['last-modified']))
  const tag = String(headers.etag ?? '')
  return {
    modifiedAt: Number.isNaN(modifiedAt) ? null : modifiedAt,
    // A weak one (`W/"…"`) may stay while bytes change (RFC 9110 §8.8.1).
    tag: /^"[^"]*"$/.test(tag) ? tag : undefined,
    size: undefined,
  }
}

/** That what is read is what was looked at, as far as both say. */
function checkSame(seen: Validators | undefined, now: Validators, doing: string): void {
  const isOther =
    seen !== undefined &&
    (seen.tag !== undefined && now.tag !== undefined
      ? seen.tag !== now.tag
      : seen.modifiedAt !== null && now.modifiedAt !== null && seen.modifiedAt !== now.modifiedAt)
  if (isOther) throw new TransferFailure('SOURCE_CHANGED', `${doing} failed: the server has another content by now.`)
}

function checkRange(answer: Dispatcher.ResponseData, offset: number, seen: Validators | undefined, doing: string): void {
  const range = rangeOf(answer)
  if (range?.start !== offset) {
    const told = String(answer.headers['content-range']).slice(0, 100)
    throw new TransferFailure('PROTOCOL_ERROR', `${doing} failed: asked for bytes from ${offset} on, the server sends ${told}.`)
  }
  if (seen?.size !== undefined && range.whole !== undefined && range.whole !== seen.size) {
    throw new TransferFailure('SOURCE_CHANGED', `${doing} failed: the file has ${range.whole} bytes by now, not ${seen.size}.`)
  }
}

// RFC 9110 §14.4: `bytes 5-9/10`, or `bytes 5-9/*` where the whole is not known, and with status 416 `bytes */10`.
function rangeOf({ headers }: Dispatcher.ResponseData): { start: number | undefined; whole: number | undefined } | undefined {
  const [, start, whole] = /^bytes (?:(\d{1,15})-\d{1,15}|\*)\/(\d{1,15}|\*)$/i.exec(String(headers['content-range'])) ?? []
  if (whole === undefined) return undefined
  return { start: start === undefined ? undefined : Number(start), whole: whole === '*' ? undefined : Number(whole) }
}

/** Of the whole file, whether all of it comes or a part. */
function sizeIn(answer: Dispatcher.ResponseData): number | undefined {
  return answer.statusCode === 200 ? lengthOf(answer) : rangeOf(answer)?.whole
}

function lengthOf({ headers }: Dispatcher.ResponseData): number | undefined {
  const text = String(headers['content-length'])
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** SHA-256 of the whole file by RFC 9530; `Content-Digest` is of what this answer brings, which may be a part (§2). */
function digestOf({ headers, statusCode }: Dispatcher.ResponseData): string | undefined {
  for (const name of statusCode === 206 ? ['repr-digest'] : ['repr-digest', 'content-digest']) {
    const [, base64] = /(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(String(headers[name])) ?? []
    if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex')
  }
  return undefined
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function isNothing(status: number): boolean {
  return status === 404 || status === 410
}

/** GET decides. 403: a url that was signed for GET (S3, Google Cloud Storage) permits nothing else. */
function isWithoutHead(status: number): boolean {
  return status === 403 || status === 405 || status === 501
}

/** A path for people: a query may hold what gives access. */
function shown(path: string): string {
  return `“${path.replace(/\?.*$/s, '?…')}”`
}
