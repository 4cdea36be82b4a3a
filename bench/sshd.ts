import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { endsWithUs } from './scratch.ts'

const run = promisify(execFile)

/** sshd wants to be called by its whole path; these are where distributions put it. */
const SSHD_PATHS = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd', '/opt/homebrew/sbin/sshd']
/** Where a Linux sshd that is started by root keeps its helper process; the system's own service would make it. */
const PRIVILEGE_SEPARATION = '/run/sshd'
const LISTENING_MS = 10_000

export function findSshd(): string | undefined {
  return SSHD_PATHS.find(existsSync)
}

/** Makes a key pair without passphrase; returns the path of the private half. */
export async function makeKey(folder: string, name: string): Promise<string> {
  const path = join(folder, name)
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', path])
  return path
}

/** OpenSSH's server on loopback for one user (whoever runs this) and one key, with a configuration of its own. */
export class Sshd {
  readonly port: number
  readonly user: string
  readonly pid: number
  readonly #child: ChildProcess
  readonly #forget: () => void

  static async start(program: string, folder: string, authorizedKeys: string): Promise<Sshd> {
    const { username, uid } = userInfo()
    if (uid === 0 && process.platform === 'linux') await mkdir(PRIVILEGE_SEPARATION, { recursive: true, mode: 0o755 })
    const [hostKey, port] = await Promise.all([makeKey(folder, 'sshd_host_key'), freePort()])
    const settings = {
      Port: port,
      ListenAddress: '127.0.0.1',
      HostKey: hostKey,
      PidFile: 'none',
      AuthorizedKeysFile: authorizedKeys,
      StrictModes: 'no',
      UsePAM: 'no',
      PasswordAuthentication: 'no',
      PermitRootLogin: 'prohibit-password',
      AllowUsers: username,
      Subsystem: 'sftp internal-sftp',
      LogLevel: 'FATAL',
    }
    const config = join(folder, 'sshd_config')
    await writeFile(
      config,
      Object.entries(settings)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(''),
    )
    // The log goes to stderr with -e; -D keeps it our child.
    const child = spawn(program, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'inherit'] })
    const sshd = new Sshd(child, port, username)
    await sshd.#listening()
    return sshd
  }

  private constructor(child: ChildProcess, port: number, user: string) {
    this.#child = child
    this.#forget = endsWithUs(() => child.kill('SIGKILL'))
    this.port = port
    this.user = user
    this.pid = child.pid!
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    this.#forget()
  }

  async #listening(): Promise<void> {
    const expiry = performance.now() + LISTENING_MS
    while (!(await accepts(this.port))) {
      if (this.#child.exitCode !== null) throw new Error(`sshd ended with status ${this.#child.exitCode}`)
      if (performance.now() > expiry) throw new Error(`sshd did not listen within ${LISTENING_MS} ms`)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('not a port')
  return address.port
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (isOpen: boolean) => setTimeout(() => resolve(isOpen), isOpen ? 0 : 20)
    socket.once('connect', () => {
      socket.destroy()
      end(true)
    })
    socket.once('error', () => end(false))
  })
}
