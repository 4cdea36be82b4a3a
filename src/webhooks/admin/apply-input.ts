import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { RandomBytes } from '../../base/id.ts'
import { nearest } from '../../base/nearest.ts'
import type { Seal } from '../../base/seal.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { DIALECT_NAMES, isDialectName } from '../../dialects/index.ts'
import type { EgressGuard } from '../../http/guard.ts'
import type { Refusal } from '../../http/url.ts'
import type { Filter } from '../filter.ts'
import { invalid, shortened } from '../invalid.ts'
import { secretAfter } from '../secrets/new-secret.ts'
import { type SecretOptions, type Webhook, type WebhookOptions, webhookOptionsPurpose } from '../webhook.ts'
import type { Allowance } from './allowance.ts'
import { checkFilter } from './check-filter.ts'
import { checkOptions, checkSecretOptions } from './check-options.ts'
import { checkInput, type WebhookInput } from './input.ts'
import {
  applyPlain,
  applySecret,
  checkGivenAgain,
  namesSecretOptions,
  type StoredOptions,
  withoutReceiver,
} from './options-input.ts'

/** A webhook with an input applied, not stored yet. */
export interface AppliedInput {
  readonly webhook: Webhook
  /** Only when one was made here; it is never shown again. */
  readonly madeSecret: string | null
  /** What the caller should know although it was accepted. */
  readonly warnings: readonly string[]
}

/** All of the egress guard that input has to pass. */
export type InputGuard = Pick<EgressGuard, 'checkUrl' | 'checkProxy' | 'checkHost'> & {
  under(allow: readonly string[] | null): Omit<InputGuard, 'under'>
}

export interface InputTools {
  readonly guard: InputGuard
  readonly seal: Seal
  readonly clock: Pick<Clock, 'now'>
  readonly random?: RandomBytes | undefined
}

/**
 * Applies what a person says to a webhook as it is, a new one or a stored one. Throws `invalid`, `url_refused` and `plan_refused`
 * for the first thing that is wrong; names are asked for, nothing is stored.
 */
export async function applyInput(
  before: Webhook,
  input: Partial<WebhookInput>,
  allowance: Allowance,
  tools: InputTools,
): Promise<AppliedInput> {
  const warnings = await checkTargets(before, input, tools.guard.under(allowance.egressAllow))
  checkInput(input)
  const now = tools.clock.now()
  const dialect = input.dialect === undefined ? before.dialect : dialectNamed(input.dialect)
  const events = input.events === undefined ? before.events : [...new Set(input.events)]
  const { options, sealedOptions } = optionsFor(before, input, dialect, allowance, tools)
  const { madeSecret, ...secret } = secretAfter({ id: before.id, dialect, options }, input.secret, before, {
    ...tools,
    now: tools.clock.now(),
  })
  const url = input.url ?? before.url
  const webhook: Webhook = {
    ...before,
    ...{ url, events, dialect, options, sealedOptions, ...secret },
    name: input.name ?? (before.name === '' ? new URL(url).hostname : before.name),
    filter: filterFor(before, input, events, allowance),
    order: input.order === undefined ? before.order : (input.order ?? 'none'),
    retryDelaysSeconds: input.retry === undefined ? before.retryDelaysSeconds : (input.retry?.delaysSeconds ?? null),
    ...(input.active === undefined ? {} : stateFor(before, input.active, now)),
    // The store tells by it whether a webhook has changed since it was read, also within one ms.
    updatedAt: Math.max(now, before.updatedAt + 1),
  }
  return { webhook, madeSecret, warnings }
}

/** Every address that is new must be one that may be reached, by its form and by what its name stands for now. */
async function checkTargets(before: Webhook, input: Partial<WebhookInput>, guard: Omit<InputGuard, 'under'>): Promise<string[]> {
  const { auth, proxy } = before.options
  const tokenUrl = input.auth?.kind === 'oauth2' ? input.auth.tokenUrl : undefined
  const targets = [
    { field: 'url', text: input.url, before: before.url, check: guard.checkUrl },
    {
      field: 'auth.tokenUrl',
      text: tokenUrl,
      before: auth?.kind === 'oauth2' ? auth.tokenUrl : undefined,
      check: guard.checkUrl,
    },
    { field: 'proxy.url', text: input.proxy?.url, before: proxy?.url, check: guard.checkProxy },
  ]
  const warnings: string[] = []
  for (const { field, text, before, check } of targets) {
    if (text === undefined || text === before) continue
    const form = check(text)
    if (!form.allowed) throw refused(field, form)
    const host = await guard.checkHost(form.url)
    if (!host.allowed) throw refused(field, host)
    if (host.warning !== undefined) warnings.push(host.warning)
  }
  return warnings
}

function refused(field: string, { reason }: Refusal): AppError {
  return new AppError('url_refused', `${field}: ${reason}`, { field })
}

function dialectNamed(name: string): DialectName {
  if (isDialectName(name)) return name
  const hint = nearest(name.slice(0, 32), DIALECT_NAMES)
  const meant = hint === undefined ? '' : `; did you mean "${hint}"?`
  throw invalid('dialect', `dialect must be one of ${DIALECT_NAMES.join(', ')}, not "${shortened(name)}"${meant}`)
}

function optionsFor(
  before: Webhook,
  input: Partial<WebhookInput>,
  dialect: DialectName,
  allowance: Allowance,
  tools: InputTools,
): { options: WebhookOptions; sealedOptions: string | null } {
  const { cloudEventsMode, ...kept } = before.options
  // What only the dialect before knew does not stand in the way of another one.
  const options = applyPlain(dialect === 'cloudevents' ? before.options : kept, input)
  checkOptions(options, dialect, allowance)
  const isElsewhere = before.url !== '' && input.url !== undefined && originOf(input.url) !== originOf(before.url)
  if (isElsewhere) checkGivenAgain(before.options, input, originOf(before.url))
  if (!namesSecretOptions(input)) return { options, sealedOptions: before.sealedOptions }
  const secrets = openedOptions(before, tools)
  const stored = applySecret({ options, secrets: isElsewhere ? withoutReceiver(secrets) : secrets }, input)
  checkSecretOptions(stored, tools.clock.now())
  return { options: stored.options, sealedOptions: sealedOptions(before.id, stored, tools) }
}

function originOf(url: string): string {
  return new URL(url).origin
}

function openedOptions({ id, sealedOptions }: Webhook, { seal }: InputTools): SecretOptions {
  return sealedOptions === null ? {} : JSON.parse(seal.open(sealedOptions, webhookOptionsPurpose(id)))
}

function sealedOptions(webhookId: string, { secrets }: StoredOptions, { seal }: InputTools): string | null {
  return Object.keys(secrets).length === 0 ? null : seal.seal(JSON.stringify(secrets), webhookOptionsPurpose(webhookId))
}

/** Checked again with other event types: a member may exist in none of them. */
function filterFor(
  before: Webhook,
  input: Partial<WebhookInput>,
  events: readonly string[],
  allowance: Allowance,
): Filter | null {
  const { filterConditionsMax: max, plan } = allowance
  const filter = input.filter === undefined ? before.filter : input.filter
  if (filter === null || (input.filter === undefined && input.events === undefined)) return filter as Filter | null
  const checked = checkFilter(filter, events)
  const count = Object.keys(checked).length
  if (input.filter !== undefined && count > max)
    throw new AppError('plan_refused', `filter has ${count} conditions; the plan ${plan} of the account allows ${max}`, {
      field: 'filter',
    })
  return count === 0 ? null : checked
}

function stateFor(before: Webhook, active: boolean, now: number) {
  return {
    state: active ? ('active' as const) : ('inactive' as const),
    failedReason: null,
    // Its event is missing like those that come while the webhook is off.
    failedDeliveryId: active ? null : before.failedDeliveryId,
    inactiveReason: null,
    offSince: active ? null : (before.offSince ?? now),
  }
}
