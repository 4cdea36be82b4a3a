import type { Worker } from 'node:worker_threads'
import { AppError } from '../../base/error.ts'
import { type Answers, type Call, OPEN, STOP, type ThreadRole, toError } from './protocol.ts'

/** Calls of one thread without an answer yet. Beyond that the store is too far behind to take more. */
const CALLS_WAITING_MAX = 50_000

/** Starts a store thread whose entry calls `serveStoreThread`. */
export type StartThread = (role: ThreadRole) => Worker

interface Waiting {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
}

export interface ThreadHooks {
  onAnswers(answers: Answers): void
  /** The thread ended on its own, after it was open. */
  onLost(error: Error): void
}

/**
 * The near side of a store thread. loading → open (open) → stopping → ended (stop, also while loading); from any of them → lost, when
 * the thread ends on its own: then every call, waiting or later, is rejected with `store_failed`.
 */
export class ThreadCalls {
  #thread: Worker
  #ended: Promise<void>
  #hooks: ThreadHooks | undefined
  #waiting = new Map<number, Waiting>()
  #outgoing: Call[] = []
  #nextId = 0
  #refusal: AppError | undefined

  constructor(thread: Worker) {
    this.#thread = thread
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
        if (!isWanted) this.#hooks?.onLost(new Error('a thread of the store ended', { cause }))
      })
    })
  }

  /** Has the thread open its database; called once, before any other call. Throws what opening throws. */
  async open(file: string, hooks: ThreadHooks): Promise<void> {
    await this.call(OPEN, [file])
    this.#hooks = hooks
  }

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
      if (answer[1] === 'failed') waiting?.reject(toError(answer[2]))
      else waiting?.resolve(answer[2])
    }
    this.#hooks?.onAnswers(message)
  }

  #lose(cause: unknown): void {
    this.#refusal ??= new AppError('store_failed', 'The database is gone; the server must be started again.', { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#refusal)
    this.#waiting.clear()
    this.#outgoing = []
  }
}
