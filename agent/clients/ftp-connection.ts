import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { Client as BasicFtp, FTPError, type FTPResponse } from 'basic-ftp'
import type { Clock } from '../../src/base/clock.ts'
import { KIB, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { FtpEndpoint } from '../../src/wire/agent/work.ts'
import { type DataCommand, openData, transferData } from './ftp-data.ts'
import { ftpFailure } from './ftp-reply.ts'
import type { Reusable } from './idle.ts'
import { addressOf } from './ssh-connection.ts'

/** From dialling to being logged in, ms. */
const CONNECT_MS = 30 * SECOND_MS
/** The server answers a command, and moves data while it is waited for, within this time, ms. */
const ANSWER_MS = MINUTE_MS
/** TCP probes a silent control connection this often, ms: routers forget connections after some minutes, and large files take longer. */
const PROBE_MS = MINUTE_MS
/** Longest line of a reply, characters. */
const REPLY_LINE_CHARS_MAX = 64 * KIB

/** A control connection that is logged in, in binary mode; over TLS also for data. One command at a time. */
export class FtpConnection implements Reusable {
  readonly #ftp: BasicFtp
  readonly #endpoint: FtpEndpoint
  readonly #clock: Clock
  #features: ReadonlyMap<string, string> = new Map()
  #isBusy = false

  static async open(endpoint: FtpEndpoint, clock: Clock, signal: AbortSignal): Promise<FtpConnection> {
    const connection = new FtpConnection(endpoint, clock)
    const { ftp } = connection.#ftp
    const doing = `Connecting to ${addressOf(endpoint)}`
    const stop = () => ftp.closeWithError(new TransferFailure('CANCELLED', 'The transfer was stopped.'))
    const tooLate = () =>
      ftp.closeWithError(new TransferFailure('TIMEOUT', `${doing} took longer than ${CONNECT_MS / SECOND_MS} s.`))
    signal.addEventListener('abort', stop)
    const cancel = clock.after(CONNECT_MS, tooLate)
    try {
      if (signal.aborted) throw new TransferFailure('CANCELLED', 'The transfer was stopped.')
      await connection.#connect(doing)
      return connection
    } catch (error) {
      connection.close()
      throw ftpFailure(error, doing)
    } finally {
      cancel()
      signal.removeEventListener('abort', stop)
    }
  }

  private constructor(endpoint: FtpEndpoint, clock: Clock) {
    this.#endpoint = endpoint
    this.#clock = clock
    this.#ftp = new BasicFtp(ANSWER_MS)
    takeWholeLines(this.#ftp)
  }

  get isQuiet(): boolean {
    return !this.#ftp.closed && !this.#isBusy
  }

  /** `undefined` where FEAT does not name it. */
  feature(name: string): string | undefined {
    return this.#features.get(name)
  }

  /** The reply to a command that answers 2xx or 3xx; a refusal fails with what it means. */
  async send(command: string, doing: string): Promise<FTPResponse> {
    return this.#alone(() => this.#ftp.send(checked(command)), doing)
  }

  /** The reply, a refusal too. */
  async ask(command: string, doing: string, patienceMs = ANSWER_MS): Promise<FTPResponse> {
    // Read by basic-ftp at each command; its types want it fixed.
    const { ftp } = this.#ftp as { ftp: { timeout: number } }
    ftp.timeout = patienceMs
    try {
      return await this.#alone(() => this.#ftp.sendIgnoringError(checked(command)), doing)
    } finally {
      ftp.timeout = ANSWER_MS
    }
  }

  /** A command with a data connection, from an offset of the file where one is given. */
  async transfer(data: DataCommand, doing: string, offset = 0): Promise<void> {
    checked(data.command)
    const { ftp } = this.#ftp
    await this.#alone(async () => {
      const line = await openData(ftp, (secure) => this.#wrongCertificate(secure))
      // It holds for the command that follows at once (RFC 3659 §5.3).
      if (offset > 0) await ftp.request(`REST ${offset}`)
      await transferData(ftp, this.#clock, line, data)
    }, doing)
  }

  close(): void {
    this.#ftp.close()
  }

  /** Ends what is under way with this failure. */
  end(failure: TransferFailure): void {
    this.#ftp.ftp.closeWithError(failure)
  }

  async #alone<Result>(call: () => Promise<Result>, doing: string): Promise<Result> {
    this.#isBusy = true
    try {
      return await call()
    } catch (error) {
      throw ftpFailure(error, doing)
    } finally {
      this.#isBusy = false
    }
  }

  async #connect(doing: string): Promise<void> {
    const { host, port, tls, username, password } = this.#endpoint
    // A name in a command would be read as the next one.
    checked(username + password)
    if (tls === 'implicit') await this.#ftp.connectImplicitTLS(host, port, this.#tlsOptions())
    else await this.#ftp.connect(host, port)
    if (tls === 'explicit') await this.#ftp.useTLS(this.#tlsOptions())
    const { socket } = this.#ftp.ftp
    const fault = socket instanceof TLSSocket ? this.#wrongCertificate(socket) : undefined
    if (fault !== undefined) throw fault
    socket.setKeepAlive(true, PROBE_MS)
    socket.setNoDelay(true)
    await this.#logIn(doing)
    this.#features = await this.#ftp.features()
    await this.#ftp.useDefaultSettings()
  }

  async #logIn(doing: string): Promise<void> {
    const { username, password } = this.#endpoint
    await this.#ftp.sendIgnoringError('OPTS UTF8 ON')
    try {
      await this.#ftp.login(username, password)
    } catch (error) {
      if (!(error instanceof FTPError)) throw error
      const failure = ftpFailure(error, doing)
      // The server's own words might repeat what it was sent.
      const told = `${addressOf(this.#endpoint)} refused the login of ${username} (${error.code}).`
      throw new TransferFailure(failure.code === 'NOT_FOUND' ? 'AUTH_FAILED' : failure.code, told, { cause: error })
    }
  }

  #tlsOptions(): ConnectionOptions {
    const { host, ca, certificates } = this.#endpoint
    return {
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
      // A pin says more than any authority; it is checked once the certificate is there.
      ...(certificates !== undefined && { rejectUnauthorized: false }),
      minVersion: 'TLSv1.2',
    }
  }

  #wrongCertificate(socket: TLSSocket): TransferFailure | undefined {
    const { certificates } = this.#endpoint
    if (certificates === undefined) return undefined
    const { raw } = socket.getPeerCertificate()
    const shown = raw === undefined ? 'no certificate' : createHash('sha256').update(raw).digest('hex')
    if (certificates.some((pinned) => pinned.replaceAll(':', '').toLowerCase() === shown)) return undefined
    return new TransferFailure(
      'HOST_KEY_MISMATCH',
      `${addressOf(this.#endpoint)} showed a certificate with SHA-256 ${shown}, which is not pinned.`,
    )
  }
}

/** A line break in a name would be read as the end of the command, and what follows as the next one. */
function checked(command: string): string {
  if (/[\r\n\0]/.test(command)) throw new TransferFailure('UNSUPPORTED', 'FTP cannot say a name with a line break or NUL in it.')
  return command
}

/** basic-ftp reads every chunk as if it ended a line: a reply cut in two by the network would lose its second half. */
function takeWholeLines(client: BasicFtp): void {
  const context = client.ftp as unknown as { _onControlSocketData(chunk: string): void }
  const take = context._onControlSocketData.bind(context)
  let begun = ''
  context._onControlSocketData = (chunk) => {
    const text = begun + chunk
    const end = text.lastIndexOf('\n') + 1
    begun = text.slice(end)
    if (begun.length > REPLY_LINE_CHARS_MAX) {
      client.ftp.closeWithError(
        new TransferFailure('PROTOCOL_ERROR', `The server sent a line of more than ${REPLY_LINE_CHARS_MAX} characters.`),
      )
    } else if (end > 0) {
      take(text.slice(0, end))
    }
  }
}
