import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { App } from '../src/app/app.ts'
import { startApp } from '../src/app/start.ts'
import { silentLog } from '../src/base/log.ts'
import { loadSettings } from '../src/config/load.ts'

/** The composed application in this process, on free ports of loopback and in a folder of its own. */
export interface TestServer {
  readonly app: App
  readonly http: string
  readonly sftpHost: string
  readonly sftpPort: number
  /** `host:port` of the agent port. */
  readonly agents: string
  readonly adminToken: string
  /** The data folder; the files of a user lie in `files/<account>/<user>` below it. */
  readonly folder: string
  /** A user of the account `default` with a password; all permissions unless named. */
  makeUser(name: string, more?: object): Promise<{ id: string; name: string; password: string; home: string }>
  /** Calls the MFTPlus face as administrator; throws with the answer when it refuses. */
  call<Data>(method: string, path: string, body?: object): Promise<Data>
  stop(): Promise<void>
}

/** `flags` as on the command line, such as `{ '--database': url }`. */
export async function startTestServer(flags: Record<string, string> = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-test-'))
  const adminToken = `lfadm_${randomBytes(18).toString('hex')}`
  const defaults = {
    '--data': folder,
    '--http-address': '127.0.0.1:0',
    '--sftp-address': '127.0.0.1:0',
    '--agent-address': '127.0.0.1:0',
    '--builtin-agent': 'off',
    '--admin-token': adminToken,
    '--log-level': 'silent',
    '--stop-deadline-ms': '1000',
  }
  const app = await startApp(loadSettings({ ...defaults, ...flags }, {}), { log: silentLog })
  const { http, sftp, agents } = app.addresses
  const colon = sftp.lastIndexOf(':')

  async function call<Data>(method: string, path: string, body?: object): Promise<Data> {
    const request: RequestInit = {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    }
    if (body !== undefined) request.body = JSON.stringify(body)
    else delete (request.headers as Record<string, string>)['content-type']
    const answer = await fetch(`${http}${path}`, request)
    const envelope = (await answer.json()) as { success: boolean; data: Data; error?: string }
    if (!envelope.success) throw new Error(`${method} ${path}: ${answer.status} ${envelope.error}`)
    return envelope.data
  }

  return {
    app,
    http,
    sftpHost: sftp.slice(0, colon),
    sftpPort: Number(sftp.slice(colon + 1)),
    agents,
    adminToken,
    folder,
    call,
    async makeUser(name, more = {}) {
      const password = randomBytes(12).toString('hex')
      const { user } = await call<{ user: { id: string; home: string } }>('POST', '/api/accounts/default/users', {
        name,
        password,
        ...more,
      })
      return { id: user.id, name, password, home: join(folder, 'files', user.home) }
    },
    async stop() {
      await app.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
