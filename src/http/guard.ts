import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import { behindNat64, contains, type Network, parseAddress, parseNetwork, type SpecialRange, specialRangeOf } from './address.ts'
import { bareHost, isLoopbackHost, readUrl, refused, type UrlVerdict, type Verdict } from './url.ts'

/**
 * Decides where webhooks may go. A url passes three gates: its form (`checkUrl`, when a webhook is made or changed
 * and before each attempt), the addresses of its host when it is made (`checkHost`, a courtesy: the answer may
 * change), and the addresses at the moment of dialling (`addressesOf` and `checkAddress`, the gate that counts: the list
 * that was checked is the list that is dialled, nothing is resolved a second time). Refusals are values with a
 * sentence for the person who set the url, and name the setting that would allow it.
 */
export interface EgressGuard {
  /** Equal keys judge alike: what was opened under one policy may be used under the other. */
  readonly key: string
  checkUrl(url: string): UrlVerdict
  /** The url of a proxy: also over plain http, and nothing but scheme, host and port. */
  checkProxy(url: string): UrlVerdict
  /** `host` is the name that led to the address, for the sentence and because `localhost` must mean loopback. */
  checkAddress(address: string, host?: string): Verdict
  /** Every address of the url's host; a name that does not resolve now is allowed with a warning. */
  checkHost(url: URL): Promise<Verdict & { warning?: string }>
  /** All addresses of a host, at least one; fails with `url_refused` if any of them is refused. */
  addressesOf(host: string): Promise<ResolvedAddress[]>
  /** This guard with the networks that an account may reach in place of the server's; null: with those of the server. */
  under(allow: readonly string[] | null): EgressGuard
}

export interface EgressPolicy {
  /** Networks (CIDRs) outside the public internet that webhooks may reach. Loopback is never among them. */
  readonly allow: readonly string[]
  /** Whether loopback addresses and the name `localhost` may be reached, over http too. */
  readonly loopback: boolean
}

export interface ResolvedAddress {
  address: string
  family: number
}
export type Resolve = (host: string) => Promise<ResolvedAddress[]>

/** Networks in one list. */
const EGRESS_ALLOW_MAX = 100
/** Verdicts on urls that are kept, of each policy, and policies of accounts that are kept. */
const VERDICTS_KEPT_MAX = 1_000
const POLICIES_KEPT_MAX = 1_000
/** Names being asked for at once. The system resolver takes two at a time; beyond this many it is this machine that has no answer. */
const NAMES_AT_ONCE_MAX = 1_000
/** How long making a webhook waits for the name of its host, ms; a slower answer counts as none. */
const RESOLVE_AT_CREATE_MS = 5 * SECOND_MS

const SERVER_SETTING = 'LANDFALL_EGRESS_ALLOW'
const ACCOUNT_SETTING = 'egressAllow of the account'
const LOOPBACK_REMEDY = 'LANDFALL_EGRESS_LOOPBACK=allow opens it'
const ALLOWED: Verdict = { allowed: true }

const resolveBySystem: Resolve = (host) => systemLookup(host, { all: true, order: 'verbatim' })

/** Throws `setting_invalid` for an entry of `allow` that is not a network or that this setting cannot open. */
export function createEgressGuard(policy: EgressPolicy, resolve: Resolve = resolveBySystem): EgressGuard {
  const wrong = faultOfAllow(policy.allow)
  if (wrong !== undefined)
    throw new AppError('setting_invalid', `${SERVER_SETTING}: ${wrong}`, { field: 'LANDFALL_EGRESS_ALLOW' })
  const resolveOnce = sharingLookups(resolve)
  const ofAccounts = new Map<string, EgressGuard>()

  const server = guardUnder({ ...policy, setting: SERVER_SETTING }, resolveOnce, (allow) => {
    const key = JSON.stringify(allow)
    const known = ofAccounts.get(key)
    if (known !== undefined) return known
    const guard = guardUnder({ allow, loopback: policy.loopback, setting: ACCOUNT_SETTING }, resolveOnce, server.under)
    if (ofAccounts.size >= POLICIES_KEPT_MAX) ofAccounts.clear()
    ofAccounts.set(key, guard)
    return guard
  })
  return server
}

/** The list of networks that the webhooks of an account may reach; throws `invalid` for what it cannot open. */
export function checkEgressAllow(allow: readonly string[]): readonly string[] {
  const wrong = faultOfAllow(allow)
  if (wrong !== undefined) throw new AppError('invalid', `egressAllow: ${wrong}`, { field: 'egressAllow' })
  return allow
}

function guardUnder(
  policy: EgressPolicy & { setting: string },
  resolve: Resolve,
  other: (allow: readonly string[]) => EgressGuard,
): EgressGuard {
  // An entry that no setting may hold any more, by newer knowledge about its range, opens nothing.
  const allow = policy.allow.map(parseNetwork).filter((network) => network !== undefined)
  const verdicts = new Map<string, UrlVerdict>()

  function checkAddress(address: string, host = address): Verdict {
    const subject = host === address ? address : `${host} is at ${address}, which`
    const parsed = parseAddress(address)
    if (parsed === undefined) return refused(`${subject} is not an IP address`)
    const special = specialRangeOf(parsed)
    if (host === 'localhost' && special?.opens !== 'loopback') return refused(`${subject} is not a loopback address`)
    if (special === undefined) return ALLOWED
    if (special.opens === 'loopback' && policy.loopback) return ALLOWED
    const opening = allow.filter((network) => contains(network, parsed) && opens(network, special))
    if (opening.length === 0)
      return refused(`${subject} is in ${special.cidr} (${special.name}); ${remedy(special, policy.setting)}`)
    // The narrowest says most about where the address is that it wraps.
    const wrapped = behindNat64(parsed, Math.max(...opening.map(([, bits]) => bits)))
    return wrapped.map((one) => checkWrapped(one, subject)).find(({ allowed }) => !allowed) ?? ALLOWED
  }

  /** Loopback behind a translator is not that of this machine. */
  function checkWrapped(wrapped: string, subject: string): Verdict {
    if (isLoopbackHost(wrapped)) return refused(`${subject} stands for ${wrapped}, which no setting opens`)
    const verdict = checkAddress(wrapped)
    return verdict.allowed ? ALLOWED : refused(`${subject} stands for ${verdict.reason}`)
  }

  function checkAddresses(host: string, addresses: readonly ResolvedAddress[]): Verdict {
    for (const { address } of addresses) {
      const verdict = checkAddress(address, host)
      if (!verdict.allowed) return verdict
    }
    return ALLOWED
  }

  /** Asked again at each attempt, and always the same: the policy is fixed, and nothing is resolved. */
  function checkUrl(text: string): UrlVerdict {
    const known = verdicts.get(text)
    if (known !== undefined) return known
    const verdict = judgeUrl(text)
    if (verdicts.size >= VERDICTS_KEPT_MAX) verdicts.clear()
    verdicts.set(text, verdict)
    return verdict
  }

  function judgeUrl(text: string): UrlVerdict {
    const form = readUrl(text)
    if (!form.allowed) return form
    const host = bareHost(form.url)
    if (form.url.protocol === 'http:' && !isLoopbackHost(host)) return refused(`plain http to ${host} is refused; use https`)
    return judgeHost(form)
  }

  function checkProxy(text: string): UrlVerdict {
    const form = readUrl(text, 'http:// or https://')
    if (!form.allowed) return form
    const { pathname, search } = form.url
    return pathname + search === '/'
      ? judgeHost(form)
      : refused('the url of a proxy has a scheme, a host and a port, and nothing else')
  }

  function judgeHost(form: { allowed: true; url: URL }): UrlVerdict {
    const host = bareHost(form.url)
    if (host === 'localhost' && !policy.loopback) return refused(`localhost is loopback; ${LOOPBACK_REMEDY}`)
    const verdict = isIP(host) === 0 ? ALLOWED : checkAddress(host)
    return verdict.allowed ? form : verdict
  }

  async function checkHost(url: URL): Promise<Verdict & { warning?: string }> {
    const host = bareHost(url)
    if (isIP(host) !== 0) return checkAddress(host)
    const addresses = await withinTime(resolve(host), RESOLVE_AT_CREATE_MS)
    if (addresses.length === 0) return { allowed: true, warning: `${host} does not resolve to an address at the moment` }
    return checkAddresses(host, addresses)
  }

  async function addressesOf(host: string): Promise<ResolvedAddress[]> {
    const family = isIP(host)
    const addresses = family === 0 ? await resolve(host) : [{ address: host, family }]
    const verdict = checkAddresses(host, addresses)
    if (!verdict.allowed) throw new AppError('url_refused', verdict.reason)
    if (addresses.length === 0) throw Object.assign(new Error(`no address for ${host}`), { code: 'ENOTFOUND' })
    return addresses
  }

  return {
    key: JSON.stringify([policy.allow, policy.loopback]),
    ...{ checkUrl, checkProxy, checkAddress, checkHost, addressesOf },
    under(list) {
      return list === null ? this : other(list)
    },
  }
}

/** What keeps a list of networks from being a setting; undefined: nothing. */
function faultOfAllow(allow: readonly string[]): string | undefined {
  if (allow.length > EGRESS_ALLOW_MAX) return `has ${allow.length} networks; at most ${EGRESS_ALLOW_MAX} are taken`
  for (const cidr of allow) {
    const network = parseNetwork(cidr)
    const shown = JSON.stringify(cidr.slice(0, 60))
    if (network === undefined)
      return `${shown} is not a network such as 10.0.0.0/8 or fd00::/8, with no bit set behind its prefix`
    const special = specialRangeOf(network[0])
    const isInside = special !== undefined && bitsOf(special) <= network[1]
    if (isInside && (special.opens === 'loopback' || special.opens === 'nothing'))
      return `${shown} is in ${special.cidr} (${special.name}); ${remedy(special, '')}`
  }
  return undefined
}

function opens(network: Network, special: SpecialRange): boolean {
  return special.opens === 'allow' || (special.opens === 'address' && network[1] === bitsOf(special))
}

function bitsOf({ cidr }: SpecialRange): number {
  return Number(cidr.split('/')[1])
}

function remedy({ opens, cidr }: SpecialRange, setting: string): string {
  if (opens === 'loopback') return LOOPBACK_REMEDY
  if (opens === 'nothing') return 'no setting opens it'
  return opens === 'allow' ? `${setting} can open it` : `only ${cidr} itself in ${setting} opens it`
}

/**
 * One question per name at a time. The system resolver works on the few threads that file work needs too, and a
 * name server that does not answer would otherwise take one of them for every waiting connection.
 */
function sharingLookups(resolve: Resolve): Resolve {
  const pending = new Map<string, Promise<ResolvedAddress[]>>()
  return async (host) => {
    const known = pending.get(host)
    if (known !== undefined) return known
    // Not the fault of the receiver, so it must not count as an attempt.
    if (pending.size >= NAMES_AT_ONCE_MAX)
      throw new AppError('internal', `${NAMES_AT_ONCE_MAX} names are being looked up already`)
    const running = resolve(host).finally(() => pending.delete(host))
    pending.set(host, running)
    return running
  }
}

/** The addresses, or none if the question fails or takes longer. */
function withinTime(question: Promise<ResolvedAddress[]>, ms: number): Promise<ResolvedAddress[]> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, [])
    const answer = (addresses: ResolvedAddress[]) => {
      clearTimeout(timer)
      resolve(addresses)
    }
    question.then(answer, () => answer([]))
  })
}
