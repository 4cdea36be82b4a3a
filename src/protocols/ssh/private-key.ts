import { Worker } from 'node:worker_threads'
import ssh2 from 'ssh2'
import type { Clock } from '../../base/clock.ts'
import { Turns } from '../../base/turns.ts'
import { SECOND_MS } from '../../base/units.ts'

/** Why nobody could log in with a private key. */
export type PrivateKeyFault = 'unreadable' | 'passphrase missing' | 'passphrase wrong' | 'too slow'

export interface PrivateKey {
  readonly text: string
  readonly passphrase: string
}

/** How long opening a key may take, ms. The 16 rounds of OpenSSH take 400 ms, 100 rounds 2 s, measured; a key may ask for four billion. */
export const OPEN_MS_MAX = 10 * SECOND_MS

const turns = new Turns()

/** Reads a private key as agents will, whose library is the same. Undefined: they can. */
export async function faultOfPrivateKey(
  text: string,
  passphrase: string | undefined,
  clock: Clock,
): Promise<PrivateKeyFault | undefined> {
  const fault = faultOf(text)
  if (fault !== 'passphrase missing' || passphrase === undefined) return fault
  return turns.take('open', () => faultWhenOpened({ text, passphrase }, clock))
}

/** Without its passphrase, which takes no time. */
function faultOf(text: string): PrivateKeyFault | undefined {
  const key = parsed(text)
  if (!(key instanceof Error)) return key.isPrivateKey() ? undefined : 'unreadable'
  return /^Encrypted .* no passphrase given$/.test(key.message) ? 'passphrase missing' : 'unreadable'
}

/** In a thread, since it keeps one busy and cannot be stopped otherwise. */
function faultWhenOpened(key: PrivateKey, clock: Clock): Promise<PrivateKeyFault | undefined> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./private-key-thread.ts', import.meta.url), { workerData: key })
    const cancel = clock.after(OPEN_MS_MAX, () => {
      resolve('too slow')
      void thread.terminate()
    })
    thread.once('message', (opens: boolean) => resolve(opens ? undefined : 'passphrase wrong'))
    thread.once('error', reject)
    // Without a word before, as where it ran out of memory: nobody will open this one.
    thread.once('exit', () => {
      cancel()
      resolve('unreadable')
    })
  })
}

/** What cannot be read is an error as well where the library throws. */
export function parsed(text: string, passphrase?: string): ssh2.ParsedKey | Error {
  try {
    const key = ssh2.utils.parseKey(text, passphrase)
    return Array.isArray(key) ? key[0]! : key
  } catch (error) {
    return error as Error
  }
}
