import { isIP } from 'node:net'
import { parseAddress, specialRangeOf } from './address.ts'

/**
 * The form of a url that a person gives: what may be told from its text alone, without a policy and without asking for
 * a name. Refusals are values with a sentence for that person.
 */
export type Refusal = { allowed: false; reason: string }
export type Verdict = { allowed: true } | Refusal
export type UrlVerdict = { allowed: true; url: URL } | Refusal

/** Longest url of a webhook, in characters. */
export const URL_LENGTH_MAX = 2048
/** Longest host name and label, in characters (RFC 1035 §2.3.4, without the root's dot). */
const NAME_LENGTH_MAX = 253
const LABEL_LENGTH_MAX = 63

/** Top-level labels that never name a host of the public internet (RFC 6761, RFC 6762, and ICANN for `internal`). */
const LOCAL_SUFFIXES = new Set(['localhost', 'local', 'internal'])

/**
 * Ports of services that could take a request for something else: mail, shells, name servers, chat. The list is that
 * of browsers (https://fetch.spec.whatwg.org/#port-blocking).
 */
const REFUSED_PORTS: ReadonlySet<number> = new Set([
  ...[1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111],
  ...[113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548],
  ...[554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566],
  ...[6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080],
])

/**
 * The url as the WHATWG parser reads it, if it was also written that way. The parser quietly turns many spellings
 * into one (`https:\\host`, `0x7f.1`, `2130706433`, full-width letters, `%6c`); a host that another reader, or a
 * person, could take for a different one is refused. `schemes` is what a refusal says of its begin.
 */
export function readUrl(text: string, schemes = 'https://'): UrlVerdict {
  if (text.length > URL_LENGTH_MAX) return refused(`the url has ${text.length} characters; at most ${URL_LENGTH_MAX} are taken`)
  if (/[^\u0021-\u007e\u00a0-\u{10ffff}]|\\/u.test(text))
    return refused('the url contains a space, a control character or a backslash')
  const authority = /^https?:\/\/([^/?#]+)/i.exec(text)?.[1]
  if (authority === undefined) return refused(`the url must begin with ${schemes} and a host`)
  if (!URL.canParse(text)) return refused(`the url is malformed, or its host ${authority} is no host`)
  const url = new URL(text)
  if (authority.includes('@')) return refused('the url carries user information before its host; use a header instead')
  if (text.includes('#')) return refused('the url has a fragment (#…), which is never sent')
  const written = authority.replace(/:\d*$/, '').toLowerCase()
  if (written !== url.hostname && isIP(url.hostname) === 4)
    return refused(`host ${written} is another form of ${url.hostname}; write it as four decimal numbers`)
  // An international name (xn--) and an IPv6 literal have several honest spellings; what they mean is checked after.
  const isSpelledFreely = url.hostname.includes('xn--') || url.hostname.startsWith('[')
  if (written !== url.hostname && !isSpelledFreely)
    return refused(`host ${written} is another spelling of ${url.hostname}; write that`)
  const wrong = faultOfPort(url) ?? faultOfName(bareHost(url))
  return wrong === undefined ? { allowed: true, url } : refused(wrong)
}

function faultOfPort(url: URL): string | undefined {
  if (url.port === '0') return 'port 0 cannot be dialled; ports are 1 to 65535'
  // Whoever opens loopback means the programs of this machine, on any port.
  if (!REFUSED_PORTS.has(Number(url.port)) || isLoopbackHost(bareHost(url))) return undefined
  return `port ${url.port} belongs to a service that is no web server; no setting opens it`
}

function faultOfName(host: string): string | undefined {
  if (host === 'localhost' || isIP(host) !== 0) return undefined
  const labels = host.split('.')
  if (host.length > NAME_LENGTH_MAX) return `the host has ${host.length} characters; at most ${NAME_LENGTH_MAX} are taken`
  if (labels.includes('')) return `host ${host} has an empty part; write it without a leading, doubled or trailing dot`
  if (!labels.every(isLabel)) return `host ${host} has a part that no host name can have`
  if (labels.length === 1) return `host ${host} is a single label; webhooks go to full host names`
  const suffix = labels.at(-1)!
  return LOCAL_SUFFIXES.has(suffix) ? `host ${host} ends in .${suffix}, which names hosts of a local network` : undefined
}

/** Letters, digits and inner hyphens; the underscore is no host name by the book but resolves and is in use. */
function isLabel(label: string): boolean {
  return label.length <= LABEL_LENGTH_MAX && /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(label)
}

export function isLoopbackHost(host: string): boolean {
  const address = parseAddress(host)
  return host === 'localhost' || (address !== undefined && specialRangeOf(address)?.opens === 'loopback')
}

/** The host as `net` takes it: an IPv6 literal without its brackets. */
export function bareHost(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

export function refused(reason: string): Refusal {
  return { allowed: false, reason }
}
