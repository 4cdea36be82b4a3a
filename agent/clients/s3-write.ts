import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type Part,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { MIB } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import { type PartialFile, type Piece, TICKET_CHARACTERS_MAX, type WriteOptions } from './client.ts'
import type { S3Bucket } from './s3-bucket.ts'

/** Bytes of a part: all but the last have the same, as some servers want it. At least 5 MiB by S3's own rule. */
const PART_BYTES = 8 * MIB
/** S3 puts so many parts together, at most. */
const PARTS_MAX = 10_000
/** Parts of a file whose size nobody knows: enough for 625 GiB. */
const PART_BYTES_UNKNOWN = 64 * MIB
/** Larger parts are not gathered while one is on its way. */
const GATHERED_BESIDE_BYTES_MAX = 16 * MIB
/** 10,000 parts in pages of 1,000, and more for servers with smaller ones. */
const PART_PAGES_MAX = 100

/** Where an upload goes. */
export interface UploadTarget {
  readonly bucket: S3Bucket
  readonly key: string
  /** `Writing “/a”`. */
  readonly doing: string
  /** Ends everything but the putting away. */
  readonly signal: AbortSignal
  /** Bytes of what is at the key; undefined: the server does not tell. */
  storedBytes(): Promise<number | undefined>
}

/**
 * An object on its way. What fits into one part is put by one request at the commit; more than that is a multipart upload, which shows at its key when it is
 * completed, and whose id (the ticket) finds it again. One part is on its way while the next one is gathered: two parts are in memory, and above 80 GiB, where parts
 * grow so that 10,000 suffice, at last only one. An upload whose ticket was lost by a crash is invisible and costs room until the bucket's lifecycle rule for
 * incomplete uploads removes it.
 */
export class S3Upload implements PartialFile {
  readonly bytes: number
  readonly pieces: readonly Piece[]
  readonly #target: UploadTarget
  readonly #options: WriteOptions
  readonly #partBytes: number
  readonly #parts: CompletedPart[]
  readonly #giveUp = new AbortController()
  #uploadId: string | undefined
  /** Bytes taken, those of earlier attempts too. */
  #position: number
  #buffer: Buffer | undefined
  #filled = 0
  #creating: Promise<unknown> = Promise.resolve()
  #sending: Promise<void> = Promise.resolve()

  /** What an earlier attempt left is gone on with, or is removed. */
  static async open(target: UploadTarget, options: WriteOptions): Promise<S3Upload> {
    const { ticket, resumes } = options
    if (ticket === undefined) return new S3Upload(target, options)
    const parts = resumes ? await partsOf(target, ticket) : []
    if (parts.length > 0) return new S3Upload(target, options, ticket, parts)
    await abort(target, ticket)
    return new S3Upload(target, options)
  }

  private constructor(target: UploadTarget, options: WriteOptions, ticket?: string, parts: readonly Part[] = []) {
    this.#target = target
    this.#options = options
    this.#partBytes = partBytesFor(options.size)
    this.#uploadId = ticket
    this.#parts = parts.map(completed)
    this.pieces = parts.map(pieceOf)
    this.bytes = this.pieces.reduce((sum, piece) => sum + piece.bytes, 0)
    this.#position = this.bytes
  }

  get ticket(): string | undefined {
    return this.#uploadId
  }

  /** Told of each piece only. */
  async hash(): Promise<undefined> {
    return undefined
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      this.#buffer ??= Buffer.allocUnsafeSlow(this.#bufferBytes())
      const taken = chunk.subarray(from, from + this.#buffer.length - this.#filled)
      this.#buffer.set(taken, this.#filled)
      this.#filled += taken.length
      this.#position += taken.length
      from += taken.length
      // The end of the file waits for the commit.
      if (this.#filled === this.#buffer.length && this.#position !== this.#options.size) await this.#sendPart()
    }
  }

  async commit(size: number, sha256: string): Promise<void> {
    if (this.#position !== size) {
      throw new TransferFailure('CHECKSUM_MISMATCH', `The upload took ${this.#position} of ${size} bytes.`)
    }
    if (this.#uploadId === undefined) await this.#put(sha256)
    else await this.#complete(this.#uploadId)
    const stored = (await this.#target.storedBytes()) ?? size
    if (stored !== size) throw new TransferFailure('CHECKSUM_MISMATCH', `The destination stored ${stored} of ${size} bytes.`)
  }

  async suspend(): Promise<void> {
    this.#giveUp.abort()
    await Promise.allSettled([this.#creating, this.#sending])
    this.#buffer = undefined
  }

  async discard(): Promise<void> {
    await this.suspend()
    if (this.#uploadId !== undefined) await abort(this.#target, this.#uploadId)
  }

  async #complete(uploadId: string): Promise<void> {
    if (this.#filled > 0) await this.#sendPart()
    await this.#sending
    const { bucket, key, doing, signal } = this.#target
    const upload = { Bucket: bucket.name, Key: key, UploadId: uploadId, MultipartUpload: { Parts: this.#parts } }
    await bucket.ask(doing, { signal }, (client, options) => client.send(new CompleteMultipartUploadCommand(upload), options))
  }

  #bufferBytes(): number {
    const { size } = this.#options
    return size === null || size <= this.#position ? this.#partBytes : Math.min(this.#partBytes, size - this.#position)
  }

  async #put(sha256: string): Promise<void> {
    const { bucket, key, doing, signal } = this.#target
    const body = this.#buffer?.subarray(0, this.#filled) ?? Buffer.alloc(0)
    const hash = createHash('sha256').update(body).digest()
    if (hash.toString('hex') !== sha256) {
      throw new TransferFailure(
        'CHECKSUM_MISMATCH',
        `What is to be stored has SHA-256 ${hash.toString('hex')} instead of ${sha256}.`,
      )
    }
    const object = { Bucket: bucket.name, Key: key, Body: body, ChecksumSHA256: hash.toString('base64'), ...this.#metadata() }
    await bucket.ask(doing, { signal, bytes: body.length }, (client, options) =>
      client.send(new PutObjectCommand(object), options),
    )
  }

  /** Waits for the part before; the failure of one shows with the next, or with the commit. */
  async #sendPart(): Promise<void> {
    const body = this.#buffer!.subarray(0, this.#filled)
    await this.#sending
    await this.#create()
    this.#buffer = undefined
    this.#filled = 0
    this.#sending = this.#upload(body)
    this.#sending.catch(() => undefined)
    if (this.#partBytes > GATHERED_BESIDE_BYTES_MAX) await this.#sending
  }

  /** Not given up on its way: an upload that nobody knows would stay. */
  async #create(): Promise<void> {
    if (this.#uploadId !== undefined) return
    this.#giveUp.signal.throwIfAborted()
    const { bucket, key, doing, signal } = this.#target
    const object = { Bucket: bucket.name, Key: key, ChecksumAlgorithm: 'SHA256', ...this.#metadata() } as const
    const creating = bucket.ask(doing, { signal }, (client, options) =>
      client.send(new CreateMultipartUploadCommand(object), options),
    )
    this.#creating = creating.then(({ UploadId }) => {
      if (UploadId === undefined || UploadId.length > TICKET_CHARACTERS_MAX) {
        throw new TransferFailure('PROTOCOL_ERROR', `${doing} failed: the server gave the upload no id.`)
      }
      this.#uploadId = UploadId
    })
    await this.#creating
  }

  async #upload(body: Buffer): Promise<void> {
    const { bucket, key, doing } = this.#target
    const signal = AbortSignal.any([this.#target.signal, this.#giveUp.signal])
    const number = this.#parts.length + 1
    const checksum = createHash('sha256').update(body).digest('base64')
    const part = {
      ...{ Bucket: bucket.name, Key: key, UploadId: this.#uploadId!, PartNumber: number },
      ...{ Body: body, ChecksumSHA256: checksum },
    }
    const { ETag } = await bucket.ask(doing, { signal, bytes: body.length }, (client, options) =>
      client.send(new UploadPartCommand(part), options),
    )
    this.#parts.push({ PartNumber: number, ETag, ChecksumSHA256: checksum })
  }

  /** The time as rclone and others write it: seconds with a fraction. */
  #metadata(): { Metadata: Record<string, string> } {
    const { id, modifiedAt } = this.#options
    return { Metadata: { [TRANSFER]: id, ...(modifiedAt !== null && { [MTIME]: String(modifiedAt / 1000) }) } }
  }
}

/** Key of the user metadata that has the time of the content. */
export const MTIME = 'mtime'
/** Key of the user metadata that has the id of the transfer: an object that is read by one way and written by another is known again. */
export const TRANSFER = 'landfall-transfer'

export function partBytesFor(size: number | null): number {
  if (size === null) return PART_BYTES_UNKNOWN
  return Math.max(PART_BYTES, Math.ceil(size / PARTS_MAX / MIB) * MIB)
}

/** The first parts without a gap of those that are there; none where the server cannot tell, or the upload is gone. */
async function partsOf({ bucket, key, doing, signal }: UploadTarget, uploadId: string): Promise<Part[]> {
  const found: Part[] = []
  let after: string | undefined
  for (let page = 0; page < PART_PAGES_MAX; page++) {
    const query = { Bucket: bucket.name, Key: key, UploadId: uploadId, PartNumberMarker: after }
    const listed = await bucket
      .ask(doing, { signal }, (client, options) => client.send(new ListPartsCommand(query), options))
      .catch(forgotten)
    for (const part of listed?.Parts ?? []) {
      if (part.PartNumber !== found.length + 1 || !isPiece(part)) return found
      found.push(part)
    }
    after = listed?.NextPartNumberMarker
    if (!listed?.IsTruncated || after === undefined) break
  }
  return found
}

/** There are servers that know uploads and not their parts; without them, the file begins anew. */
function forgotten(error: TransferFailure): undefined {
  if (FORGOTTEN.has(error.code)) return undefined
  throw error
}
const FORGOTTEN: ReadonlySet<string> = new Set(['NOT_FOUND', 'UNSUPPORTED', 'PERMISSION_DENIED', 'PROTOCOL_ERROR'])

/** One that is gone is fine. Whatever else fails here is no reason to fail: the upload is invisible. */
async function abort({ bucket, key, doing, signal }: UploadTarget, uploadId: string): Promise<void> {
  const upload = { Bucket: bucket.name, Key: key, UploadId: uploadId }
  await bucket
    .ask(doing, { signal }, (client, options) => client.send(new AbortMultipartUploadCommand(upload), options))
    .catch(forgotten)
}

function isPiece({ Size = 0, ETag, ChecksumSHA256 }: Part): boolean {
  return Size > 0 && ETag !== undefined && (ChecksumSHA256 !== undefined || MD5.test(ETag))
}

/** The tag of a part is its MD5, but where the server encrypts with keys of its own. */
const MD5 = /^"?([0-9a-f]{32})"?$/

function pieceOf({ Size, ETag, ChecksumSHA256 }: Part): Piece {
  return ChecksumSHA256 === undefined
    ? { bytes: Size!, algorithm: 'md5', hash: MD5.exec(ETag!)![1]! }
    : { bytes: Size!, algorithm: 'sha256', hash: Buffer.from(ChecksumSHA256, 'base64').toString('hex') }
}

function completed({ PartNumber, ETag, ChecksumSHA256 }: Part): CompletedPart {
  return { PartNumber, ETag, ...(ChecksumSHA256 !== undefined && { ChecksumSHA256 }) }
}
