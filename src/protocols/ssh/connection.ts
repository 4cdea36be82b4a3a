import type { Socket } from 'node:net'
import type { ServerChannel, Connection as Ssh2Connection, Session as Ssh2Session } from 'ssh2'
import type { Authenticator } from '../../accounts/authenticate.ts'
import type { User } from '../../accounts/user.ts'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { GIB, HOUR_MS, MIB, SECOND_MS } from '../../base/units.ts'
import type { Space } from '../../files/space.ts'
import { Flow } from '../sftp/flow.ts'
import { type SftpChannel, SftpSession } from '../sftp/session.ts'
import { handleLogin } from './login.ts'

export interface ConnectionLimits {
  /** From connecting to the end of the first key exchange; also the time for each later one. */
  readonly handshakeDeadlineMs: number
  /** From connecting to being logged in. */
  readonly loginDeadlineMs: number
  /** Without a request or a byte of a transfer. */
  readonly idleMs: number
  readonly loginTries: number
  readonly handlesMax: number
}

export interface ConnectionNeeds {
  readonly limits: ConnectionLimits
  readonly authenticator: Authenticator
  openSession(user: User, address: string): Promise<Space>
  /** Takes the user, or throws an AppError that says why not now. */
  admit(connection: Connection, user: User): void
  report(entry: LoginReport): void
  readonly clock: Clock
  readonly log: Log
  /** New keys after this many bytes of both directions, and after this time (RFC 4253 section 9). Smaller in tests. */
  readonly rekey?: { bytes: number; ms: number }
}

export interface LoginReport {
  readonly action: 'login' | 'logout'
  readonly user: User | undefined
  readonly name: string
  readonly address: string
  readonly result: string
  readonly detail: string | null
}

const REKEY = { bytes: GIB, ms: HOUR_MS }
/** Channels of one connection at a time. OpenSSH's MaxSessions. */
const SESSIONS_MAX = 10
/** Bytes that wait for the network above which nothing more is read from it: answers of the SSH layer itself, which cost a client nothing to ask for. */
const WIRE_BYTES_MAX = MIB
/** Data that a client may send while nothing of it is taken. ssh2 grants 2 MiB, and once more when 1 MiB of it came. */
const AHEAD_BYTES_MAX = 5 * MIB
/** SSH packets that this data may come in. Each costs some 500 bytes of memory, however small it is; clients' are 128 for 4 MiB. */
const AHEAD_CHUNKS_MAX = 16_384
const REFUSAL = 'this server offers SFTP only\n'

/**
 * One connection: we own the socket, ssh2 speaks SSH over it. handshake → login → open → over.
 * Deadlines end the first two, silence ends `open`. Everything that a peer does wrong ends here and is logged; nothing of
 * it reaches the process.
 */
export class Connection {
  readonly address: string
  /** Resolves when the socket is closed. */
  readonly gone: Promise<void>
  readonly #socket: Socket
  readonly #needs: ConnectionNeeds
  readonly #log: Log
  readonly #flow: Flow
  readonly #sessions = new Set<SftpSession>()
  /** Channels of sessions that run SFTP, to see what waits in them. */
  readonly #channels = new Set<ServerChannel>()
  #channelCount = 0
  #client: Ssh2Connection | undefined
  #user: User | undefined
  #state: 'handshake' | 'login' | 'open' | 'over' = 'handshake'
  #cancelHandshake: () => void
  #cancelLogin: () => void
  #cancelIdle: () => void = () => {}
  #cancelRekey: () => void = () => {}
  #rekeyedAtBytes = 0
  #rekeying = false

  constructor(socket: Socket, needs: ConnectionNeeds) {
    this.#socket = socket
    this.#needs = needs
    this.address = socket.remoteAddress ?? 'unknown'
    this.#log = needs.log.child({ address: this.address })
    this.#flow = new Flow(socket)
    // Without it every small reply waits 40 ms for the peer's acknowledgement (measured: 50 instead of 2,100 files/s).
    socket.setNoDelay(true)
    socket.on('error', (error) => this.#log.debug({ error: error.message }, 'socket failed'))
    socket.on('drain', () => {
      socket.resume()
      this.#flow.room()
    })
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.#over()
        resolve()
      })
    })
    const { clock, limits } = needs
    this.#cancelHandshake = clock.after(limits.handshakeDeadlineMs, () => this.#expire('handshake'))
    this.#cancelLogin = clock.after(limits.loginDeadlineMs, () => this.#expire('login'))
  }

  get user(): User | undefined {
    return this.#user
  }

  get isBusy(): boolean {
    return this.#flow.requests > 0
  }

  /** Bytes held for this client, as far as they are counted. */
  get bytes(): number {
    let bytes = this.#flow.bytes
    for (const channel of this.#channels) bytes += channel.readableLength
    return bytes
  }

  /** ssh2 read the peer's first line and made its object. */
  attach(client: Ssh2Connection): void {
    this.#client = client
    client.on('error', (error: Error) => {
      this.#log.debug({ error: error.message }, 'ssh failed')
      this.#socket.destroySoon()
    })
    client.on('handshake', () => this.#onKeys())
    client.on('ready', () => this.#onReady())
    client.on('session', (accept, reject) => {
      if (this.#channelCount >= SESSIONS_MAX || this.#state !== 'open') reject()
      else this.#onSession(accept())
    })
    handleLogin(client, {
      authenticator: this.#needs.authenticator,
      triesMax: this.#needs.limits.loginTries,
      log: this.#log,
      admit: (user) => {
        this.#needs.admit(this, user)
        this.#user = user
      },
      report: (login) => this.#needs.report({ action: 'login', address: this.address, ...login }),
      isOver: () => this.#state === 'over',
      end: () => this.end('too many tries to log in'),
    })
    // Behind ssh2's own listener: what it made of the bytes is seen here.
    this.#socket.on('data', () => this.#onBytes())
  }

  /** Says goodbye and closes; what the peer does not take in time is dropped. */
  end(why: string): void {
    if (this.#state === 'over') return
    this.#log.info({ why }, 'connection ended')
    this.#cutSessions()
    this.#client?.end()
    this.#socket.destroySoon()
    // A peer that reads nothing would keep a half-closed socket for ever.
    this.#needs.clock.after(this.#needs.limits.handshakeDeadlineMs, () => this.#socket.destroy())
  }

  /** No new requests; ends when those under way have ended and been answered. */
  async finish(): Promise<void> {
    this.#flow.hold()
    const sessions = [...this.#sessions]
    for (const session of sessions) session.finish()
    await Promise.all(sessions.map(({ over }) => over))
    this.end('the server stops')
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #onKeys(): void {
    if (this.#state === 'handshake') this.#state = 'login'
    this.#cancelHandshake()
    this.#rekeying = false
    this.#rekeyedAtBytes = this.#wireBytes
    this.#cancelRekey()
    this.#cancelRekey = this.#needs.clock.after(this.#rekeyAfter.ms, () => this.#rekey())
    this.#flow.resume()
  }

  #onReady(): void {
    this.#state = 'open'
    this.#cancelLogin()
    this.#watchIdle()
  }

  /** One timer for the connection: it asks whether anything has moved since it was set. */
  #watchIdle(): void {
    const { progress } = this.#flow
    this.#cancelIdle = this.#needs.clock.after(this.#needs.limits.idleMs, () => {
      if (progress === this.#flow.progress && !this.isBusy) this.#expire('idle')
      else this.#watchIdle()
    })
  }

  #expire(deadline: 'handshake' | 'login' | 'idle'): void {
    this.end(`the ${deadline} deadline has passed`)
  }

  #onBytes(): void {
    if (this.#state === 'over') return
    if (this.#socket.writableLength > WIRE_BYTES_MAX) this.#socket.pause()
    if (this.#state === 'open' && this.#wireBytes - this.#rekeyedAtBytes >= this.#rekeyAfter.bytes) this.#rekey()
  }

  get #wireBytes(): number {
    return this.#socket.bytesRead + this.#socket.bytesWritten
  }

  get #rekeyAfter(): { bytes: number; ms: number } {
    return this.#needs.rekey ?? REKEY
  }

  /** While keys are exchanged ssh2 queues replies where nobody can count them, so no request is begun until the end. */
  #rekey(): void {
    if (this.#rekeying || this.#client === undefined || this.#state !== 'open') return
    this.#rekeying = true
    this.#flow.hold()
    this.#client.rekey()
    this.#cancelRekey()
    this.#cancelHandshake = this.#needs.clock.after(this.#needs.limits.handshakeDeadlineMs, () => this.#expire('handshake'))
  }

  #onSession(session: Ssh2Session): void {
    this.#channelCount++
    session.once('close', () => {
      this.#channelCount--
    })
    session.on('subsystem', (accept, reject, { name }) => {
      if (name === 'sftp') void this.#serve(accept())
      else reject()
    })
    const refuse = (accept: () => ServerChannel) => {
      const channel = accept()
      channel.on('error', () => {})
      channel.stderr.write(REFUSAL)
      channel.exit(1)
      channel.end()
      channel.resume()
    }
    session.on('shell', refuse)
    session.on('exec', refuse)
  }

  async #serve(channel: ServerChannel): Promise<void> {
    const { limits, clock, openSession } = this.#needs
    const user = this.#user!
    const taken = this.#boundAhead(channel)
    let space: Space
    try {
      space = await openSession(user, this.address)
    } catch (error) {
      this.#log.error({ err: error }, 'cannot open the space of a user')
      channel.on('error', () => {})
      channel.stderr.write('internal error\n')
      channel.exit(1)
      channel.end()
      channel.resume()
      return
    }
    const session = new SftpSession({
      channel: channel as SftpChannel,
      space,
      flow: this.#flow,
      handlesMax: limits.handlesMax,
      owner: user.name,
      clock,
      log: this.#log.child({ user: user.name }),
    })
    channel.on('data', taken)
    this.#sessions.add(session)
    this.#channels.add(channel)
    void session.over.then(() => {
      this.#sessions.delete(session)
      this.#channels.delete(channel)
    })
    if (this.#state === 'over') session.cut()
  }

  /**
   * ssh2 does not stop a client that sends beyond its window, nor one that fills it with tiny packets. Both would only
   * do it to fill our memory, and the connection is cut. Data comes by `push`; call the result for each chunk taken.
   */
  #boundAhead(channel: ServerChannel): () => void {
    let chunks = 0
    const push = channel.push.bind(channel)
    channel.push = (chunk: Buffer | null) => {
      if (chunk !== null) chunks++
      if (chunks > AHEAD_CHUNKS_MAX || channel.readableLength > AHEAD_BYTES_MAX) {
        this.#log.warn({ chunks, bytes: channel.readableLength }, 'a client sends more than it was granted')
        this.#socket.destroy()
        return false
      }
      return push(chunk)
    }
    return () => {
      chunks--
    }
  }

  #cutSessions(): void {
    for (const session of this.#sessions) session.cut()
  }

  #over(): void {
    if (this.#state === 'over') return
    const wasOpen = this.#state === 'open'
    this.#state = 'over'
    for (const cancel of [this.#cancelHandshake, this.#cancelLogin, this.#cancelIdle, this.#cancelRekey]) cancel()
    this.#cutSessions()
    const user = this.#user
    if (wasOpen && user !== undefined) {
      this.#needs.report({ action: 'logout', user, name: user.name, address: this.address, result: 'ok', detail: null })
    }
  }
}

/** Said before the banner to a connection that is one too many, then closed. */
export function turnAway(socket: Socket): void {
  socket.on('error', () => {})
  socket.end('Too many connections; try again later.\r\n')
  socket.setTimeout(5 * SECOND_MS, () => socket.destroy())
}
