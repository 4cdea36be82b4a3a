import { type Caller, changeEntry } from '../../audit/caller.ts'
import type { AuditStore } from '../../audit/port.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { SLOW_ANSWER_MS } from '../../base/histogram.ts'
import { newId, randomText } from '../../base/id.ts'
import type { Seal } from '../../base/seal.ts'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../base/units.ts'
import { EVENT_TYPES, type EventType, matches } from '../../events/catalogue.ts'
import { SAMPLES } from '../../events/samples.ts'
import type { InspectTls, TlsInspection } from '../../http/inspect.ts'
import { AccessTokens } from '../access-token.ts'
import { attempt } from '../attempt.ts'
import { openSecrets, type Secrets } from '../opened-secrets.ts'
import { planDelivery } from '../plan.ts'
import { type Post, routeFor } from '../send.ts'
import type { Attempt, ClaimedDelivery, Webhook } from '../webhook.ts'
import type { WebhookAdmin } from './administer.ts'

/** What one probe found, for people. */
export interface Check {
  readonly name: 'tls' | 'genuine' | 'bad_signature' | 'changed_body' | 'old_timestamp' | 'duplicate' | 'latency'
  readonly outcome: 'ok' | 'warning' | 'problem' | 'skipped'
  readonly says: string
  /** What to do about it; null where nothing is to be done. */
  readonly remedy: string | null
}

export interface DoctorReport {
  readonly webhookId: string
  readonly url: string
  readonly checks: readonly Check[]
  /** The receiver's certificates, its own first; null over plain http. */
  readonly tls: TlsInspection | null
}

/**
 * Probes the receiver of a webhook with samples that are signed well and badly. The probes go out like attempts, with the webhook's own
 * headers, route and deadline, but no delivery is made of them: nothing is stored but a line of the audit trail.
 */
export interface Doctor {
  /** `not_found`; `plan_refused` where the plan of its account has no webhooks; `limit_reached` while this webhook is being examined already. */
  examine(webhookId: string, caller: Caller): Promise<DoctorReport>
}

export interface DoctorParts {
  readonly webhooks: Pick<WebhookAdmin, 'getIncluded'>
  readonly audit: Pick<AuditStore, 'appendAudit'>
  readonly seal: Pick<Seal, 'open'>
  readonly post: Post
  readonly inspectTls: InspectTls
  readonly clock: Clock
}

/** Genuine posts whose time is taken. */
const LATENCY_PROBES = 5
/** How old the timestamp of a replayed request is: far outside every receiver's tolerance. */
const OLD_MS = HOUR_MS
/** A certificate that ends sooner is worth a warning. */
const CERTIFICATE_SOON_MS = 21 * DAY_MS

export function createDoctor(parts: DoctorParts): Doctor {
  const { webhooks, audit, seal, clock } = parts
  const examined = new Set<string>()

  return {
    async examine(webhookId, caller) {
      const webhook = await webhooks.getIncluded(webhookId, caller)
      if (examined.has(webhookId)) throw new AppError('limit_reached', `webhook ${webhookId} is being examined already`)
      examined.add(webhookId)
      try {
        const change = { accountId: webhook.accountId, action: 'webhook.doctor', target: webhookId } as const
        await audit.appendAudit([changeEntry(caller, clock.now(), change)])
        return await new Examination(parts, webhook, openSecrets(webhook, seal, clock.now())).run()
      } finally {
        examined.delete(webhookId)
      }
    },
  }
}

class Examination {
  readonly #parts: DoctorParts
  readonly #webhook: Webhook
  readonly #secrets: Secrets
  readonly #tokens: AccessTokens
  readonly #durationsMs: number[] = []

  constructor(parts: DoctorParts, webhook: Webhook, secrets: Secrets) {
    this.#parts = parts
    this.#webhook = webhook
    this.#secrets = secrets
    this.#tokens = new AccessTokens(parts.post, parts.clock)
  }

  async run(): Promise<DoctorReport> {
    const { id: webhookId, url } = this.#webhook
    const tls = await this.#handshake()
    const checks = [tls.check]
    if (tls.isReachable) checks.push(...(await this.#probe()))
    return { webhookId, url, checks, tls: tls.inspection }
  }

  async #handshake(): Promise<{ check: Check; inspection: TlsInspection | null; isReachable: boolean }> {
    const { clock, inspectTls } = this.#parts
    if (this.#webhook.url.startsWith('http:')) {
      const check = warning('tls', 'the url is plain http, which is for receivers on this machine only', 'use https elsewhere')
      return { check, inspection: null, isReachable: true }
    }
    try {
      const inspection = await inspectTls(this.#webhook.url, routeFor(this.#webhook, this.#secrets.options))
      return { check: judgeTls(inspection, clock.now()), inspection, isReachable: inspection.problem === null }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      const remedy = 'see that the host is right, listens on this port and may be reached from here'
      return { check: problem('tls', error.message, remedy), inspection: null, isReachable: false }
    }
  }

  async #probe(): Promise<Check[]> {
    const sample = this.#sample()
    const first = await this.#send(sample)
    const genuine = judgeGenuine(first)
    if (first.error !== null) return [genuine]
    const checks = [genuine]
    checks.push(...(await this.#forgeries()), judgeDuplicate(await this.#send(sample), first))
    while (this.#durationsMs.length < LATENCY_PROBES) await this.#send(this.#sample())
    return [...checks, judgeLatency(this.#durationsMs)]
  }

  /** What a receiver must refuse. Each is a sample of its own, so that none is taken for a duplicate. */
  async #forgeries(): Promise<Check[]> {
    const { dialect } = this.#webhook
    if (this.#secrets.secret === null) {
      const remedy = 'give the webhook a secret: without one anybody who knows the url can send to it'
      return [
        warning('bad_signature', 'deliveries are not signed, so that the receiver cannot tell them from forged ones', remedy),
      ]
    }
    const forged = { ...this.#secrets, secret: `whsec_${randomText(32)}`, secretBefore: null }
    const wrong = await this.#send(this.#sample(), { secrets: forged })
    const changed = await this.#send(this.#sample(), { changeBody: true })
    const checks = [
      judgeForgery('bad_signature', 'a request signed with another secret', wrong),
      judgeForgery('changed_body', 'a request whose body was changed after it was signed', changed),
    ]
    if (dialect === 'mftplus')
      checks.push({
        name: 'old_timestamp',
        outcome: 'skipped',
        says: 'the dialect mftplus does not sign its timestamp',
        remedy: null,
      })
    else {
      const old = await this.#send(this.#sample(), { agedMs: OLD_MS })
      checks.push(judgeForgery('old_timestamp', 'a well signed request whose timestamp is an hour old', old))
    }
    return checks
  }

  /** A delivery that nobody stores. */
  #sample(): ClaimedDelivery {
    const now = this.#parts.clock.now()
    const type = sampleType(this.#webhook)
    const { accountId } = this.#webhook
    const event = { id: newId('event', now), type, accountId, occurredAt: now, data: SAMPLES[type] }
    return { ...planDelivery(event, this.#webhook, 'test', now), attempts: 0, createdAt: now }
  }

  async #send(
    delivery: ClaimedDelivery,
    {
      secrets = this.#secrets,
      changeBody = false,
      agedMs = 0,
    }: { secrets?: Secrets; changeBody?: boolean; agedMs?: number } = {},
  ): Promise<Attempt> {
    const { clock, post } = this.#parts
    const aged: Clock = { ...clock, now: () => clock.now() - agedMs, monotonic: () => clock.monotonic(), after: clock.after }
    const changing: Post = (request) => post({ ...request, body: `${request.body.toString()} ` })
    const tools = { post: changeBody ? changing : post, tokens: this.#tokens, clock: aged, node: 'doctor' }
    const settlement = await attempt(delivery, this.#webhook, secrets, tools)
    const made = settlement.attempt!
    if (made.error === null) this.#durationsMs.push(made.durationMs)
    return made
  }
}

/** A type that the webhook subscribes to, so that the receiver knows what it gets. */
function sampleType({ events }: Webhook): EventType {
  return EVENT_TYPES.find((type) => events.some((subscription) => matches(subscription, type))) ?? 'file.uploaded'
}

function judgeTls({ problem: wrong, chain, protocol }: TlsInspection, now: number): Check {
  const remedy = 'renew or complete the certificate chain of the receiver, or give the webhook the authority (tls.ca)'
  if (wrong !== null) return problem('tls', wrong, remedy)
  const endsAt = Math.min(...chain.map(({ validTo }) => validTo))
  const days = Math.floor((endsAt - now) / DAY_MS)
  const says = `${protocol}, the chain is trusted and valid for ${days} more days`
  return endsAt - now < CERTIFICATE_SOON_MS ? warning('tls', says, 'renew the certificate of the receiver') : ok('tls', says)
}

function judgeGenuine({ error, statusCode, durationMs }: Attempt): Check {
  if (error === null) return ok('genuine', `a well signed request was taken with ${statusCode} in ${durationMs} ms`)
  const isRefused = statusCode === 401 || statusCode === 403
  const remedy = isRefused
    ? 'see that the receiver has the same secret and verifies the raw body; `landfall explain-signature` tells why it does not match'
    : 'mend the receiver first: what it does with forged requests says nothing until it takes genuine ones'
  return problem('genuine', `a well signed request was not taken: ${error}`, remedy)
}

function judgeForgery(name: Check['name'], what: string, { statusCode, error }: Attempt): Check {
  if (error === null)
    return problem(
      name,
      `${what} was taken with ${statusCode}`,
      'verify every request before anything else, and answer 401 where it fails',
    )
  if (statusCode !== null && statusCode >= 400 && statusCode <= 499) return ok(name, `${what} was refused with ${statusCode}`)
  return warning(name, `${what} was not taken, but without a clear refusal: ${error}`, 'answer 401')
}

/** Whether it was processed twice cannot be seen from here; that it was taken can. */
function judgeDuplicate({ error, statusCode, responseBody }: Attempt, first: Attempt): Check {
  const remedy = 'answer 2xx to an id that was seen before, and do nothing: deliveries come at least once'
  if (error !== null) return problem('duplicate', `the same request a second time was not taken: ${error}`, remedy)
  const isTold = responseBody !== first.responseBody
  const seen = isTold ? 'with another answer than the first, so it was recognised' : 'with the same answer as the first'
  const says = `the same id a second time was taken with ${statusCode}, ${seen}`
  return isTold ? ok('duplicate', says) : warning('duplicate', says, 'make sure that an id seen before is not processed again')
}

function judgeLatency(durationsMs: readonly number[]): Check {
  const sorted = durationsMs.toSorted((a, b) => a - b)
  const [least, most] = [sorted[0]!, sorted.at(-1)!]
  const says = `answers took ${least} to ${most} ms, half of them at most ${sorted[sorted.length >> 1]} ms`
  const remedy = 'answer at once and work afterwards'
  return most > SLOW_ANSWER_MS
    ? problem('latency', says, remedy)
    : most > SECOND_MS
      ? warning('latency', says, remedy)
      : ok('latency', says)
}

function ok(name: Check['name'], says: string): Check {
  return { name, outcome: 'ok', says, remedy: null }
}
function warning(name: Check['name'], says: string, remedy: string): Check {
  return { name, outcome: 'warning', says, remedy }
}
function problem(name: Check['name'], says: string, remedy: string): Check {
  return { name, outcome: 'problem', says, remedy }
}
