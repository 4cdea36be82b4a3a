import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import { contains, parseAddress, parseNetwork, type SpecialRange, specialRangeOf } from './address.ts'

/**
 * Decides where webhooks may go. A url passes three gates: its form (`checkUrl`, when a webhook is made or changed
 * and before each attempt), the addresses of its host when it is made (`checkHost`, a courtesy: the answer may
 * change), and the addresses at the moment of dialling (`lookup` and `checkAddress`, the gate that counts: the list
 * that was checked is the list that is dialled, nothing is resolved a second time). Refusals are values with a
 * sentence for the person who set the url.
 */
export interface EgressGuard {
  checkUrl(url: string): UrlVerdict
  /** `host` is the name that led to the address, for the sentence and because `localhost` must mean loopback. */
  checkAddress(address: string, host?: string): Verdict
  /** Every address of the url's host; a name that does not resolve now is allowed with a warning. */
  checkHost(url: URL): Promise<Verdict & { warning?: string }>
  /** For `net.connect`: hands on all addresses of a name, or fails with `url_refused` if any of them is refused. */
  lookup: LookupFunction
}

export interface EgressPolicy {
  /** Networks (CIDRs) outside the public internet that webhooks may reach. Loopback is never among them. */
  readonly allow: readonly string[]
  /** Whether loopback addresses and the name `localhost` may be reached, over http too. */
  readonly loopback: boolean
}

export type Refusal = { allowed: false; reason: string }
export type Verdict = { allowed: true } | Refusal
export type UrlVerdict = { allowed: true; url: URL } | Refusal

export interface ResolvedAddress {
  address: string
  family: number
}
export type Resolve = (host: string) => Promise<ResolvedAddress[]>

/** Longest url of a webhook, in characters. */
export const URL_LENGTH_MAX = 2048
/** Longest host name and label, in characters (RFC 1035 §2.3.4, without the root's dot). */
const NAME_LENGTH_MAX = 253
const LABEL_LENGTH_MAX = 63
/** Verdicts on urls that are kept. */
const VERDICTS_KEPT_MAX = 1_000
/** How long making a webhook waits for the name of its host, ms; a slower answer counts as none. */
const RESOLVE_AT_CREATE_MS = 5 * SECOND_MS

/** Top-level labels that never name a host of the public internet (RFC 6761, RFC 6762, and ICANN for `internal`). */
const LOCAL_SUFFIXES = new Set(['localhost', 'local', 'internal'])
const ALLOWED: Verdict = { allowed: true }

const resolveBySystem: Resolve = (host) => systemLookup(host, { all: true, order: 'verbatim' })

/** Throws `setting_invalid` for an entry of `allow` that is not a network or that this setting cannot open. */
export function createEgressGuard(policy: EgressPolicy, resolve: Resolve = resolveBySystem): EgressGuard {
  const allow = policy.allow.map(readAllowed)
  const resolveOnce = sharingLookups(resolve)
  const verdicts = new Map<string, UrlVerdict>()

  function checkAddress(address: string, host = address): Verdict {
    const subject = host === address ? address : `${host} is at ${address}, which`
    const parsed = parseAddress(address)
    if (parsed === undefined) return refused(`${subject} is not an IP address`)
    const special = specialRangeOf(parsed)
    if (host === 'localhost' && special?.opens !== 'loopback') return refused(`${subject} is not a loopback address`)
    if (special === undefined) return ALLOWED
    if (special.opens === 'loopback' && policy.loopback) return ALLOWED
    if (special.opens === 'allow' && allow.some((network) => contains(network, parsed))) return ALLOWED
    return refused(`${subject} is in ${special.cidr} (${special.name}); ${remedy(special)}`)
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
    const { url } = form
    const host = bareHost(url)
    const literal = isIP(host) !== 0
    if (url.protocol === 'http:' && !isLoopbackHost(host)) return refused(`plain http to ${host} is refused; use https`)
    if (host === 'localhost' && !policy.loopback) return refused(`localhost is loopback; ${LOOPBACK_REMEDY}`)
    const verdict = literal ? checkAddress(host) : checkName(host)
    return verdict.allowed ? form : verdict
  }

  async function checkHost(url: URL): Promise<Verdict & { warning?: string }> {
    const host = bareHost(url)
    if (isIP(host) !== 0) return checkAddress(host)
    const addresses = await withinTime(resolveOnce(host), RESOLVE_AT_CREATE_MS)
    if (addresses.length === 0) return { allowed: true, warning: `${host} does not resolve to an address at the moment` }
    return checkAddresses(host, addresses)
  }

  const lookup: LookupFunction = (host, options, done) => {
    resolveOnce(host).then(
      (addresses) => {
        const verdict = checkAddresses(host, addresses)
        const first = addresses[0]
        if (!verdict.allowed) done(new AppError('url_refused', verdict.reason), '')
        else if (first === undefined) done(Object.assign(new Error(`no address for ${host}`), { code: 'ENOTFOUND' }), '')
        else if (options.all) done(null, addresses)
        else done(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => done(error, ''),
    )
  }

  return { checkUrl, checkAddress, checkHost, lookup }
}

/**
 * The url as the WHATWG parser reads it, if it was also written that way. The parser quietly turns many spellings
 * into one (`https:\\host`, `0x7f.1`, `2130706433`, full-width letters, `%6c`); a host that another reader, or a
 * person, could take for a different one is refused.
 */
function readUrl(text: string): UrlVerdict {
  if (text.length > URL_LENGTH_MAX) return refused(`the url has ${text.length} characters; at most ${URL_LENGTH_MAX} are taken`)
  if (/[^\u0021-\u007e\u00a0-\u{10ffff}]|\\/u.test(text))
    return refused('the url contains a space, a control character or a backslash')
  const authority = /^https?:\/\/([^/?#]+)/i.exec(text)?.[1]
  if (authority === undefined) return refused('the url must begin with https:// and a host')
  if (!URL.canParse(text)) return refused(`the url is malformed, or its host ${authority} is no host`)
  const url = new URL(text)
  if (authority.includes('@')) return refused('the url carries user information before its host; use a header instead')
  if (text.includes('#')) return refused('the url has a fragment (#…), which is never sent')
  if (url.port === '0') return refused('port 0 cannot be dialled; ports are 1 to 65535')
  const written = authority.replace(/:\d*$/, '').toLowerCase()
  if (written !== url.hostname && isIP(url.hostname) === 4)
    return refused(`host ${written} is another form of ${url.hostname}; write it as four decimal numbers`)
  // An international name (xn--) and an IPv6 literal have several honest spellings; what they mean is checked after.
  const isSpelledFreely = url.hostname.includes('xn--') || url.hostname.startsWith('[')
  if (written !== url.hostname && !isSpelledFreely)
    return refused(`host ${written} is another spelling of ${url.hostname}; write that`)
  return { allowed: true, url }
}

function checkName(host: string): Verdict {
  if (host === 'localhost') return ALLOWED
  const labels = host.split('.')
  if (host.length > NAME_LENGTH_MAX)
    return refused(`the host has ${host.length} characters; at most ${NAME_LENGTH_MAX} are taken`)
  if (labels.includes('')) return refused(`host ${host} has an empty part; write it without a leading, doubled or trailing dot`)
  if (!labels.every(isLabel)) return refused(`host ${host} has a part that no host name can have`)
  if (labels.length === 1) return refused(`host ${host} is a single label; webhooks go to full host names`)
  const suffix = labels.at(-1)!
  if (LOCAL_SUFFIXES.has(suffix)) return refused(`host ${host} ends in .${suffix}, which names hosts of a local network`)
  return ALLOWED
}

/** Letters, digits and inner hyphens; the underscore is no host name by the book but resolves and is in use. */
function isLabel(label: string): boolean {
  return label.length <= LABEL_LENGTH_MAX && /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(label)
}

function isLoopbackHost(host: string): boolean {
  const address = parseAddress(host)
  return host === 'localhost' || (address !== undefined && specialRangeOf(address)?.opens === 'loopback')
}

/** The host as `net` takes it: an IPv6 literal without its brackets. */
function bareHost(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

function readAllowed(cidr: string) {
  const network = parseNetwork(cidr)
  const field = { field: 'LANDFALL_EGRESS_ALLOW' }
  if (network === undefined) {
    const shape = 'a network such as 10.0.0.0/8 or fd00::/8, with no bit set behind its prefix'
    throw new AppError('setting_invalid', `LANDFALL_EGRESS_ALLOW: "${cidr}" is not ${shape}`, field)
  }
  const special = specialRangeOf(network[0])
  const isInside = special !== undefined && Number(special.cidr.split('/')[1]) <= network[1]
  if (isInside && special.opens !== 'allow')
    throw new AppError(
      'setting_invalid',
      `LANDFALL_EGRESS_ALLOW: "${cidr}" is in ${special.cidr} (${special.name}); ${remedy(special)}`,
      field,
    )
  return network
}

const LOOPBACK_REMEDY = 'LANDFALL_EGRESS_LOOPBACK=allow opens it'
function remedy({ opens }: SpecialRange): string {
  if (opens === 'loopback') return LOOPBACK_REMEDY
  return opens === 'allow' ? 'LANDFALL_EGRESS_ALLOW can open it' : 'no setting opens it'
}

/**
 * One question per name at a time. The system resolver works on the few threads that file work needs too, and a
 * name server that does not answer would otherwise take one of them for every waiting connection.
 */
function sharingLookups(resolve: Resolve): Resolve {
  const pending = new Map<string, Promise<ResolvedAddress[]>>()
  return (host) => {
    const running = pending.get(host) ?? resolve(host).finally(() => pending.delete(host))
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

function refused(reason: string): Refusal {
  return { allowed: false, reason }
}
