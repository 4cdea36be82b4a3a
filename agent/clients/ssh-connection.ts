import { createHash, timingSafeEqual } from 'node:crypto'
import { Socket } from 'node:net'
import ssh2, {
  type AuthenticationType,
  type AuthHandlerMiddleware,
  type ClientChannel,
  type KeyboardInteractiveAuthMethod,
  type ServerHostKeyAlgorithm,
  type Client as SshClient,
} from 'ssh2'
import type { Clock } from '../../src/base/clock.ts'
import { SECOND_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { failureOf } from './fault.ts'
import { algorithms, HOST_KEY_FAMILIES } from './ssh-algorithms.ts'

/** A connection that is logged in, with one channel to the SFTP server behind it. */
export interface SshConnection {
  readonly channel: ClientChannel
  /** The key that was taken at first use; undefined where it was pinned. */
  readonly learnedHostKey: string | undefined
  /** Called once, however it ends. */
  onEnd(listener: (failure: TransferFailure) => void): void
  /** Holds back what is written until the end of this turn of the loop: ssh2 writes every packet in three pieces. */
  gather(): void
  close(): void
}

/** From dialling to being logged in, with the SFTP server started, ms. Logins that ask a directory server take their time. */
export const CONNECT_MS = 30 * SECOND_MS
/** A silent line is asked whether it is still there, ms; after so many questions without an answer it is given up. */
const KEEPALIVE_MS = 15 * SECOND_MS
const KEEPALIVES_MAX = 3

/**
 * Dials, checks the host key and logs in. Where the server shows a key that is not pinned, its keys of other kinds are asked for in turn: any pinned one will
 * do. Nothing of the login is sent before the key has been checked.
 */
export async function connectSsh(
  endpoint: SftpEndpoint,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<SshConnection> {
  const { hostKeys, trustsFirstKey } = endpoint
  if (hostKeys.length === 0 && !trustsFirstKey) {
    throw new TransferFailure(
      'HOST_KEY_MISMATCH',
      `No host key of ${addressOf(endpoint)} is pinned: pin what \`ssh-keygen -l\` prints of it, or trust the first key that it shows.`,
    )
  }
  const shown: HostKey[] = []
  const asked = new Set(HOST_KEY_FAMILIES)
  for (;;) {
    const attempt = new Attempt(endpoint, [...asked].flat())
    try {
      return await attempt.run(clock, signal)
    } catch (error) {
      const { refusedKey } = attempt
      if (refusedKey !== undefined) shown.push(refusedKey)
      const first = shown[0]
      // Without a key of the kinds that are left, servers end the handshake: what they showed before is why.
      if (first === undefined || isStopped(error)) throw error
      for (const family of asked) {
        if (refusedKey === undefined || family.some((name) => isOfKind(refusedKey, name))) asked.delete(family)
      }
      if (asked.size === 0) throw mismatch(endpoint, shown)
    }
  }
}

interface HostKey {
  /** As in the key itself: `ssh-ed25519`, `ssh-rsa`. */
  readonly kind: string
  readonly fingerprint: string
}

function isOfKind({ kind }: HostKey, algorithm: string): boolean {
  return algorithm === kind || (kind === 'ssh-rsa' && algorithm.startsWith('rsa-'))
}

function isStopped(error: unknown): boolean {
  return error instanceof TransferFailure && (error.code === 'CANCELLED' || error.code === 'TIMEOUT')
}

function mismatch(endpoint: SftpEndpoint, shown: readonly HostKey[]): TransferFailure {
  const keys = shown.map(({ kind, fingerprint }) => `${fingerprint} (${kind})`).join(', ')
  return new TransferFailure('HOST_KEY_MISMATCH', `${addressOf(endpoint)} showed ${keys}, which is not pinned.`)
}

/** One try to connect: dialled → key checked → logged in → SFTP started; any failure ends it. */
class Attempt {
  readonly #endpoint: SftpEndpoint
  readonly #hostKeys: ReturnType<typeof algorithms>
  readonly #socket = new Socket()
  readonly #client: SshClient = new ssh2.Client()
  /** The key that made this attempt fail. */
  refusedKey: HostKey | undefined
  #learned: string | undefined
  #phase: 'dialling' | 'greeting' | 'logging in' | 'logged in' = 'dialling'

  constructor(endpoint: SftpEndpoint, hostKeys: readonly ServerHostKeyAlgorithm[]) {
    this.#endpoint = endpoint
    this.#hostKeys = algorithms(hostKeys)
  }

  async run(clock: Clock, signal: AbortSignal): Promise<SshConnection> {
    const stopped = () => new TransferFailure('CANCELLED', 'The transfer was stopped.')
    if (signal.aborted) throw stopped()
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>()
    const stop = () => reject(stopped())
    signal.addEventListener('abort', stop)
    const cancelDeadline = clock.after(CONNECT_MS, () => reject(this.#tooLate()))
    const ends = new Set<(failure: TransferFailure) => void>([reject])
    const end = (failure: TransferFailure) => {
      for (const listener of ends) listener(failure)
      ends.clear()
    }
    // An error that comes after the end has been told nobody is waiting for; without a listener it would end the process.
    this.#client.on('error', (error) => end(this.#failure(error)))
    this.#client.on('close', () => end(this.#lost()))
    this.#socket.on('connect', () => {
      this.#phase = 'greeting'
    })
    this.#client.on('handshake', () => {
      this.#phase = 'logging in'
    })
    this.#client.on('ready', () => {
      this.#phase = 'logged in'
      this.#client.subsys('sftp', (error, channel) => {
        if (error) reject(this.#noSftp())
        else resolve(channel)
      })
    })
    try {
      this.#dial()
      const channel = await promise
      ends.delete(reject)
      // What the server writes beside the protocol would fill the window if nobody read it.
      channel.stderr.resume()
      return {
        channel,
        learnedHostKey: this.#learned,
        onEnd: (listener) => void ends.add(listener),
        gather: () => this.#gather(),
        close: () => this.#close(),
      }
    } catch (error) {
      this.#socket.destroy()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
      cancelDeadline()
    }
  }

  #dial(): void {
    const { host, port, username, privateKey, passphrase, password } = this.#endpoint
    this.#socket.setNoDelay(true)
    this.#socket.connect({ host, port })
    try {
      this.#client.connect({
        sock: this.#socket,
        username,
        ...(privateKey !== undefined && { privateKey }),
        ...(passphrase !== undefined && { passphrase }),
        ...(password !== undefined && { password }),
        algorithms: this.#hostKeys,
        hostVerifier: (key: Buffer) => this.#isTrusted(key),
        authHandler: loginMethods(this.#endpoint),
        readyTimeout: 0,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: KEEPALIVES_MAX,
      })
    } catch (error) {
      // The only thing of all this that a user writes and that is looked at here is the key; ssh2's text never holds any of it.
      const why = error instanceof Error ? error.message : String(error)
      throw new TransferFailure('AUTH_FAILED', `The private key cannot be used: ${why}`)
    }
  }

  /** Also asked when keys are exchanged anew, in the middle of the connection. */
  #isTrusted(key: Buffer): boolean {
    const shown = { kind: kindOf(key), fingerprint: fingerprintOf(key) }
    const { hostKeys } = this.#endpoint
    if (hostKeys.length === 0 && (this.#learned ?? shown.fingerprint) === shown.fingerprint) {
      this.#learned = shown.fingerprint
      return true
    }
    if (hostKeys.some((pinned) => isSame(pinned, shown.fingerprint))) return true
    this.refusedKey = shown
    return false
  }

  #isGathering = false
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.#socket.cork()
    setImmediate(() => {
      this.#isGathering = false
      this.#socket.uncork()
    })
  }

  #close(): void {
    this.#client.end()
    // Nothing is waiting for what the server still has to say.
    this.#socket.destroySoon()
  }

  #failure(error: Error & { level?: string }): TransferFailure {
    const address = addressOf(this.#endpoint)
    if (this.refusedKey !== undefined) return mismatch(this.#endpoint, [this.refusedKey])
    if (error.level === 'client-authentication' || (this.#phase === 'logging in' && /authentication/i.test(error.message))) {
      return new TransferFailure('AUTH_FAILED', `${address} refused the login of ${this.#endpoint.username}.`, { cause: error })
    }
    if (error.level === 'client-timeout') return this.#tooLate()
    if (/no matching/i.test(error.message)) {
      return new TransferFailure('UNSUPPORTED', `${address} and this agent have no algorithm in common: ${error.message}.`, {
        cause: error,
      })
    }
    if (/before handshake|no response|unusable after/i.test(error.message)) return this.#lost()
    return failureOf(error, `The connection to ${address}`, 'PROTOCOL_ERROR')
  }

  #lost(): TransferFailure {
    return new TransferFailure('CONNECTION_LOST', `${addressOf(this.#endpoint)} closed the connection while ${this.#doing()}.`)
  }

  #tooLate(): TransferFailure {
    return new TransferFailure('TIMEOUT', `${addressOf(this.#endpoint)} did not answer in time while ${this.#doing()}.`)
  }

  #noSftp(): TransferFailure {
    return new TransferFailure('UNSUPPORTED', `${addressOf(this.#endpoint)} does not offer SFTP to ${this.#endpoint.username}.`)
  }

  #doing(): string {
    return this.#phase === 'logged in' ? 'it was in use' : this.#phase
  }
}

/** The key first; a password also where the server asks for it as a question (keyboard-interactive), as many do. */
function loginMethods({ username, privateKey, password }: SftpEndpoint): AuthHandlerMiddleware {
  const methods: (AuthenticationType | KeyboardInteractiveAuthMethod)[] = []
  if (privateKey !== undefined) methods.push('publickey')
  if (password !== undefined) {
    methods.push('password', {
      type: 'keyboard-interactive',
      username,
      // One hidden question is the password; nobody here can answer any other.
      prompt: (_name, _instructions, _language, prompts, finish) =>
        finish(prompts.map(({ echo }) => (prompts.length === 1 && echo !== true ? password : ''))),
    })
  }
  return (left: readonly string[] | null, _partial, next) => {
    for (;;) {
      const method = methods.shift()
      // The types leave out that false means: nothing is left to try.
      if (method === undefined) return next(false as unknown as AuthenticationType)
      if (left === null || left.includes(typeof method === 'string' ? method : method.type)) return next(method)
    }
  }
}

export function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** As `ssh-keygen -l` prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** A key begins with its kind as a counted string (RFC 4253 §6.6). */
function kindOf(key: Buffer): string {
  return key.length < 4 ? '' : key.toString('latin1', 4, 4 + Math.min(key.readUInt32BE(0), KIND_BYTES_MAX))
}
const KIND_BYTES_MAX = 64

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one.replace(/=+$/, '')), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
