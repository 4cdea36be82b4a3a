import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Arm, Orders, Ready } from './server.ts'

/** A start takes about a second; this is for a machine that has much else to do. */
const READY_MS = 60_000
const STOP_MS = 30_000

/**
 * The driver's end of a process that gets its orders as JSON and says one line of JSON once it is ready. starting → ready → ended, or
 * starting → ended when it is killed before it is ready.
 */
export class StormProcess<Ready> {
  /** Undefined when it was killed before; rejects when it ended in any other way, or is not ready in time. */
  readonly ready: Promise<Ready | undefined>
  /** Resolves when the process is gone, with the signal that ended it or its status. */
  readonly ended: Promise<string>
  readonly #name: string
  readonly #child: ChildProcess

  constructor(name: string, entry: URL, orders: object, logFile: number) {
    this.#name = name
    this.#child = spawn(process.execPath, [fileURLToPath(entry), JSON.stringify(orders)], {
      stdio: ['pipe', 'pipe', logFile],
      env: bareEnvironment(),
    })
    this.ended = once(this.#child, 'exit').then(([code, signal]) => signal ?? `status ${code}`)
    this.#child.stdin!.on('error', () => {})
    this.ready = this.#ready()
    this.ready.catch(() => {})
  }

  /** From now on it ends itself there; null: nowhere. */
  arm(arm: Arm | null): void {
    // One that is gone needs no orders.
    this.#child.stdin!.write(`${JSON.stringify(arm)}\n`, () => {})
  }

  /** As the out-of-memory killer would: no handler runs. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    const how = await this.ended
    if (how !== 'SIGKILL') throw new Error(`${this.#name} had ended by itself: ${how}`)
  }

  /** Asks it to stop; throws when it does not end with status 0 in time. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const expiry = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    const how = await this.ended
    clearTimeout(expiry)
    if (how !== 'status 0') throw new Error(`${this.#name} did not stop cleanly, but by ${how}`)
  }

  async #ready(): Promise<Ready | undefined> {
    const lines = createInterface({ input: this.#child.stdout! })
    const expiry = setTimeout(() => this.#child.kill('SIGABRT'), READY_MS)
    const line = once(lines, 'line').then(([text]) => JSON.parse(text) as Ready)
    const first = await Promise.race([line, this.ended])
    clearTimeout(expiry)
    if (typeof first !== 'string') return first
    if (first === 'SIGKILL') return undefined
    throw new Error(`${this.#name} ended before it was ready: ${first}`)
  }
}

export class ServerProcess extends StormProcess<Ready> {
  constructor(orders: Orders, logFile: number) {
    super('the server', new URL('server.ts', import.meta.url), orders, logFile)
  }
}

/** The storm's settings are flags; variables of the shell it runs in change nothing. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LANDFALL_')))
}
