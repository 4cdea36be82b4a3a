import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, Command } from './receiver.ts'
import { endsWithUs } from './scratch.ts'

/** The process of `receiver.ts`, seen from the benchmark. */
export class Receivers {
  readonly #child: ChildProcess
  readonly #forget: () => void
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>()
  #lastId = 0
  ports: readonly number[] = []

  static async start(listeners: number): Promise<Receivers> {
    const receivers = new Receivers()
    receivers.ports = (await receivers.#ask<{ ports: number[] }>({ do: 'listen', listeners })).ports
    return receivers
  }

  private constructor() {
    this.#child = fork(fileURLToPath(new URL('receiver.ts', import.meta.url)), { serialization: 'advanced' })
    this.#forget = endsWithUs(() => this.#child.kill('SIGKILL'))
    this.#child.on('message', ({ id, answer }: { id: number; answer: Answer }) => {
      this.#waiting.get(id)?.resolve(answer)
      this.#waiting.delete(id)
    })
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the receivers ended with status ${code}`))
    })
  }

  urls(): string[] {
    return this.ports.map((port) => `http://127.0.0.1:${port}/hook`)
  }

  async hang(listeners: number[]): Promise<void> {
    await this.#ask({ do: 'hang', listeners })
  }

  /** Forgets what has arrived. */
  async clear(): Promise<void> {
    await this.#ask({ do: 'clear' })
  }

  /** Waits for this many distinct arrivals at healthy listeners; throws after the deadline. */
  async arrivals(count: number, deadlineMs: number): Promise<{ arrivals: number; lastAt: number; cpuMicroseconds: number }> {
    const timeout = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => timeout.reject(new Error(`fewer than ${count} deliveries arrived within ${deadlineMs} ms`)),
      deadlineMs,
    )
    try {
      return await Promise.race([
        this.#ask<{ arrivals: number; lastAt: number; cpuMicroseconds: number }>({ do: 'await', arrivals: count }),
        timeout.promise,
      ])
    } finally {
      clearTimeout(timer)
    }
  }

  /** For each listener: the time, ms on the system's monotonic clock, at which each numbered file was first heard of. */
  async collect(): Promise<Map<number, number>[]> {
    const { collected } = await this.#ask<{ collected: Float64Array[] }>({ do: 'collect' })
    return collected.map((pairs) => {
      const arrivedAt = new Map<number, number>()
      for (let at = 0; at < pairs.length; at += 2) arrivedAt.set(pairs[at]!, pairs[at + 1]!)
      return arrivedAt
    })
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
    this.#forget()
  }

  async #ask<Expected extends Answer>(command: Command): Promise<Expected> {
    const id = ++this.#lastId
    const answer = Promise.withResolvers<Answer>()
    this.#waiting.set(id, answer)
    this.#child.send({ id, command })
    return (await answer.promise) as Expected
  }
}
