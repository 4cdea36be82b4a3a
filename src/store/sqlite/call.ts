import type { Worker } from 'node:worker_threads'
import { AppError } from '../../base/error.ts'
import { type Answers, type Call, STOP, type ThreadRole, toError } from './protocol.ts'

/** Calls of one thread without an answer yet. Beyond that the store is too far behind to take more. */
const CALLS_WAITING_MAX = 50_000

/** Starts a store thread whose entry calls `serveStoreThread`. */
export type StartThread = (role: ThreadRole) => Worker

interface Waiting {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
}

/**
 * The near side of a store thread. opening → open → stopping → ended; from any of them → lost, when the thread ends on its own: then
 * every call, waiting or later, is rejected with `store_failed`.
 */
export class ThreadCalls {
  readonly opened: Promise<void>
  #thread: Worker
  #ended: Promise<void>
  #onAnswers: (answers: Answers) => void
  #waiting = new Map<number, Waiting>()
  #outgoing: Call[] = []
  #nextId = 1
  #refusal: AppError | undefined

  constructor(thread: Worker, hooks: { onAnswers: (answers: Answers) => void; onLost: (error: Error) => void }) {
    this.#thread = thread
    this.#onAnswers = hooks.onAnswers
    this.opened = new Promise((resolve, reject) => this.#waiting.set(0, { resolve: () => resolve(), reject }))
    let cause: unknown
    thread.on('message', (text: string) => this.#take(JSON.parse(text)))
    thread.on('error', (error) => {
      cause = error
    })
    this.#ended = new Promise((resolve) => {
      thread.on('exit', () => {
        const isWanted = this.#refusal !== undefined
        this.#lose(cause)
        resolve()
        if (!isWanted && this.#isOpen) hooks.onLost(new Error('a thread of the store ended', { cause }))
      })
    })
  }

  #isOpen = false

  call(name: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    if (this.#waiting.size >= CALLS_WAITING_MAX) {
      const message = `The database is behind: ${CALLS_WAITING_MAX} calls wait for it. Nothing was changed.`
      return Promise.reject(new AppError('store_failed', message))
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve, reject })
      this.#outgoing.push([id, name, args])
      if (this.#outgoing.length === 1) queueMicrotask(() => this.#send())
    })
  }

  /** From now on every new call is rejected with `stopping`. */
  refuse(): void {
    this.#refusal ??= new AppError('stopping', 'The server is stopping; try again in a moment.')
  }

  /** Resolves when what was called is answered and the thread has ended. */
  async stop(): Promise<void> {
    this.refuse()
    this.#send()
    this.#thread.postMessage(STOP)
    await this.#ended
  }

  #send(): void {
    if (this.#outgoing.length === 0) return
    this.#thread.postMessage(JSON.stringify(this.#outgoing))
    this.#outgoing = []
  }

  #take(message: Answers): void {
    for (const answer of message.answers) {
      const waiting = this.#waiting.get(answer[0])
      this.#waiting.delete(answer[0])
      if (answer[0] === 0) this.#isOpen = answer[1] === 'done'
      if (answer[1] === 'failed') waiting?.reject(toError(answer[2]))
      else waiting?.resolve(answer[2])
    }
    this.#onAnswers(message)
  }

  #lose(cause: unknown): void {
    this.#refusal ??= new AppError('store_failed', 'The database is gone; the server must be started again.', { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#refusal)
    this.#waiting.clear()
    this.#outgoing = []
  }
}
