import { createHash, type Hash } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Arrival, TransferWork } from '../../src/wire/agent/work.ts'
import type { Client, FileFacts, PartialFile, WholeFile, WriteOptions } from '../clients/client.ts'
import { failureOf } from '../clients/fault.ts'
import { checkNotSource } from './apart.ts'
import type { WorkContext } from './context.ts'
import { addCheckpoint, type Checkpoint, isForWork, isSameSource, type Journal, type JournalEntry } from './journal.ts'
import { Progress } from './progress.ts'
import { type Beginning, trustedBeginning } from './resume.ts'
import { type Side, statFile } from './side.ts'
import type { Stop } from './stop.ts'
import { createThrottle } from './throttle.ts'

/** A checkpoint is written when so many bytes and ms have passed, or after the longer time with any. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024
const CHECKPOINT_MS = 1000
const CHECKPOINT_SLOW_MS = 10_000
/** A file up to this size, bytes, is read as a whole where its client can. */
const WHOLE_BYTES_MAX = 64 * 1024
/** A commit cannot be taken back, so a stop waits for it; this long, ms. */
const COMMIT_AFTER_STOP_MS = 10_000

/** The copying of one file: from looking at the source to its final name. It is put away by `end`, however far it came. */
export class Copy {
  readonly #work: TransferWork
  readonly #context: WorkContext
  readonly #stop: Stop
  readonly #journal: Journal
  readonly #source: Client
  readonly #destination: Side
  #facts: FileFacts | undefined
  #opening: Promise<PartialFile> | undefined
  #hash: Hash | undefined
  /** Of the source after it was read, where its bytes brought them. */
  #factsAfter: FileFacts | undefined
  #progress: Progress | undefined
  #checkpoints: Checkpoint[] = []
  #partial: PartialFile | undefined
  /** As the journal has it. */
  #ticket: string | undefined
  #checkpointAt = 0

  constructor(work: TransferWork, context: WorkContext, stop: Stop, journal: Journal, source: Client, destination: Side) {
    this.#work = work
    this.#context = context
    this.#stop = stop
    this.#journal = journal
    this.#source = source
    this.#destination = destination
  }

  /** Bytes of the file that are on the other side. */
  get position(): number {
    return this.#progress?.position ?? 0
  }

  /** Returns when the file is verified at its final name; throws `TransferFailure` or `Stopped`. */
  async carryOut(): Promise<{ readonly arrival: Arrival; readonly source: FileFacts }> {
    const entry = await this.#journal.read(this.#work.transferId)
    const facts = entry === undefined && this.#listed ? this.#listed : await this.#stop.or(this.#lookAtSource())
    this.#facts = facts
    const whole = entry === undefined ? this.#readWhole(facts) : undefined
    const { partial, beginning } = await this.#begin(facts, entry)
    this.#hash = beginning.hash
    this.#checkpoints = beginning.checkpoints
    const progress = new Progress(this.#context.clock, facts.size, beginning.bytes, (report) => this.#report(report))
    this.#progress = progress
    // A range that begins at the end of the file is refused by many a server.
    if (beginning.bytes < facts.size || facts.size === 0) await this.#copyBytes(partial, facts, { progress, whole })
    const sha256 = this.#hash!.copy().digest('hex')
    await this.#verifySource(facts, sha256)
    await this.#commit(partial, facts.size, sha256)
    await progress.settled()
    const arrival = { size: facts.size, bytesTransferred: progress.moved, speed: progress.averageSpeed, sha256 }
    return { arrival, source: this.#factsAfter ?? facts }
  }

  /** Puts away what is not finished: kept for the next attempt, or without a trace. False: it had not come to a part. */
  async end(keeps: boolean): Promise<boolean> {
    const partial = await this.#opening?.catch(() => undefined)
    if (partial === undefined) return false
    if (keeps && this.position > 0) {
      await partial.suspend()
      await this.#checkpoint()
    } else if (keeps && partial.bytes !== 0) {
      // What earlier attempts left, and their journal, are as they were.
      await partial.suspend()
    } else {
      await this.#discard(partial)
      await this.#journal.remove(this.#work.transferId)
    }
    return true
  }

  /** What cannot be discarded now is found by the journal later. */
  async #discard(partial: PartialFile): Promise<void> {
    try {
      await partial.discard()
    } catch (error) {
      if (this.#hash !== undefined) await this.#checkpoint()
      throw error
    }
  }

  /** A small source as it was listed, where looking at it would tell no more. Whether it is still so shows after it was read. */
  get #listed(): FileFacts | undefined {
    const { expected } = this.#work
    const isTold = this.#source.listsAll && expected !== null && expected.size <= WHOLE_BYTES_MAX
    return isTold ? { kind: 'file', ...expected } : undefined
  }

  async #lookAtSource(): Promise<FileFacts> {
    const { path } = this.#work.source
    const facts = await statFile(this.#source, path)
    const { expected } = this.#work
    if (expected !== null && !isSameSource(expected, facts)) {
      throw new TransferFailure('SOURCE_CHANGED', `“${path}” has another size or time than when it was listed.`)
    }
    return facts
  }

  /** The part of an earlier attempt, where it can be trusted, else a new one. */
  async #begin(facts: FileFacts, entry: JournalEntry | undefined): Promise<{ partial: PartialFile; beginning: Beginning }> {
    const isSame = entry !== undefined && isForWork(entry, this.#work) && isSameSource(entry.source, facts)
    const partial = await this.#open(facts, isSame, entry?.ticket)
    if (isSame && partial.bytes > 0 && partial.bytes <= facts.size) {
      const read = () => this.#source.read(this.#work.source.path, 0)
      const beginning = await trustedBeginning(partial, entry.checkpoints, read, this.#stop)
      if (beginning !== undefined) return { partial, beginning }
    }
    const anew: Beginning = { bytes: 0, hash: createHash('sha256'), checkpoints: [] }
    if (partial.bytes === 0) return { partial, beginning: anew }
    await this.#stop.or(partial.discard())
    return { partial: await this.#open(facts, false), beginning: anew }
  }

  async #open(facts: FileFacts, resumes: boolean, ticket?: string): Promise<PartialFile> {
    const { transferId: id, destination } = this.#work
    const modifiedAt = facts.contentFrom ?? facts.modifiedAt
    const options: WriteOptions = {
      ...{ id, resumes, size: facts.size, modifiedAt, ...(ticket !== undefined && { ticket }) },
      ...(this.#work.postAction.kind !== 'keep' && { beforeNamed: (part) => this.#stop.or(this.#checkNotSource(part)) }),
    }
    this.#opening = this.#destination.client.write(destination.path, options)
    this.#partial = await this.#stop.or(this.#opening)
    this.#ticket = ticket
    return this.#partial
  }

  #checkNotSource(part: string | undefined): Promise<void> {
    return checkNotSource(this.#work, { source: this.#source, destination: this.#destination.client }, part)
  }

  /** A small file at once, else chunk by chunk: nothing is read that the other side does not take. */
  async #copyBytes(partial: PartialFile, facts: FileFacts, { progress, whole }: Copying): Promise<void> {
    const throttle = createThrottle(this.#work.bytesPerSecond, this.#context.clock)
    const take = async (chunk: Uint8Array) => {
      if (progress.position + chunk.length > facts.size) throw this.#changed()
      for (let from = 0; from < chunk.length; from += throttle.bytesMax) {
        const slice = chunk.subarray(from, from + throttle.bytesMax)
        await this.#stop.or(throttle.take(slice.length))
        await this.#stop.or(partial.append(slice))
        this.#hash!.update(slice)
        progress.add(slice.length)
      }
    }
    const { path } = this.#work.source
    try {
      const read = whole && (await this.#stop.or(whole))
      if (read === undefined) await this.#stream(progress.position, take)
      else await take(read.bytes)
      this.#factsAfter = read?.facts
    } catch (error) {
      throw failureOf(error, `Moving “${path}”`)
    }
    if (progress.position < facts.size) await this.#endedEarly(facts, progress.position)
  }

  /** Begun while the destination is being opened. */
  #readWhole({ size }: FileFacts): Promise<WholeFile | undefined> | undefined {
    if (size > WHOLE_BYTES_MAX) return undefined
    const reading = this.#source.readWhole?.(this.#work.source.path, size)
    // Should the destination fail first, nobody asks any more.
    reading?.catch(() => undefined)
    return reading
  }

  async #stream(from: number, take: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    this.#checkpointAt = this.#context.clock.monotonic()
    const reading = this.#source.read(this.#work.source.path, from)
    const stream = addAbortSignal(this.#stop.signal, await this.#stop.or(reading))
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        await take(chunk)
        if (this.#isCheckpointDue()) await this.#checkpoint()
      }
    } finally {
      stream.destroy()
    }
  }

  async #endedEarly(facts: FileFacts, position: number): Promise<never> {
    const now = await this.#stop.or(this.#source.stat(this.#work.source.path))
    if (now === undefined || !isSameSource(facts, now)) throw this.#changed()
    throw new TransferFailure('CONNECTION_LOST', `The source ended after ${position} of ${facts.size} bytes.`)
  }

  /** Before the file gets its name: that the source is still what it was, and that what was read is what it has. */
  async #verifySource(facts: FileFacts, sha256: string): Promise<void> {
    const { path, endpoint } = this.#work.source
    const now = this.#factsAfter ?? (await this.#stop.or(this.#source.stat(path)))
    if (now === undefined || !isSameSource(facts, now)) throw this.#changed()
    // A file of this machine was read just now: reading it again tells nothing new.
    if (endpoint.protocol === 'local') return
    const told = await this.#stop.or(this.#source.hash(path))
    if (told !== undefined && told !== sha256) {
      throw new TransferFailure('CHECKSUM_MISMATCH', `The source says that its SHA-256 is ${told}, what came has ${sha256}.`)
    }
  }

  #changed(): TransferFailure {
    return new TransferFailure('SOURCE_CHANGED', `“${this.#work.source.path}” changed while it was read.`)
  }

  async #commit(partial: PartialFile, size: number, sha256: string): Promise<void> {
    const { signal } = this.#stop
    this.#stop.check()
    let cancel = () => {}
    const cutLate = () => {
      cancel = this.#context.clock.after(COMMIT_AFTER_STOP_MS, this.#destination.cut)
    }
    signal.addEventListener('abort', cutLate, { once: true })
    try {
      await partial.commit(size, sha256)
    } finally {
      signal.removeEventListener('abort', cutLate)
      cancel()
    }
  }

  async #report(report: Parameters<WorkContext['report']>[0]): Promise<void> {
    const { go } = await this.#context.report(report)
    if (!go) this.#stop.now('lease lost')
  }

  #isCheckpointDue(): boolean {
    // Whoever loses it leaves a part that nobody finds.
    if (this.#partial?.ticket !== this.#ticket) return true
    const ms = this.#context.clock.monotonic() - this.#checkpointAt
    const bytes = this.position - (this.#checkpoints.at(-1)?.bytes ?? 0)
    return (bytes >= CHECKPOINT_BYTES && ms >= CHECKPOINT_MS) || (bytes > 0 && ms >= CHECKPOINT_SLOW_MS)
  }

  async #checkpoint(): Promise<void> {
    const checkpoint = { bytes: this.position, sha256: this.#hash!.copy().digest('hex') }
    this.#checkpoints = addCheckpoint(this.#checkpoints, checkpoint)
    this.#ticket = this.#partial?.ticket
    await this.#journal.save(entryOf(this.#work, this.#facts!, this.#checkpoints, null, this.#ticket))
    this.#checkpointAt = this.#context.clock.monotonic()
  }
}

interface Copying {
  readonly progress: Progress
  /** Of a small file, the reading of all of it. */
  readonly whole: Promise<WholeFile | undefined> | undefined
}

export function entryOf(
  work: TransferWork,
  { size, modifiedAt, tag }: FileFacts,
  checkpoints: readonly Checkpoint[],
  arrival: Arrival | null,
  ticket?: string,
): JournalEntry {
  return {
    transferId: work.transferId,
    source: { path: work.source.path, size, modifiedAt, ...(tag !== undefined && { tag }) },
    destination: { protocol: work.destination.endpoint.protocol, path: work.destination.path },
    checkpoints,
    ...(ticket !== undefined && { ticket }),
    arrival,
  }
}
