import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { MIB } from '../src/base/units.ts'

/** OpenSSH's client, and the file that it moves. */

const run = promisify(execFile)
export const CIPHER = 'aes128-gcm@openssh.com'
const DEADLINE_MS = 5 * 60_000

export interface SftpLogin {
  readonly user: string
  readonly port: number
  /** Path of the private key. */
  readonly key: string
}

/** Runs one command of the client, and returns how long it took, s. */
export async function sftp({ user, port, key }: SftpLogin, command: string): Promise<number> {
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    IdentitiesOnly: 'yes',
    LogLevel: 'ERROR',
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const begun = performance.now()
  const client = run(
    'sftp',
    ['-q', '-F', '/dev/null', '-c', CIPHER, '-i', key, ...words, '-P', String(port), '-b', '-', `${user}@127.0.0.1`],
    {
      timeout: DEADLINE_MS,
    },
  )
  client.child.stdin!.end(`${command}\n`)
  await client
  return (performance.now() - begun) / 1000
}

/** Random bytes: neither compression nor holes help anybody. */
export async function writeSource(path: string, bytes: number): Promise<void> {
  const block = crypto.getRandomValues(new Uint8Array(64 * 1024))
  const chunk = Buffer.alloc(Math.min(bytes, 8 * MIB), block)
  const file = await open(path, 'w')
  for (let written = 0; written < bytes; written += chunk.length)
    await file.write(chunk, 0, Math.min(chunk.length, bytes - written))
  await file.sync()
  await file.close()
}

/** Whether a program is there that says what it can do when asked in this way. */
export async function hasProgram(program: string, word: string): Promise<boolean> {
  return run(program, [word]).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}

export function nativeCiphers(): boolean {
  const require = createRequire(import.meta.url)
  return require('ssh2/lib/protocol/crypto.js').bindingAvailable
}
