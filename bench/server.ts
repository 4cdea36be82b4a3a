import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import packageJson from '../package.json' with { type: 'json' }
import { endsWithUs } from './scratch.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const READY_MS = 30_000
/** Of what the server said, for the message when it does not start. */
const SAID_CHARACTERS_MAX = 2_000
const ADMIN_TOKEN = 'a-token-of-the-benchmark-that-is-long-enough'
const USER = { name: 'pipeline', password: 'a password of the benchmark' }

/** The real server, started as `npm start` does, in a process of its own on free ports of loopback. */
export class Server {
  readonly http: string
  readonly sftp: { readonly host: string; readonly port: number }
  readonly login = { username: USER.name, password: USER.password }
  readonly pid: number
  readonly #child: ChildProcess
  readonly #forget: () => void

  /** `settings` are flags of the command line, such as `--database`. */
  static async start(data: string, settings: readonly string[] = []): Promise<Server> {
    const [, ...words] = (packageJson.scripts.start as string).split(' ')
    const own = [
      '--data',
      data,
      '--http-address',
      '127.0.0.1:0',
      '--sftp-address',
      '127.0.0.1:0',
      '--agent-address',
      '127.0.0.1:0',
      '--builtin-agent',
      'off',
      '--log-level',
      'error',
      '--json',
    ]
    const environment: NodeJS.ProcessEnv = { LANDFALL_ADMIN_TOKEN: ADMIN_TOKEN }
    for (const [name, value] of Object.entries(process.env)) if (!name.startsWith('LANDFALL_')) environment[name] = value
    const child = spawn(process.execPath, [...words, ...own, ...settings], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    })
    const forget = endsWithUs(() => child.kill('SIGKILL'))
    try {
      return new Server(child, forget, JSON.parse(await readyLine(child)))
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  private constructor(child: ChildProcess, forget: () => void, ready: { http: string; sftp: string }) {
    this.#child = child
    this.#forget = forget
    this.pid = child.pid!
    this.http = ready.http
    const { hostname, port } = new URL(`ssh://${ready.sftp}`)
    this.sftp = { host: hostname, port: Number(port) }
  }

  async createUser(publicKey?: string): Promise<void> {
    await this.#call('/api/accounts/default/users', { ...USER, ...(publicKey === undefined ? {} : { publicKeys: [publicKey] }) })
  }

  async createWebhook(url: string): Promise<string> {
    const secret = 'a secret of the benchmark, as long as most are'
    const { webhook } = await this.#call<{ webhook: { id: string } }>('/api/webhooks', { url, events: ['file.uploaded'], secret })
    return webhook.id
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    this.#forget()
  }

  /** The answer of the API, read to its end. */
  async get(path: string): Promise<string> {
    const answer = await fetch(this.http + path, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`GET ${path} answered ${answer.status}: ${text}`)
    return text
  }

  async #call<Data>(path: string, body: object): Promise<Data> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
    const answer = await fetch(this.http + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`POST ${path} answered ${answer.status}: ${text}`)
    return JSON.parse(text).data
  }
}

function readyLine(child: ChildProcess): Promise<string> {
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARACTERS_MAX)
  })
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`the server ${what}: ${said}`))
    const timer = setTimeout(() => fail(`was not ready within ${READY_MS} ms`), READY_MS)
    child.once('exit', (code) => fail(`ended with status ${code} before it was ready`))
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(timer)
      resolve(line)
    })
  })
}
