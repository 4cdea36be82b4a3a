/** The composed server, and OpenSSH's own client against it with a key of a user. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestServer, type TestServer } from '../server.ts'
import { newKeyPair } from '../ssh-key.ts'

/** Why a test that needs OpenSSH's client cannot run here; undefined when it can. */
export const opensshMissing = existsSync('/usr/bin/sftp') ? undefined : 'needs sftp: install the Debian package openssh-client'

export interface OpenSsh {
  readonly server: TestServer
  /** A local folder for the client's side. */
  readonly local: string
  /** The user's files on the server. */
  readonly remote: string
  /** Options for ssh and sftp alike: port, key, no questions. */
  readonly options: readonly string[]
  /** Runs a batch; a line that begins with `-` may fail. */
  sftp(batch: string, options?: readonly string[]): Promise<Finished>
  stop(): Promise<void>
}

export interface Finished {
  status: number | null
  stdout: string
  stderr: string
}

export async function startOpenSsh(): Promise<OpenSsh> {
  const server = await startTestServer()
  const key = newKeyPair()
  const { home } = await server.makeUser('pipeline', { publicKeys: [key.public] })
  await mkdir(home, { recursive: true })
  const local = await mkdtemp(join(tmpdir(), 'landfall-openssh-'))
  const keyPath = join(local, '.key')
  await writeFile(keyPath, key.private, { mode: 0o600 })
  const settings = [
    ...[`Port=${server.sftpPort}`, `IdentityFile=${keyPath}`, 'IdentitiesOnly=yes', 'BatchMode=yes', 'User=pipeline'],
    ...['StrictHostKeyChecking=no', `UserKnownHostsFile=${join(local, '.known')}`, 'LogLevel=ERROR'],
  ]
  const options = ['-F', 'none', ...settings.flatMap((setting) => ['-o', setting])]
  return {
    server,
    local,
    remote: home,
    options,
    sftp: (batch, more = []) => run('sftp', [...options, ...more, '-b', '-', server.sftpHost], { input: batch, cwd: local }),
    async stop() {
      await server.stop()
      await rm(local, { recursive: true, force: true })
    },
  }
}

/** Runs a program to its end. */
export function run(
  program: string,
  words: readonly string[],
  { input = '', cwd, env = process.env }: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const child = spawn(program, words, { cwd, env })
  const finished: Finished = { status: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    finished.stdout += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    finished.stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ ...finished, status }))
  })
}
