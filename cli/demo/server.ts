import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Time for a start; a cold start with new keys takes about a second. */
const READY_MS = 30_000

export interface Ready {
  http: string
  sftp: string
}

/** The real server as a process of its own, so that it can be killed. */
export class DemoServer {
  #child: ChildProcess
  readonly ready: Ready

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child
    this.ready = ready
  }

  /** Starts `landfall serve` on free ports of loopback; its log goes to `logFile`. */
  static async start(data: string, adminToken: string, logFile: number): Promise<DemoServer> {
    const entry = fileURLToPath(new URL('../landfall.js', import.meta.url))
    const flags = [
      '--data',
      data,
      '--http-address',
      '127.0.0.1:0',
      '--sftp-address',
      '127.0.0.1:0',
      '--agent-address',
      '127.0.0.1:0',
      '--json',
    ]
    const env: NodeJS.ProcessEnv = { LANDFALL_ADMIN_TOKEN: adminToken }
    for (const [name, value] of Object.entries(process.env)) if (!name.startsWith('LANDFALL_')) env[name] = value
    const child = spawn(process.execPath, [entry, 'serve', ...flags], { stdio: ['ignore', 'pipe', logFile], env })
    const line = await firstLine(child)
    return new DemoServer(child, JSON.parse(line) as Ready)
  }

  /** As a power cut would: no handler runs. */
  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`the server was not ready within ${READY_MS} ms`))
    }, READY_MS)
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(timer)
      resolve(line)
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`the server ended with status ${code} before it was ready`))
    })
  })
}
