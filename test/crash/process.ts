import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Orders, Ready } from './server.ts'

/** A start takes about a second; this is for a machine that has much else to do. */
const READY_MS = 60_000
const STOP_MS = 30_000

/** The driver's end of a server. starting → ready → ended, or starting → ended when it is killed before it is ready. */
export class ServerProcess {
  /** Undefined when it was killed before; rejects when it ended in any other way, or is not ready in time. */
  readonly ready: Promise<Ready | undefined>
  /** Resolves when the process is gone, with the signal that ended it or its status. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess

  constructor(orders: Orders, logFile: number) {
    const entry = fileURLToPath(new URL('server.ts', import.meta.url))
    this.#child = spawn(process.execPath, [entry, JSON.stringify(orders)], {
      stdio: ['pipe', 'pipe', logFile],
      env: bareEnvironment(),
    })
    this.ended = once(this.#child, 'exit').then(([code, signal]) => signal ?? `status ${code}`)
    this.ready = this.#ready()
    this.ready.catch(() => {})
  }

  /** As the out-of-memory killer would: no handler runs. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    const how = await this.ended
    if (how !== 'SIGKILL') throw new Error(`the server had ended by itself: ${how}`)
  }

  /** Asks it to stop; throws when it does not end with status 0 in time. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const expiry = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    const how = await this.ended
    clearTimeout(expiry)
    if (how !== 'status 0') throw new Error(`the server did not stop cleanly, but by ${how}`)
  }

  async #ready(): Promise<Ready | undefined> {
    const lines = createInterface({ input: this.#child.stdout! })
    const expiry = setTimeout(() => this.#child.kill('SIGABRT'), READY_MS)
    const line = once(lines, 'line').then(([text]) => JSON.parse(text) as Ready)
    const first = await Promise.race([line, this.ended])
    clearTimeout(expiry)
    if (typeof first !== 'string') return first
    if (first === 'SIGKILL') return undefined
    throw new Error(`the server ended before it was ready: ${first}`)
  }
}

/** The storm's settings are flags; variables of the shell it runs in change nothing. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LANDFALL_')))
}
