import type { createTransport } from 'nodemailer'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { mailText } from './message.ts'
import type { AlertStore, MailDue } from './port.ts'

/** Time between two looks for mails that are due, ms; a new alert of this node is looked for at once. */
const MAILS_EVERY_MS = 5 * SECOND_MS
/** Mails taken at once. */
const MAILS_STEP = 10
/** Time for one mail from connecting to its acceptance, ms. */
const SEND_MS_MAX = 30 * SECOND_MS
/** A node that took mails and died holds them for this long, ms: more than it takes to send a step of them. */
export const LEASE_MS = MAILS_STEP * SEND_MS_MAX + MINUTE_MS
/** Wait after the first try that failed, ms; doubled after each, up to the longest. */
export const RETRY_MS = 30 * SECOND_MS
export const RETRY_MS_MAX = HOUR_MS
/** Then a mail is given up: after two days. The alert itself stays, and is listed. */
export const TRIES_MAX = 54
/** Longest part of a mail server's words that is logged. */
const REASON_CHARACTERS_MAX = 300

export interface MailSettings {
  /** `smtp://user:password@host:587` or `smtps://…`, checked where settings are loaded. */
  readonly smtpUrl: string
  readonly alertEmail: readonly string[]
  /** Empty: the first of `alertEmail`. */
  readonly alertFrom: string
  readonly publicUrl: string
}

export interface MailerParts {
  readonly store: Pick<AlertStore, 'takeMails' | 'mailSent' | 'mailFailed'>
  readonly settings: MailSettings
  readonly clock: Clock
  readonly log: Log
  /** Tests set what a real mail server has by itself: a name with a certificate that the system trusts. */
  readonly connection?: Partial<Connection>
}

type Connection = ReturnType<typeof connectionOf>
type Transport = ReturnType<typeof createTransport>

/**
 * Sends the mails that alerts ask for, at least once each: a mail is marked as sent after the server has accepted it, so a crash in
 * between sends it twice, with the same Message-ID. Mails wait in the store, so a mail server that is down delays them and nothing
 * else. Of several nodes each takes other mails.
 *
 * new → running (start) → stopped (stop).
 */
export class Mailer {
  readonly #parts: MailerParts
  readonly #password: string
  readonly #connection: Partial<Connection>
  #opening: Promise<Transport> | undefined
  readonly #stopping = new AbortController()
  readonly #sendings: Rounds

  constructor(parts: MailerParts) {
    this.#parts = parts
    this.#connection = { ...connectionOf(parts.settings.smtpUrl), ...parts.connection }
    this.#password = this.#connection.auth?.pass ?? ''
    this.#sendings = new Rounds({
      clock: parts.clock,
      round: async () => ((await this.sendDue()) ? 0 : MAILS_EVERY_MS),
      everyMs: MAILS_EVERY_MS,
      failed: (error) => parts.log.warn({ err: error }, 'mails about alerts could not be read or marked; tried again'),
    })
  }

  start(): void {
    this.#sendings.start()
  }

  /** A mail was just made due. */
  nudge(): void {
    this.#sendings.wake()
  }

  /** What is being sent is cut; it is sent again by whoever comes next. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#sendings.stop()
    const transport = await this.#opening
    transport?.close()
  }

  /** Loaded with the first mail: most servers never send one. */
  #transport(): Promise<Transport> {
    this.#opening ??= import('nodemailer').then((nodemailer) =>
      nodemailer.createTransport({ ...this.#connection, disableFileAccess: true, disableUrlAccess: true }),
    )
    return this.#opening
  }

  /** Sends what is due, up to a step; true when there may be more at once. */
  async sendDue(): Promise<boolean> {
    const { store, clock } = this.#parts
    const now = clock.now()
    const mails = await store.takeMails(now, now + LEASE_MS, MAILS_STEP)
    let sent = 0
    for (const mail of mails) {
      if (this.#stopping.signal.aborted) break
      if (await this.#sendOne(mail)) sent += 1
    }
    return sent > 0
  }

  async #sendOne({ alert, notice, tries }: MailDue): Promise<boolean> {
    const { store, clock, log, settings } = this.#parts
    const { id: alertId } = alert
    const deadline = new AbortController()
    const cancel = clock.after(SEND_MS_MAX, () => deadline.abort())
    try {
      const transport = await this.#transport()
      const { rejected } = await transport.sendMail({
        from: settings.alertFrom || settings.alertEmail[0]!,
        to: [...settings.alertEmail],
        ...mailText(alert, notice, settings.publicUrl),
        // The same for every try, so that mail programs show it once.
        messageId: `<${alertId}.${notice}@landfall>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
        signal: AbortSignal.any([deadline.signal, this.#stopping.signal]),
      })
      if (rejected.length > 0) log.warn({ alertId, rejected: rejected.length }, 'the mail server refused some receivers')
    } catch (error) {
      // Cut by our own stop: it was taken for nothing.
      if (this.#stopping.signal.aborted) await store.mailFailed(alertId, notice, clock.now())
      else await this.#failed({ alert, notice, tries }, error)
      return false
    } finally {
      cancel()
    }
    await store.mailSent(alertId, notice, clock.now())
    log.info({ alertId, notice }, 'a mail about an alert was sent')
    return true
  }

  async #failed({ alert, notice, tries }: MailDue, error: unknown): Promise<void> {
    const { store, clock, log } = this.#parts
    const isGivenUp = tries >= TRIES_MAX
    await store.mailFailed(alert.id, notice, isGivenUp ? null : clock.now() + retryMs(tries))
    const fields = { alertId: alert.id, notice, tries, reason: this.#reasonOf(error) }
    if (isGivenUp) log.error(fields, 'a mail about an alert was given up')
    else log.warn(fields, 'a mail about an alert could not be sent; tried again later')
  }

  /** What the mail server said, which may repeat what it was told. */
  #reasonOf(error: unknown): string {
    const { message } = error as Error
    const told = this.#password === '' ? message : message.replaceAll(this.#password, '[secret]')
    return told.slice(0, REASON_CHARACTERS_MAX)
  }
}

/** Wait after this try, ms. */
export function retryMs(tries: number): number {
  return Math.min(RETRY_MS * 2 ** (tries - 1), RETRY_MS_MAX)
}

/**
 * How the mail server of the setting is reached. TLS always: from the first byte (`smtps`), or by STARTTLS before anything is said,
 * required. On loopback nobody listens in between: there STARTTLS is used where it is offered, whatever the certificate.
 */
export function connectionOf(smtpUrl: string) {
  const url = new URL(smtpUrl)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const secure = url.protocol === 'smtps:'
  const isLoopback = host === 'localhost' || host === '::1' || /^127\./.test(host)
  const user = decodeURIComponent(url.username)
  return {
    ...{ host, port: url.port === '' ? (secure ? SMTPS_PORT : SUBMISSION_PORT) : Number(url.port), secure },
    requireTLS: !secure && !isLoopback,
    tls: { rejectUnauthorized: !isLoopback, minVersion: 'TLSv1.2' as const },
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(url.password) } }),
    ...{ connectionTimeout: 10 * SECOND_MS, greetingTimeout: 10 * SECOND_MS, dnsTimeout: 10 * SECOND_MS },
    socketTimeout: SEND_MS_MAX,
  }
}

/** RFC 8314 sections 3.3 and 3.2. */
const SUBMISSION_PORT = 587
const SMTPS_PORT = 465
