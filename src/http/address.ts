import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * Which addresses are not on the public internet. The table follows the IANA special-purpose address registries
 * for IPv4 and IPv6 (as of 2025-10-09): every block that they do not call globally reachable, and what they leave to
 * other registries (multicast, link-local, the parts of IPv6 that are not unicast). Blocks inside 192.0.0.0/24 and
 * 2001::/23 that are reachable (anycast of PCP and TURN, AMT, ORCHIDv2, drone identifiers) serve protocols, never a
 * webhook, and stay refused with their parent. The AS112 blocks are reachable and public.
 */
export interface SpecialRange {
  readonly cidr: string
  readonly name: string
  /**
   * What may open it: a network in the list of those allowed, its own address there and nothing wider, the loopback
   * policy, or nothing. Nothing opens the forms that reach this machine, or an IPv4 address, by another spelling: they
   * would turn a narrow permission into a wide one.
   */
  readonly opens: 'allow' | 'address' | 'loopback' | 'nothing'
}

function range(cidr: string, name: string, opens: SpecialRange['opens'] = 'allow'): SpecialRange {
  return { cidr, name, opens }
}

const NAT64 = '64:ff9b::/96'
const LOCAL_NAT64 = '64:ff9b:1::/48'

/** The first row that holds an address names it, so narrow rows stand before wide ones. */
export const SPECIAL_RANGES: readonly SpecialRange[] = [
  // Services that hand out the credentials of a machine to whoever asks. Some lie in networks that people open for other reasons.
  ...[
    ...['169.254.169.254/32', '169.254.170.2/32', '169.254.170.23/32', '169.254.0.23/32', '169.254.42.42/32'],
    ...['100.100.100.200/32', '192.0.0.192/32', '168.63.129.16/32'],
    ...['fd00:ec2::254/128', 'fd00:ec2::23/128', 'fd20:ce::254/128', 'fd00:42::42/128', 'fd00:c1::a9fe:a9fe/128'],
    ...['fe80::a9fe:a9fe/128'],
  ].map((cidr) => range(cidr, 'metadata service of a cloud', 'address')),
  range('127.0.0.0/8', 'loopback', 'loopback'),
  range('0.0.0.0/8', 'this host, this network', 'nothing'),
  range('10.0.0.0/8', 'private use'),
  range('100.64.0.0/10', 'carrier-grade NAT'),
  range('169.254.0.0/16', 'link-local'),
  range('172.16.0.0/12', 'private use'),
  range('192.0.0.0/24', 'IETF protocol assignments'),
  range('192.0.2.0/24', 'documentation'),
  range('192.88.99.0/24', '6to4 relay anycast'),
  range('192.168.0.0/16', 'private use'),
  range('198.18.0.0/15', 'benchmarking'),
  range('198.51.100.0/24', 'documentation'),
  range('203.0.113.0/24', 'documentation'),
  range('224.0.0.0/4', 'multicast'),
  range('255.255.255.255/32', 'broadcast'),
  range('240.0.0.0/4', 'reserved'),

  range('::1/128', 'loopback', 'loopback'),
  range('::/128', 'unspecified', 'nothing'),
  range('::ffff:0:0/96', 'IPv4-mapped', 'nothing'),
  range('::ffff:0:0:0/96', 'IPv4-translated', 'nothing'),
  range('::/96', 'IPv4-compatible', 'nothing'),
  range(NAT64, 'NAT64'), // What these two wrap must be allowed as well.
  range(LOCAL_NAT64, 'local-use NAT64'),
  range('100::/64', 'discard-only'),
  range('100:0:0:1::/64', 'dummy prefix'),
  range('2001::/32', 'Teredo', 'nothing'),
  range('2001:2::/48', 'benchmarking'),
  range('2001:10::/28', 'ORCHID'),
  range('2001::/23', 'IETF protocol assignments'),
  range('2001:db8::/32', 'documentation'),
  range('2002::/16', '6to4', 'nothing'),
  range('3fff::/20', 'documentation'),
  range('5f00::/16', 'segment routing'),
  range('fc00::/7', 'unique local'),
  range('fe80::/10', 'link-local'),
  range('fec0::/10', 'site-local'),
  range('ff00::/8', 'multicast'),
  // Global unicast is 2000::/3; whatever lies outside and has no row of its own is not assigned.
  range('::/3', 'outside global unicast'),
  range('4000::/2', 'outside global unicast'),
  range('8000::/1', 'outside global unicast'),
]

export type Address = ipaddr.IPv4 | ipaddr.IPv6
export type Network = readonly [Address, number]

/** The address of a strict literal (four decimal numbers, or IPv6 without brackets), else undefined. */
export function parseAddress(text: string): Address | undefined {
  // isIP first: the parser of ipaddr.js also takes octal, hexadecimal and shortened forms.
  return isIP(text) === 0 ? undefined : ipaddr.parse(text)
}

/** The network of `address/bits` with no bit set behind the prefix, else undefined. */
export function parseNetwork(cidr: string): Network | undefined {
  const slash = cidr.lastIndexOf('/')
  const address = parseAddress(cidr.slice(0, slash))
  const digits = cidr.slice(slash + 1)
  if (slash < 0 || address === undefined || !/^\d{1,3}$/.test(digits)) return undefined
  const bytes = address.toByteArray()
  const bits = Number(digits)
  if (bits > bytes.length * 8) return undefined
  const isBase = bytes.every((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, bits - index * 8)))) === 0)
  return isBase ? [address, bits] : undefined
}

export function contains([base, bits]: Network, address: Address): boolean {
  return base.kind() === address.kind() && address.match(base, bits)
}

const NAT64_NETWORK = parseNetwork(NAT64)!
const LOCAL_NAT64_NETWORK = parseNetwork(LOCAL_NAT64)!
const NETWORKS = SPECIAL_RANGES.map((special) => ({ special, network: parseNetwork(special.cidr)! }))

/** The special range that holds an address; undefined for an address of the public internet. */
export function specialRangeOf(address: Address): SpecialRange | undefined {
  return NETWORKS.find(({ network }) => contains(network, address))?.special
}

/** Bytes of the IPv4 address behind a prefix of 96 bits, and of 48, 56 and 64 (RFC 6052 section 2.2, where byte 8 is none of it). */
const BEHIND_96_BITS = [12, 13, 14, 15]
const BEHIND_SHORTER = [
  [6, 7, 9, 10],
  [7, 9, 10, 11],
  [9, 10, 11, 12],
]

/**
 * The IPv4 addresses that a NAT64 address may stand for; none: it is not one. Behind the well-known prefix (RFC 6052 section
 * 2.1) there is one, at the end, and so it is in a network of 96 bits that was opened: then its prefix is known. Else a local
 * translator (RFC 8215) may have a prefix of any length and ignores what is behind the address, so each reading counts; but
 * those in 0.0.0.0/8, which is never forwarded (RFC 1122 section 3.2.1.3), only where there is no other.
 */
export function behindNat64(address: Address, openedBits: number): string[] {
  const isLocal = contains(LOCAL_NAT64_NETWORK, address)
  if (!isLocal && !contains(NAT64_NETWORK, address)) return []
  const bytes = address.toByteArray()
  const places = isLocal && openedBits < 96 ? [...BEHIND_SHORTER, BEHIND_96_BITS] : [BEHIND_96_BITS]
  const readings = places.map((place) => place.map((index) => bytes[index]).join('.'))
  const forwarded = readings.filter((reading) => !reading.startsWith('0.'))
  return forwarded.length > 0 ? forwarded : readings
}
