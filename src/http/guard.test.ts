import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { parseAddress, parseNetwork, SPECIAL_RANGES, specialRangeOf } from './address.ts'
import { checkEgressAllow, createEgressGuard, type Resolve } from './guard.ts'

const strict = createEgressGuard({ allow: [], loopback: false }, unasked)
const local = createEgressGuard({ allow: [], loopback: true }, unasked)

async function unasked(host: string): Promise<never> {
  throw new Error(`${host} was asked for`)
}

test('any text is judged, never thrown at', () => {
  const host = fc.oneof(fc.ipV4Extended(), fc.ipV6(), fc.domain(), fc.string({ unit: 'binary' }))
  const url = fc.oneof(
    fc.string(),
    fc.webUrl({ withFragments: true }),
    host.map((it) => `https://${it}/`),
  )
  fc.assert(
    fc.property(url, (text) => {
      const verdict = strict.checkUrl(text)
      if (!verdict.allowed) return verdict.reason.length > 0
      const { protocol, hostname } = verdict.url
      const address = parseAddress(hostname.replace(/^\[|\]$/g, ''))
      return protocol === 'https:' && (address === undefined ? hostname.includes('.') : specialRangeOf(address) === undefined)
    }),
  )
})

/** First and last address of every range, and its neighbours outside, by the edges alone. */
for (const { cidr, name } of SPECIAL_RANGES) {
  test(`the table: ${cidr}, ${name}`, () => {
    const [base, bits] = parseNetwork(cidr)!
    assert.ok(specialRangeOf(base), 'its first address')
    const last = base.toByteArray().map((byte, index) => byte | (0xff >> Math.min(8, Math.max(0, bits - index * 8))))
    const text =
      last.length === 4
        ? last.join('.')
        : last.map((byte, i) => byte.toString(16).padStart(2, '0') + (i % 2 && i < 15 ? ':' : '')).join('')
    assert.ok(specialRangeOf(parseAddress(text)!), `its last address ${text}`)
    assert.equal(strict.checkAddress(text).allowed, false)
  })
}

const addresses: [address: string, range: string | undefined][] = [
  ['9.255.255.255', undefined],
  ['11.0.0.0', undefined],
  ['100.63.255.255', undefined],
  ['100.128.0.0', undefined],
  ['126.255.255.255', undefined],
  ['128.0.0.0', undefined],
  ['169.253.255.255', undefined],
  ['172.15.255.255', undefined],
  ['172.32.0.0', undefined],
  ['192.167.255.255', undefined],
  ['192.169.0.0', undefined],
  ['198.17.255.255', undefined],
  ['198.20.0.0', undefined],
  ['223.255.255.255', undefined],
  ['2001:200::', undefined],
  ['2001:db7:ffff::', undefined],
  ['2001:db9::', undefined],
  ['2003::', undefined],
  ['3ffe::', undefined],
  ['3fff:1000::', undefined],
  ['2606:4700::1', undefined],
  ['2001::1', '2001::/32'],
  ['2001:2::1', '2001:2::/48'],
  ['2001:1ff:ffff::', '2001::/23'],
  ['100::1', '100::/64'],
  ['200::1', '::/3'],
  ['4000::1', '4000::/2'],
  ['fbff::1', '8000::/1'],
  ['fe80::1%eth0', 'fe80::/10'],
]
for (const [address, range] of addresses) {
  test(`${address} is ${range === undefined ? 'public' : `in ${range}`}`, () => {
    assert.equal(specialRangeOf(parseAddress(address)!)?.cidr, range)
  })
}

test('what is no address is refused', () => {
  for (const text of ['', 'localhost', '127.1', '0x7f.0.0.1', '010.0.0.1', '1.2.3.4/32', '[::1]'])
    assert.match(reasonOf(local.checkAddress(text)), /is not an IP address/)
})

test('the list of allowed networks opens exactly what it says', () => {
  const guard = createEgressGuard({ allow: ['10.1.0.0/16', 'fd00:1::/32', '192.168.7.9/32'], loopback: false }, unasked)
  for (const address of ['10.1.0.0', '10.1.255.255', 'fd00:1::5', '192.168.7.9', '8.8.8.8'])
    assert.equal(guard.checkAddress(address).allowed, true, address)
  for (const address of [
    '10.0.255.255',
    '10.2.0.0',
    'fd00:2::5',
    '192.168.7.8',
    '192.168.7.10',
    '::ffff:10.1.0.1',
    '127.0.0.1',
    '172.16.0.1',
  ])
    assert.equal(guard.checkAddress(address).allowed, false, address)
  assert.equal(guard.checkUrl('https://10.1.2.3/').allowed, true)
  assert.match(reasonOf(guard.checkUrl('http://10.1.2.3/')), /plain http/)
})

test('even the widest list opens neither loopback nor another spelling of it', () => {
  const guard = createEgressGuard({ allow: ['0.0.0.0/0', '::/0'], loopback: false }, unasked)
  for (const address of ['127.0.0.1', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '::127.0.0.1'])
    assert.equal(guard.checkAddress(address).allowed, false, address)
  assert.equal(guard.checkAddress('192.168.1.1').allowed, true)
})

test('a metadata service is opened by its own address only', () => {
  const wide = createEgressGuard({ allow: ['0.0.0.0/0', '::/0', '169.254.0.0/16', 'fd00:ec2::/64'], loopback: false }, unasked)
  const reason = reasonOf(wide.checkAddress('169.254.169.254'))
  assert.match(reason, /only 169\.254\.169\.254\/32 itself in LANDFALL_EGRESS_ALLOW opens it/)
  assert.equal(wide.checkAddress('fd00:ec2::254').allowed, false)
  assert.equal(wide.checkAddress('169.254.1.1').allowed, true)
  const exact = createEgressGuard({ allow: ['169.254.169.254/32'], loopback: false }, unasked)
  assert.equal(exact.checkAddress('169.254.169.254').allowed, true)
  assert.equal(exact.checkAddress('169.254.169.253').allowed, false)
})

test('an address behind NAT64 needs both: its prefix, and what it stands for', () => {
  const guard = createEgressGuard({ allow: ['64:ff9b::/96'], loopback: true }, unasked)
  assert.equal(guard.checkAddress('64:ff9b::808:808').allowed, true)
  assert.match(reasonOf(guard.checkAddress('64:ff9b::a00:1')), /64:ff9b::a00:1 stands for 10\.0\.0\.1 is in 10\.0\.0\.0\/8/)
  assert.match(reasonOf(guard.checkAddress('64:ff9b::7f00:1')), /stands for 127\.0\.0\.1, which no setting opens/)
  const both = createEgressGuard({ allow: ['64:ff9b::/96', '10.0.0.0/8'], loopback: true }, unasked)
  assert.equal(both.checkAddress('64:ff9b::a00:1').allowed, true)
})

test('the networks of an account stand in place of those of the server, and open exactly what they say', () => {
  const server = createEgressGuard({ allow: ['10.1.0.0/16'], loopback: true }, unasked)
  const account = server.under(['10.2.0.0/16'])
  assert.equal(account.checkUrl('https://10.2.0.1/').allowed, true)
  assert.match(reasonOf(account.checkUrl('https://10.1.0.1/')), /egressAllow of the account can open it/)
  assert.equal(server.checkUrl('https://10.2.0.1/').allowed, false)
  assert.equal(account.checkUrl('http://127.0.0.1:3000/').allowed, true, 'loopback stays the matter of the server')
  assert.equal(server.under([]).checkUrl('https://10.1.0.1/').allowed, false)
  assert.equal(server.under(null), server)
  assert.equal(account.under(null), account)
  assert.equal(server.under(['10.2.0.0/16']).key, account.key)
  assert.notEqual(account.key, server.key)
})

test('an entry of a stored list that can no longer be read opens nothing', () => {
  const guard = createEgressGuard({ allow: [], loopback: false }, unasked).under(['nonsense', '2002::/16', '10.0.0.0/8'])
  assert.equal(guard.checkAddress('2002::1').allowed, false)
  assert.equal(guard.checkAddress('10.0.0.1').allowed, true)
})

test('checkEgressAllow names its field', () => {
  assert.deepEqual(checkEgressAllow(['10.0.0.0/8', 'fd00::/8']), ['10.0.0.0/8', 'fd00::/8'])
  for (const [list, message] of [
    [['10.0.0.1/8'], /^egressAllow: "10\.0\.0\.1\/8" is not a network/],
    [['127.0.0.0/8'], /^egressAllow: .*loopback/],
    [['2002::/16'], /^egressAllow: .*6to4.*no setting/],
    [Array.from({ length: 101 }, (_, index) => `10.${index}.0.0/16`), /^egressAllow: has 101 networks; at most 100/],
  ] as const)
    assert.throws(
      () => checkEgressAllow(list),
      (error) =>
        error instanceof AppError && error.code === 'invalid' && error.field === 'egressAllow' && message.test(error.message),
    )
})

const proxies: [url: string, reason: RegExp | undefined][] = [
  ['http://proxy.example.com:3128', undefined],
  ['https://proxy.example.com/', undefined],
  ['http://8.8.8.8:3128', undefined],
  ['http://10.0.0.1:3128', /10\.0\.0\.0\/8/],
  ['http://127.0.0.1:3128', /LANDFALL_EGRESS_LOOPBACK/],
  ['http://proxy:3128', /single label/],
  ['http://user@proxy.example.com:3128', /user information/],
  ['http://proxy.example.com:3128/path', /nothing else/],
  ['http://proxy.example.com:3128/?a=b', /nothing else/],
  ['http://proxy.example.com:25', /port 25 belongs to a service/],
  ['socks5://proxy.example.com', /^the url must begin with http:\/\/ or https:\/\/ and a host$/],
  ['proxy.example.com:3128', /must begin with http:\/\/ or https:\/\//],
]
for (const [url, reason] of proxies) {
  test(`a proxy: ${url}`, () => {
    if (reason === undefined) assert.equal(strict.checkProxy(url).allowed, true)
    else assert.match(reasonOf(strict.checkProxy(url)), reason)
  })
}

const badEntries: [entry: string, message: RegExp][] = [
  ['10.0.0.0/33', /LANDFALL_EGRESS_ALLOW: "10\.0\.0\.0\/33" is not a network/],
  ['10.0.0.1/8', /"10\.0\.0\.1\/8" is not a network .*no bit set behind its prefix/],
  ['fd00::1/8', /is not a network/],
  ['10.0.0.0', /is not a network/],
  ['10/8', /is not a network/],
  ['10.0.0.0/', /is not a network/],
  ['0x0a.0.0.0/8', /is not a network/],
  ['example.com', /is not a network/],
  ['127.0.0.0/8', /is in 127\.0\.0\.0\/8 \(loopback\); LANDFALL_EGRESS_LOOPBACK/],
  ['::1/128', /loopback/],
  ['::ffff:10.0.0.0/104', /IPv4-mapped.*no setting/],
]
for (const [entry, message] of badEntries) {
  test(`an allowed network that is refused: ${entry}`, () => {
    assert.throws(
      () => createEgressGuard({ allow: ['10.0.0.0/8', entry], loopback: false }),
      (error) => error instanceof AppError && error.code === 'setting_invalid' && message.test(error.message),
    )
  })
}

const answers: Record<string, string[]> = {
  'public.example.com': ['93.184.216.34', '2606:2800:220:1::1'],
  'private.example.com': ['10.0.0.7'],
  'mixed.example.com': ['93.184.216.34', 'fd00::7'],
  'loop.example.com': ['127.0.0.1'],
  'nothing.example.com': [],
  localhost: ['8.8.8.8'],
}
const resolve: Resolve = async (host) => {
  const list = answers[host]
  if (list === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  return list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}
const resolving = createEgressGuard({ allow: [], loopback: true }, resolve)

test('a host is judged by all of its addresses', async () => {
  const check = (host: string) => resolving.checkHost(new URL(`https://${host}/`))
  assert.deepEqual(await check('public.example.com'), { allowed: true })
  const privateVerdict = await check('private.example.com')
  assert.match(reasonOf(privateVerdict), /^private\.example\.com is at 10\.0\.0\.7, which is in 10\.0\.0\.0\/8 \(private use\)/)
  assert.match(reasonOf(await check('mixed.example.com')), /fd00::7/)
  assert.match(reasonOf(await check('10.0.0.7')), /10\.0\.0\.0\/8/)
  assert.match(reasonOf(await check('[fd00::7]')), /fc00::\/7/)
  assert.match(reasonOf(await check('localhost')), /8\.8\.8\.8, which is not a loopback address/)
  assert.deepEqual(await check('loop.example.com'), { allowed: true })
})

test('a name that does not resolve is allowed with a warning', async () => {
  for (const host of ['missing.example.com', 'nothing.example.com']) {
    const verdict = await resolving.checkHost(new URL(`https://${host}/`))
    assert.deepEqual(verdict, { allowed: true, warning: `${host} does not resolve to an address at the moment` })
  }
})

test('addressesOf hands on exactly the checked list, or fails', async () => {
  assert.deepEqual(
    (await resolving.addressesOf('public.example.com')).map(({ address }) => address),
    answers['public.example.com'],
  )
  await assert.rejects(resolving.addressesOf('mixed.example.com'), { code: 'url_refused' })
  await assert.rejects(resolving.addressesOf('missing.example.com'), { code: 'ENOTFOUND' })
  await assert.rejects(resolving.addressesOf('nothing.example.com'), { code: 'ENOTFOUND' })
})

test('lookups of one name at the same time are one question, later ones are asked anew', async () => {
  const asked: string[] = []
  const guard = createEgressGuard({ allow: [], loopback: false }, (host) => {
    asked.push(host)
    return resolve(host)
  })
  await Promise.all([guard.addressesOf('public.example.com'), guard.addressesOf('public.example.com')])
  assert.equal(asked.length, 1)
  await assert.rejects(guard.addressesOf('missing.example.com'))
  await assert.rejects(guard.addressesOf('missing.example.com'))
  await guard.addressesOf('public.example.com')
  assert.deepEqual(asked, ['public.example.com', 'missing.example.com', 'missing.example.com', 'public.example.com'])
})

function reasonOf(verdict: { allowed: boolean; reason?: string }): string {
  assert.equal(verdict.allowed, false)
  return verdict.reason!
}
