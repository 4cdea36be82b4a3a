/** SHA-256 of uploads: as the bytes pass where they come in order, else from the file in a thread of its own. */
import { createHash, type Hash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { MIB } from '../base/units.ts'
import type { OpenFile } from './backends/backend.ts'

/** Threads that hash at the same time; more would only contend for the same disks and cores. */
const HASH_THREADS_MAX = 2

/** Up to this size hashing takes less than a millisecond (measured: 1.4 GB/s), waking a thread more. */
const HASH_HERE_BYTES = MIB

export interface HashThreads {
  /** The SHA-256 of the first `bytes` bytes of an open file, in hexadecimal. It must stay open until then. */
  ofFile(file: OpenFile, bytes: number): Promise<string>
  stop(): Promise<void>
}

interface Job {
  descriptor: number
  bytes: number
  resolve(digest: string): void
  reject(cause: unknown): void
}

/** What the thread answers. */
export type HashAnswer = { digest: string } | { error: Error }

export function createHashThreads(): HashThreads {
  const waiting: Job[] = []
  const idle: Worker[] = []
  const busy = new Map<Worker, Job>()

  function start(job: Job): void {
    const worker = idle.pop() ?? spawn()
    busy.set(worker, job)
    worker.ref()
    worker.postMessage({ descriptor: job.descriptor, bytes: job.bytes })
  }

  function spawn(): Worker {
    const worker = new Worker(new URL('./hash-thread.ts', import.meta.url))
    worker.on('message', (answer: HashAnswer) => {
      const job = busy.get(worker)
      busy.delete(worker)
      worker.unref()
      idle.push(worker)
      if ('digest' in answer) job?.resolve(answer.digest)
      else job?.reject(answer.error)
      next()
    })
    worker.on('error', (cause) => {
      busy.get(worker)?.reject(cause)
      busy.delete(worker)
      next()
    })
    return worker
  }

  function next(): void {
    while (busy.size < HASH_THREADS_MAX && waiting.length > 0) start(waiting.shift()!)
  }

  return {
    async ofFile(file, bytes) {
      if (bytes <= HASH_HERE_BYTES) return hashHere(file, bytes)
      return new Promise((resolve, reject) => {
        waiting.push({ descriptor: file.descriptor, bytes, resolve, reject })
        next()
      })
    },
    async stop() {
      for (const job of waiting.splice(0)) job.reject(new Error('hashing stops'))
      for (const job of busy.values()) job.reject(new Error('hashing stops'))
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()))
    },
  }
}

async function hashHere(file: OpenFile, bytes: number): Promise<string> {
  const content = Buffer.allocUnsafe(bytes)
  for (let offset = 0; offset < bytes; ) {
    const read = await file.read(content.subarray(offset), offset)
    if (read === 0) throw new Error(`the file ends after ${offset} of ${bytes} bytes`)
    offset += read
  }
  return createHash('sha256').update(content).digest('hex')
}

/** A hash of bytes that arrive in order from the start; it gives up for good at the first that do not. */
export class PassingHash {
  #hash: Hash | undefined = createHash('sha256')
  #bytes = 0

  pass(chunks: readonly Buffer[], offset: number): void {
    if (this.#hash === undefined) return
    if (offset !== this.#bytes) {
      this.giveUp()
      return
    }
    for (const chunk of chunks) {
      this.#hash.update(chunk)
      this.#bytes += chunk.length
    }
  }

  giveUp(): void {
    this.#hash = undefined
  }

  /** The digest in hexadecimal when exactly `bytes` bytes passed in order. Ends the hash. */
  digest(bytes: number): string | undefined {
    const hash = this.#bytes === bytes ? this.#hash : undefined
    this.#hash = undefined
    return hash?.digest('hex')
  }
}
