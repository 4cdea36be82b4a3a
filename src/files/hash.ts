/** SHA-256 of uploads: as the bytes pass where they come in order, else from the file in a thread of its own. */
import { createHash, type Hash } from 'node:crypto'
import { Worker } from 'node:worker_threads'

/** Threads that hash at the same time; more would only contend for the same disks and cores. */
const HASH_THREADS_MAX = 2

export interface HashThreads {
  /** The SHA-256 of the first `bytes` bytes of an open file, in hexadecimal. The descriptor must stay open until then. */
  ofFile(descriptor: number, bytes: number): Promise<string>
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
    ofFile(descriptor, bytes) {
      return new Promise((resolve, reject) => {
        waiting.push({ descriptor, bytes, resolve, reject })
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
