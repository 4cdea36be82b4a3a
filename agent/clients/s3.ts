import { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3'
import { GIB } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { S3Endpoint } from '../../src/wire/agent/work.ts'
import type { Client, Entry, FileFacts, PartialFile, WriteOptions } from './client.ts'
import { idleConnections } from './idle.ts'
import { incoming } from './incoming.ts'
import type { ClientContext } from './open.ts'
import { S3Bucket } from './s3-bucket.ts'
import { s3Failure, statusOf } from './s3-failure.ts'
import { MTIME, S3Upload, TRANSFER } from './s3-write.ts'

/** S3 copies no more than this by one request, bytes. */
const COPY_BYTES_MAX = 5 * GIB
/** Pages of a listing in a row without anything on them: a server may say for ever that there is one more. */
export const EMPTY_PAGES_MAX = 100

/** The objects of a bucket; folders are what their keys have before a `/`. Nothing is asked before the first call: wrong credentials show there. */
export async function openS3(endpoint: S3Endpoint, context: ClientContext): Promise<Client> {
  const { clock, signal } = context
  const bucket = idleConnections.take<S3Bucket>(endpoint) ?? new S3Bucket(endpoint)
  const files = new S3Files(bucket, context)
  return {
    stat: (path) => files.stat(path),
    list: (folder) => files.list(folder),
    read: (path, offset) => files.read(path, offset),
    write: (path, options) => files.write(path, options),
    remove: (path) => files.remove(path),
    move: (from, to) => files.move(from, to),
    movesByCopy: true,
    hash: (path) => files.hash(path),
    async close() {
      if (signal.aborted) bucket.close()
      else idleConnections.keep(endpoint, bucket, clock)
    },
  }
}

class S3Files {
  readonly #bucket: S3Bucket
  readonly #context: ClientContext
  /** Tags of what was last looked at: what is read later must still be that. */
  readonly #seen = new Map<string, string>()

  constructor(bucket: S3Bucket, context: ClientContext) {
    this.#bucket = bucket
    this.#context = context
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    const head = await this.#head(path, `Looking at “${path}”`)
    if (head === undefined) return undefined
    const { ContentLength = 0, LastModified, ETag, Metadata } = head
    if (ETag !== undefined) this.#seen.set(path, ETag)
    const transferId = Metadata?.[TRANSFER]
    const contentFrom = Number(Metadata?.[MTIME] ?? Number.NaN) * 1000
    return {
      kind: path.endsWith('/') ? 'folder' : 'file',
      size: ContentLength,
      modifiedAt: secondOf(LastModified),
      ...(Number.isFinite(contentFrom) && { contentFrom: Math.round(contentFrom) }),
      ...(ETag !== undefined && { tag: ETag }),
      ...(transferId !== undefined && { transferId }),
    }
  }

  async *list(folder: string): AsyncGenerator<Entry> {
    const doing = `Listing “${folder}”`
    const prefix = folder === '/' ? '' : `${keyOf(folder)}/`
    let after: string | undefined
    let isThere = prefix === ''
    let emptyPages = 0
    do {
      const query = { Bucket: this.#bucket.name, Prefix: prefix, Delimiter: '/', ContinuationToken: after }
      const listed = await this.#bucket.ask(doing, this.#context, (client, options) =>
        client.send(new ListObjectsV2Command(query), options),
      )
      const { CommonPrefixes = [], Contents = [] } = listed
      const isEmpty = CommonPrefixes.length + Contents.length === 0
      isThere ||= !isEmpty
      for (const { Prefix = '' } of CommonPrefixes) {
        yield { name: Prefix.slice(prefix.length, -1), kind: 'folder', size: 0, modifiedAt: null }
      }
      for (const { Key = '', Size = 0, LastModified, ETag } of Contents) {
        // Some tools store the folder itself, as an object of no bytes.
        if (Key === prefix) continue
        const tag = ETag === undefined ? {} : { tag: ETag }
        yield { name: Key.slice(prefix.length), kind: 'file', size: Size, modifiedAt: secondOf(LastModified), ...tag }
      }
      after = listed.IsTruncated ? listed.NextContinuationToken : undefined
      emptyPages = isEmpty ? emptyPages + 1 : 0
      if (emptyPages > EMPTY_PAGES_MAX) {
        throw new TransferFailure('PROTOCOL_ERROR', `${doing} failed: more than ${EMPTY_PAGES_MAX} empty pages in a row.`)
      }
    } while (after !== undefined)
    if (!isThere) throw new TransferFailure('NOT_FOUND', `There is no folder “${folder}” in the bucket.`)
  }

  /** From `offset` on of what was last looked at; another object by now fails. */
  async read(path: string, offset: number): Promise<Readable> {
    const doing = `Reading “${path}”`
    const { clock, signal } = this.#context
    const tag = this.#seen.get(path)
    const query = {
      ...this.#object(path),
      ...(offset > 0 && { Range: `bytes=${offset}-` }),
      ...(tag !== undefined && { IfMatch: tag }),
    }
    const answer = await this.#bucket
      .ask(doing, this.#context, (client, options) => client.send(new GetObjectCommand(query), options))
      .catch(beyondItsEnd)
    if (answer === undefined) return Readable.from([])
    const body = answer.Body as Readable
    if (offset > 0 && !answer.ContentRange?.startsWith(`bytes ${offset}-`)) {
      body.on('error', () => {}).destroy()
      throw new TransferFailure(
        'PROTOCOL_ERROR',
        `${doing} failed: asked for bytes from ${offset} on, the server sends ${answer.ContentRange?.slice(0, 100)}.`,
      )
    }
    return incoming(body, { doing, clock, failureOf: (error) => s3Failure(error, doing, signal) })
  }

  async write(path: string, options: WriteOptions): Promise<PartialFile> {
    const { signal } = this.#context
    const doing = `Writing “${path}”`
    const storedBytes = () => this.#storedBytes(path, doing)
    return await S3Upload.open({ bucket: this.#bucket, key: keyOf(path), doing, signal, storedBytes }, options)
  }

  async remove(path: string): Promise<void> {
    await this.#bucket.ask(`Deleting “${path}”`, this.#context, (client, options) =>
      client.send(new DeleteObjectCommand(this.#object(path)), options),
    )
  }

  /** A copy, and then its source removed: what stops in between leaves both, and goes on where the copy can be told to be one. */
  async move(from: string, to: string): Promise<boolean> {
    const doing = `Moving “${from}” to “${to}”`
    const found = await this.#head(from, doing)
    if (found === undefined) throw new TransferFailure('NOT_FOUND', `There is no object “${from}” in the bucket.`)
    if ((found.ContentLength ?? 0) > COPY_BYTES_MAX) {
      throw new TransferFailure('UNSUPPORTED', `${doing} failed: S3 moves no more than ${COPY_BYTES_MAX} bytes.`)
    }
    const there = await this.#head(to, doing)
    if (there !== undefined && (there.ContentLength !== found.ContentLength || there.ETag !== found.ETag || from === to))
      return false
    if (there === undefined) await this.#copy(from, to, found.ETag, doing)
    await this.remove(from)
    return true
  }

  async #copy(from: string, to: string, tag: string | undefined, doing: string): Promise<void> {
    const source = [this.#bucket.name, ...keyOf(from).split('/')].map(encodeURIComponent).join('/')
    const copy = { ...this.#object(to), CopySource: source, CopySourceIfMatch: tag }
    await this.#bucket.ask(doing, this.#context, (client, options) => client.send(new CopyObjectCommand(copy), options))
  }

  /** Where the server keeps one of the whole object; of an upload in parts it keeps one of the parts' hashes. */
  async hash(path: string): Promise<string | undefined> {
    const head = await this.#head(path, `Asking for the hash of “${path}”`)
    const { ChecksumSHA256, ChecksumType } = head ?? {}
    if (ChecksumSHA256 === undefined || ChecksumType === 'COMPOSITE' || ChecksumSHA256.includes('-')) return undefined
    return Buffer.from(ChecksumSHA256, 'base64').toString('hex')
  }

  /** Whoever may write need not be let read. */
  async #storedBytes(path: string, doing: string): Promise<number | undefined> {
    try {
      return (await this.#head(path, doing))?.ContentLength ?? 0
    } catch (error) {
      if ((error as TransferFailure).code === 'PERMISSION_DENIED') return undefined
      throw error
    }
  }

  async #head(path: string, doing: string): Promise<HeadObjectCommandOutput | undefined> {
    const query = { ...this.#object(path), ChecksumMode: 'ENABLED' } as const
    try {
      return await this.#bucket.ask(doing, this.#context, (client, options) => client.send(new HeadObjectCommand(query), options))
    } catch (error) {
      const status = statusOf((error as TransferFailure).cause)
      if (status === undefined || status >= 500) throw error
      // The answer to HEAD has no body that says why: whether the key is wrong, the bucket is missing, or only the object.
      await this.#lookInVain(path, doing, error)
      return undefined
    }
  }

  /** Resolves where there is no such object; else throws why the looking failed. */
  async #lookInVain(path: string, doing: string, error: unknown): Promise<void> {
    const query = { ...this.#object(path), Range: 'bytes=0-0' }
    try {
      const { Body } = await this.#bucket.ask(doing, this.#context, (client, options) =>
        client.send(new GetObjectCommand(query), options),
      )
      ;(Body as Readable).on('error', () => {}).destroy()
    } catch (said) {
      if (((said as TransferFailure).cause as Error | undefined)?.name === 'NoSuchKey') return
      throw said
    }
    throw error
  }

  #object(path: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket.name, Key: keyOf(path) }
  }
}

/** A range that begins at the end or behind it gives nothing. */
function beyondItsEnd(error: TransferFailure): undefined {
  if ((error.cause as Error | undefined)?.name === 'InvalidRange') return undefined
  throw error
}

function keyOf(path: string): string {
  const key = path.replace(/^\//, '')
  if (key !== '') return key
  throw new TransferFailure('NOT_FOUND', 'The bucket itself is no file.')
}

/** Listings tell a time in ms and answers in seconds: both are the same time here. */
function secondOf(time: Date | undefined): number | null {
  return time === undefined ? null : Math.floor(time.getTime() / 1000) * 1000
}
