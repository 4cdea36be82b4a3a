import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { createEgressGuard, type EgressGuard } from './guard.ts'
import { createPoster } from './post.ts'
import { routeOf } from './route.ts'
import { addressList, cert, receiver, tlsReceiver } from './testing.ts'
import { bareHost, URL_LENGTH_MAX } from './url.ts'

/**
 * Tricks by which a url could lead somewhere else than its reader thinks. Each is tried at both gates: when a webhook is made
 * (the form of the url, then the addresses of its host), and when it is dialled. A pattern is a refusal with that reason; `taken`
 * passes. Rows hold under the strictest policy and under one that opens loopback. Where the second verdict is left out, it is the first one.
 */
interface Trick {
  url: string
  create: 'taken' | RegExp
  connect?: 'taken' | RegExp
  /** What the name server answers, time after time; the last answer stays. Without: a public address. */
  names?: string[][]
  /** Networks that are opened; without: none. */
  allow?: string[]
  why: string
}

const PUBLIC = ['93.184.215.14']
const trick = (url: string, reason: RegExp, why: string): Trick => ({ url, create: reason, why })

const tricks: Trick[] = [
  // What is no trick.
  ...[
    ...['https://example.com/hook', 'https://example.com', 'HTTPS://Example.COM/Hook?a=b&c=%20', 'https://example.com:8443/hook'],
    ...['https://example.com:2/', 'https://example.com:65535/', 'https://under_score.example.com/', 'https://8.8.8.8/hook'],
    ...['https://[2606:4700:4700::1111]/hook', 'https://[2606:4700:4700:0:0:0:0:1111]/hook', 'https://bücher.example/hook'],
    ...['https://xn--bcher-kva.example/hook', 'https://example.com/données', 'https://localhost.example.com/'],
    ...['https://internal.example.com/', 'https://127.0.0.1.example.com/', 'https://192.31.196.1/', 'https://[2620:4f:8000::1]/'],
  ].map((url): Trick => ({ url, create: 'taken', why: 'an honest url' })),

  // Scheme and shape.
  trick('http://example.com/', /plain http to example\.com is refused; use https/, 'readable on the way'),
  trick('http://8.8.8.8/', /plain http/, 'the same by address'),
  trick('http://10.0.0.1/', /plain http/, 'the same to a private one'),
  trick('http://localhost.example.com/', /plain http/, 'a name that only looks like loopback'),
  trick('ftp://example.com/', /must begin with https/, 'another protocol'),
  trick('file:///etc/passwd', /must begin with https/, 'a file'),
  trick('javascript:alert(1)', /must begin with https/, 'a program'),
  trick('data:text/plain,x', /must begin with https/, 'no host at all'),
  trick('gopher://127.0.0.1:25/_HELO', /must begin with https/, 'a protocol that says any bytes'),
  trick('unix:/var/run/docker.sock', /must begin with https/, 'a socket of this machine'),
  trick('example.com/hook', /must begin with https/, 'no scheme'),
  trick('//example.com/hook', /must begin with https/, 'a scheme to be inherited'),
  trick('', /must begin with https/, 'nothing'),
  trick('https:example.com', /must begin with https/, 'the parser adds slashes'),
  trick('https:/example.com', /must begin with https/, 'the parser adds a slash'),
  trick('https:///example.com', /must begin with https/, 'the parser drops a slash'),
  trick('https:\\\\example.com', /backslash/, 'the parser turns backslashes'),
  trick('https://example.com\\@127.0.0.1/', /backslash/, 'readers disagree where the host ends'),
  trick('https://example.com\\.evil.example/', /backslash/, 'the same'),
  trick(' https://example.com', /space/, 'the parser trims'),
  trick('https://example.com ', /space/, 'the parser trims'),
  trick('https://example.com/a b', /space/, 'ends a request line early'),
  trick('https://exam\tple.com/', /control character/, 'the parser drops tabs'),
  trick('https://127.0.\n0.1/', /control character/, 'the parser drops line ends'),
  trick('https://example.com/\r\nHost: evil', /control character/, 'a header of its own'),
  trick('https://example.com/\0', /control character/, 'ends a string in C'),
  trick('https://example.com/\u0085', /control character/, 'a line end of another age'),
  trick('https://', /must begin with https/, 'no host'),
  trick('https://:443/', /malformed/, 'no host'),
  trick('https://?', /must begin with https/, 'no host'),
  trick(`https://example.com/${'a'.repeat(URL_LENGTH_MAX)}`, /2068 characters; at most 2048/, 'longer than anything needs'),
  trick('https://example.com/#top', /fragment/, 'is never sent'),
  trick('https://example.com#@127.0.0.1/', /fragment/, 'readers disagree where the host is'),

  // Ports.
  trick('https://example.com:0/', /port 0/, 'cannot be dialled'),
  trick('https://example.com:65536/', /malformed/, 'wraps around to 0'),
  trick('https://example.com:-1/', /malformed/, 'no number'),
  trick('https://example.com:443x/', /malformed/, 'no number'),
  trick('https://example.com:４43/', /malformed|another spelling/, 'a full-width digit'),
  trick('https://example.com:25/', /port 25 belongs to a service/, 'a mail server takes commands'),
  trick('https://example.com:22/', /port 22 belongs/, 'a shell'),
  trick('https://example.com:6667/', /port 6667 belongs/, 'a chat server takes commands'),
  trick('https://8.8.8.8:53/', /port 53 belongs/, 'a name server'),
  trick('https://[2606:4700:4700::1111]:465/', /port 465 belongs/, 'a mail server'),

  // User information.
  trick('https://user:password@example.com/', /user information/, 'a password in a url'),
  trick('https://user@example.com/', /user information/, 'a name in a url'),
  trick('https://@example.com/', /user information/, 'an empty one'),
  trick('https://example.com@127.0.0.1/', /user information/, 'the host is behind the @'),
  trick('https://example.com:443@10.0.0.1/', /user information/, 'the same with a port'),
  trick('https://example.com%40127.0.0.1/', /malformed/, 'an @ that is encoded'),
  trick('https://a@b@127.0.0.1/', /user information/, 'readers disagree on the last @'),

  // Names.
  trick('https://receiver/', /single label/, 'completed by the search list of this machine'),
  trick('https://com/', /single label/, 'a whole top-level domain'),
  trick('https://metadata/', /single label/, 'a metadata service'),
  trick('https://metadata.google.internal/', /ends in \.internal/, 'a metadata service'),
  trick('https://instance-data.ec2.internal/', /ends in \.internal/, 'a metadata service'),
  trick('https://METADATA.GOOGLE.INTERNAL/', /ends in \.internal/, 'the same in capitals'),
  trick('https://kubernetes.default.svc.cluster.local/', /ends in \.local/, 'a cluster of this machine'),
  trick('https://printer.local/', /ends in \.local/, 'the local network'),
  trick('https://app.localhost/', /ends in \.localhost/, 'loopback by another name'),
  trick('https://APP.LOCALHOST/', /ends in \.localhost/, 'the same in capitals'),
  trick('https://localhost./', /empty part/, 'the dot of the root'),
  trick('https://example.com./', /empty part/, 'the dot of the root'),
  trick('https://metadata.google.internal./', /empty part/, 'the dot of the root'),
  trick('https://example..com/', /empty part/, 'a doubled dot'),
  trick('https://.example.com/', /empty part/, 'a leading dot'),
  trick('https://-example.com/', /no host name can have/, 'an option of some program'),
  trick('https://ex*mple.com/', /no host name can have/, 'a pattern'),
  trick("https://ex'ample.com/", /no host name can have/, 'a quote'),
  trick(`https://${'a'.repeat(64)}.com/`, /no host name can have/, 'longer than a label'),
  trick(`https://${'a.'.repeat(130)}com/`, /263 characters; at most 253/, 'longer than a name'),

  // Other spellings of a name.
  trick('https://%6c%6fcalhost/', /another spelling of localhost/, 'percent encoding'),
  trick('https://ⓛocalhost/', /another spelling of localhost/, 'a circled letter'),
  trick('https://ｌocalhost/', /another spelling of localhost/, 'a full-width letter'),
  trick('https://LOCALHOST%00.example.com/', /malformed/, 'a NUL that is encoded'),
  trick('https://exam\u200bple.com/', /another spelling of example\.com/, 'a blank without width'),
  trick('https://exam\u00adple.com/', /another spelling of example\.com/, 'a soft hyphen'),
  trick('https://example。com/', /another spelling of example\.com/, 'the ideographic full stop'),
  trick('https://example．com/', /another spelling of example\.com/, 'the full-width full stop'),
  trick('https://example｡com/', /another spelling of example\.com/, 'the half-width full stop'),
  trick('https://ｅxample.com/', /another spelling of example\.com/, 'a full-width letter'),
  trick('https://example.com%2f.evil.example/', /malformed/, 'a slash that is encoded'),
  trick('https://example.com%23.evil.example/', /malformed/, 'a hash that is encoded'),
  trick('https://xn--/', /malformed|no host name can have/, 'punycode of nothing'),

  // Other spellings of an address.
  trick('https://0x7f.1/', /another form of 127\.0\.0\.1/, 'hexadecimal and short'),
  trick('https://0x7f000001/', /another form of 127\.0\.0\.1/, 'hexadecimal'),
  trick('https://0X7F.0.0.1/', /another form of 127\.0\.0\.1/, 'hexadecimal in capitals'),
  trick('https://2130706433/', /another form of 127\.0\.0\.1/, 'one number'),
  trick('https://017700000001/', /another form of 127\.0\.0\.1/, 'one octal number'),
  trick('https://127.1/', /another form of 127\.0\.0\.1/, 'short'),
  trick('https://127.0.1/', /another form of 127\.0\.0\.1/, 'short'),
  trick('https://0177.0.0.1/', /another form of 127\.0\.0\.1/, 'octal'),
  trick('https://127.0.0.01/', /another form of 127\.0\.0\.1/, 'octal in one part'),
  trick('https://127.0.0.1./', /another form of 127\.0\.0\.1/, 'the dot of the root'),
  trick('https://１２７.0.0.1/', /another form of 127\.0\.0\.1/, 'full-width digits'),
  trick('https://①②⑦.0.0.1/', /another form of 127\.0\.0\.1/, 'circled digits'),
  trick('https://127。0。0。1/', /another form of 127\.0\.0\.1/, 'ideographic full stops'),
  trick('https://127%2e0%2e0%2e1/', /another form of 127\.0\.0\.1/, 'dots that are encoded'),
  trick('https://0/', /another form of 0\.0\.0\.0/, 'this host'),
  trick('https://0x/', /another form of 0\.0\.0\.0|malformed/, 'this host, hexadecimal'),
  trick('https://134744072/', /another form of 8\.8\.8\.8/, 'public, yet nobody would read it so'),
  trick('https://2852039166/', /another form of 169\.254\.169\.254/, 'a metadata service as one number'),
  trick('https://0xa9fea9fe/', /another form of 169\.254\.169\.254/, 'the same, hexadecimal'),
  trick('https://1.2.3.4.5/', /malformed/, 'five numbers'),
  trick('https://256.256.256.256/', /malformed/, 'numbers too large'),
  trick('https://0x100000000/', /malformed/, 'wraps around'),
  trick('https://127.0.0.1:443@example.com/', /user information/, 'an address that is a password'),

  // Addresses that are not of the internet.
  trick('https://0.0.0.0/', /0\.0\.0\.0\/8 .*no setting opens it/, 'this host'),
  trick('https://10.1.2.3/', /10\.1\.2\.3 is in 10\.0\.0\.0\/8 \(private use\); LANDFALL_EGRESS_ALLOW can open it/, 'private'),
  trick('https://172.31.255.255/', /172\.16\.0\.0\/12/, 'private'),
  trick('https://192.168.0.1:8443/', /192\.168\.0\.0\/16/, 'private'),
  trick(
    'https://169.254.169.254/latest/meta-data/',
    /metadata.*only 169\.254\.169\.254\/32 itself in LANDFALL_EGRESS_ALLOW/,
    'metadata',
  ),
  trick('https://169.254.170.2/', /metadata service/, 'metadata of containers'),
  trick('https://169.254.1.1/', /169\.254\.0\.0\/16 \(link-local\)/, 'link-local'),
  trick('https://100.100.100.200/', /metadata service/, 'metadata, in the carriers’ network'),
  trick('https://100.64.0.1/', /100\.64\.0\.0\/10/, 'carrier-grade NAT'),
  trick('https://168.63.129.16/', /168\.63\.129\.16\/32/, 'metadata, on a public number'),
  trick('https://192.0.0.192/', /metadata service/, 'metadata'),
  trick('https://192.0.0.1/', /192\.0\.0\.0\/24/, 'protocol assignments'),
  trick('https://192.0.2.1/', /documentation/, 'documentation'),
  trick('https://198.51.100.1/', /documentation/, 'documentation'),
  trick('https://203.0.113.1/', /documentation/, 'documentation'),
  trick('https://198.18.0.1/', /benchmarking/, 'benchmarking'),
  trick('https://192.88.99.1/', /6to4 relay/, '6to4 relay'),
  trick('https://224.0.0.1/', /multicast/, 'multicast'),
  trick('https://240.0.0.1/', /reserved/, 'reserved'),
  trick('https://255.255.255.255/', /broadcast/, 'broadcast'),
  trick('https://[::]/', /unspecified/, 'this host'),
  trick('https://[0:0:0:0:0:0:0:0]/', /unspecified/, 'the same, written out'),
  trick('https://[::ffff:127.0.0.1]/', /IPv4-mapped.*no setting opens it/, 'IPv4-mapped loopback'),
  trick('https://[::ffff:7f00:1]/', /IPv4-mapped/, 'the same in hexadecimal'),
  trick('https://[0:0:0:0:0:ffff:7f00:0001]/', /IPv4-mapped/, 'the same, written out'),
  trick('https://[::FFFF:10.0.0.1]/', /IPv4-mapped/, 'IPv4-mapped private'),
  trick('https://[0:0:0:0:0:ffff:8.8.8.8]/', /IPv4-mapped/, 'IPv4-mapped public: nobody needs it'),
  trick('https://[::127.0.0.1]/', /IPv4-compatible/, 'IPv4-compatible loopback'),
  trick('https://[::ffff:0:7f00:1]/', /IPv4-translated/, 'IPv4-translated loopback'),
  trick('https://[64:ff9b::7f00:1]/', /NAT64/, 'loopback of a translator'),
  trick('https://[64:ff9b::a00:1]/', /NAT64/, 'private behind a translator'),
  trick('https://[64:ff9b::8.8.8.8]/', /NAT64/, 'a translator that nobody opened'),
  trick('https://[64:ff9b:1::1]/', /local-use NAT64/, 'a local translator'),
  trick('https://[64:ff9b:1:808:8:800::]/', /local-use NAT64/, 'the same with the address right behind its prefix'),
  ...[
    { host: '64:ff9b::7f00:1', create: /stands for 127\.0\.0\.1, which no setting opens/, why: 'loopback of a translator' },
    { host: '64:ff9b:1::7f00:1', create: /stands for 127\.0\.0\.1, which no setting/, why: 'loopback of a local one' },
    { host: '64:ff9b:1:7f00:0:100::', create: /stands for 127\.0\.0\.1/, why: 'the same behind a prefix of 48 bits' },
    { host: '64:ff9b:1:7f00:0:100:808:808', create: /stands for 127\.0\.0\.1/, why: 'with a public one where others look' },
    { host: '64:ff9b:1:7f00:ff00:100:808:808', create: /stands for 127\.0\.0\.1/, why: 'with the byte set that none reads' },
    { host: '64:ff9b:1:7f:0:1::', create: /stands for 127\.0\.0\.1/, why: 'behind a prefix of 56 bits' },
    { host: '64:ff9b:1:0:7f:0:100::', create: /stands for 127\.0\.0\.1/, why: 'behind a prefix of 64 bits' },
    { host: '64:ff9b:1::a9fe:a9fe', create: /stands for 169\.254\.169\.254 .*metadata/, why: 'a metadata service behind it' },
    { host: '64:ff9b:1::a00:1', create: /stands for 10\.0\.0\.1 is in 10\.0\.0\.0\/8/, why: 'a private address behind it' },
    { host: '64:ff9b:1::1', create: /stands for 0\.0\.0\.\d is in 0\.0\.0\.0\/8/, why: 'no address behind it' },
    { host: '64:ff9b:1::808:808', create: 'taken' as const, why: 'a public one behind a local translator' },
    { host: '64:ff9b:1:808:8:800::', create: 'taken' as const, why: 'the same behind a prefix of 48 bits' },
  ].map(({ host, create, why }): Trick => ({ url: `https://[${host}]/`, allow: ['::/0'], create, why: `opened, ${why}` })),
  ...[
    { host: '64:ff9b:1:fffe::808:808', create: 'taken' as const, why: 'its prefix is no address' },
    { host: '64:ff9b:1:fffe::7f00:1', create: /stands for 127\.0\.0\.1/, why: 'loopback behind it' },
  ].map(
    ({ host, create, why }): Trick => ({
      ...{ url: `https://[${host}]/`, create, why: `a prefix of 96 bits opened: ${why}` },
      allow: ['::/0', '64:ff9b:1:fffe::/96'],
    }),
  ),
  trick('https://[2002:7f00:1::]/', /6to4.*no setting/, '6to4 of loopback'),
  trick('https://[2002:a00:1::]/', /6to4/, '6to4 of a private address'),
  trick('https://[2001:0:7f00:1::]/', /Teredo.*no setting/, 'Teredo'),
  trick('https://[fd00:ec2::254]/', /metadata service/, 'metadata'),
  trick('https://[fd20:ce::254]/', /metadata service/, 'metadata'),
  trick('https://[fd12:3456::1]/', /unique local/, 'private'),
  trick('https://[fe80::1]/', /link-local/, 'link-local'),
  trick('https://[fe80::1%25eth0]/', /malformed/, 'with a zone'),
  trick('https://[fe80::1%eth0]/', /malformed/, 'with a zone'),
  trick('https://[::1%25lo]/', /malformed/, 'loopback with a zone'),
  trick('https://[fec0::1]/', /site-local/, 'site-local'),
  trick('https://[ff02::1]/', /multicast/, 'multicast'),
  trick('https://[2001:db8::1]/', /documentation/, 'documentation'),
  trick('https://[3fff::1]/', /documentation/, 'documentation'),
  trick('https://[5f00::1]/', /segment routing/, 'segment routing'),
  trick('https://[100::1]/', /discard-only/, 'discard-only'),
  trick('https://[2001:30::1]/', /IETF protocol assignments/, 'drone identifiers'),
  trick('https://[2001:20::1]/', /IETF protocol assignments/, 'hashes, no addresses'),
  trick('https://[4000::1]/', /outside global unicast/, 'not assigned'),
  trick('https://[::1/', /malformed/, 'half a bracket'),
  trick('https://[127.0.0.1]/', /malformed/, 'IPv4 in brackets'),

  // Names and what they stand for.
  {
    url: 'https://hook.example.com/',
    names: [['10.0.0.7']],
    create: /hook\.example\.com is at 10\.0\.0\.7, which is in 10\.0\.0\.0\/8/,
    why: 'a public name of a private address',
  },
  {
    url: 'https://hook.example.com/',
    names: [['169.254.169.254']],
    create: /metadata/,
    why: 'a public name of a metadata service',
  },
  { url: 'https://hook.example.com/', names: [['0.0.0.0']], create: /this host/, why: 'a public name of this host' },
  { url: 'https://hook.example.com/', names: [['::']], create: /unspecified/, why: 'the same by IPv6' },
  {
    url: 'https://hook.example.com/',
    names: [['::ffff:10.0.0.1']],
    create: /IPv4-mapped/,
    why: 'a record of an address in an address',
  },
  {
    url: 'https://hook.example.com/',
    names: [['64:ff9b::a00:1']],
    create: /NAT64/,
    why: 'what DNS64 makes of a private address',
  },
  { url: 'https://hook.example.com/', names: [['fe80::1%eth0']], create: /link-local/, why: 'an address with a zone' },
  { url: 'https://hook.example.com/', names: [[...PUBLIC, '10.0.0.7']], create: /10\.0\.0\.7/, why: 'one bad address of two' },
  {
    url: 'https://hook.example.com/',
    names: [['10.0.0.7', ...PUBLIC]],
    create: /10\.0\.0\.7/,
    why: 'the same in the other order',
  },
  {
    url: 'https://hook.example.com/',
    names: [[...PUBLIC, 'fd00::7']],
    create: /fd00::7/,
    why: 'one bad address of the other family',
  },
  { url: 'https://hook.example.com/', names: [['2606:4700:4700::1111']], create: 'taken', why: 'IPv6 only is as good as any' },
  {
    url: 'https://hook.example.com/',
    names: [PUBLIC, ['10.0.0.7']],
    create: 'taken',
    connect: /10\.0\.0\.7/,
    why: 'the name changes between check and dial',
  },
  {
    url: 'https://hook.example.com/',
    names: [PUBLIC, ['127.0.0.1', '10.0.0.7']],
    create: 'taken',
    connect: /127\.0\.0\.1|10\.0\.0\.7/,
    why: 'the same to loopback',
  },
  {
    url: 'https://hook.example.com/',
    names: [PUBLIC, ['169.254.169.254']],
    create: 'taken',
    connect: /metadata/,
    why: 'the same to a metadata service',
  },
  {
    url: 'https://hook.example.com/',
    names: [[], ['10.0.0.7']],
    create: 'taken',
    connect: /10\.0\.0\.7/,
    why: 'the name does not resolve until it is dialled',
  },
  {
    url: 'https://hook.example.com/',
    names: [['10.0.0.7'], PUBLIC],
    create: /10\.0\.0\.7/,
    connect: 'taken',
    why: 'what counts at the dial is the answer then',
  },
  {
    url: 'https://alias.example.com/',
    names: [['192.168.1.1']],
    create: /192\.168\.1\.1/,
    why: 'an alias (CNAME) of a private host: only the addresses count',
  },
  {
    url: 'https://127.0.0.1.nip.example/',
    names: [['192.168.0.1']],
    create: /192\.168\.0\.1/,
    why: 'a name server that answers what it is asked',
  },
  {
    url: 'https://hook.example.com/',
    names: [['not an address']],
    create: /is not an IP address/,
    why: 'an answer that is no address',
  },
  { url: 'https://hook.example.com/', names: [['127.1']], create: /is not an IP address/, why: 'an answer in a short form' },
]

const policies = [
  { name: 'strict', loopback: false },
  { name: 'loopback open', loopback: true },
]
for (const { name, loopback } of policies) {
  for (const { url, names = [PUBLIC], allow, create, connect = create, why } of tricks) {
    test(`${name}: ${JSON.stringify(url.slice(0, 70))}: ${why}`, async () => {
      const guard = guardWith(names, loopback, allow)
      judge(await atCreate(guard, url), create)
      judge(await atConnect(guard, url, connect === 'taken'), connect)
    })
  }
}

test('there are at least eighty tricks', () => assert.ok(tricks.filter(({ create }) => create !== 'taken').length >= 80))

for (const url of [
  'http://localhost:3000/hook',
  'https://localhost/',
  'http://127.0.0.1/',
  'https://127.1.2.3:8443/',
  'http://[::1]:3000/',
  'http://127.0.0.1:25/',
]) {
  test(`loopback is as the policy says, on any port: ${url}`, async () => {
    const names = [['127.0.0.1', '::1']]
    assert.equal(await atCreate(guardWith(names, true), url), undefined)
    judge(await atCreate(guardWith(names, false), url), /loopback\)?; LANDFALL_EGRESS_LOOPBACK=allow opens it/)
  })
}

test('localhost that stands for anything but loopback is refused', async () => {
  judge(await atCreate(guardWith([PUBLIC], true), 'http://localhost/'), /93\.184\.215\.14, which is not a loopback address/)
  judge(await atConnect(guardWith([PUBLIC], true), 'http://localhost/', false), /is not a loopback address/)
})

test('a redirect is an answer: nothing follows it', async (t) => {
  const inner = await receiver(t, (_request, response) => response.end('inner'))
  for (const location of [inner.url, 'http://169.254.169.254/', '//10.0.0.1/', 'file:///etc/passwd']) {
    const outer = await receiver(t, (_request, response) => response.writeHead(307, { location }).end())
    const result = await poster(guardWith([PUBLIC], true)).post({ ...REQUEST, url: outer.url })
    assert.ok(result.kind === 'answered')
    assert.equal(result.status, 307)
    assert.equal(outer.requests.length, 1)
  }
  assert.equal(inner.requests.length, 0)
})

test('a connection that was opened under a wider policy is not used under a narrower one', async (t) => {
  const { port, requests } = await tlsReceiver(t, cert)
  // The policy of loopback is the server's; that of the account decides on the second address of the name.
  const guard = guardWith([['127.0.0.1', '10.0.0.7']], true)
  const send = poster(guard, cert)
  const url = `https://hook.example.com:${port}/`
  const post = (egressAllow: string[]) => send.post({ ...REQUEST, url, route: routeOf({ egressAllow }) })
  assert.equal((await post(['10.0.0.0/8'])).kind, 'answered')
  const narrowed = await post([])
  assert.ok(narrowed.kind === 'refused')
  assert.match(narrowed.reason, /10\.0\.0\.7.*egressAllow of the account can open it/)
  assert.equal(requests.length, 1)
})

test('a proxy changes nothing about where a webhook may go', async () => {
  const guard = guardWith([['10.0.0.7']], true)
  const proxied = routeOf({ proxy: { url: 'http://127.0.0.1:9' } })
  const result = await poster(guard).post({ ...REQUEST, url: 'https://hook.example.com/', route: proxied })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /hook\.example\.com is at 10\.0\.0\.7/)
})

// --- The two gates ---

const REQUEST = { headers: {}, body: 'x', deadlineMs: 10_000 }
const posters: ReturnType<typeof createPoster>[] = []
after(() => Promise.all(posters.map((one) => one.close(0))))

function poster(guard: EgressGuard, ca?: string) {
  const made = createPoster({ guard, clock: systemClock, ...(ca === undefined ? {} : { ca }) })
  posters.push(made)
  return made
}

function guardWith(names: readonly string[][], loopback: boolean, allow: readonly string[] = []): EgressGuard {
  let asked = 0
  return createEgressGuard({ allow, loopback }, async () => addressList(names[Math.min(asked++, names.length - 1)]!))
}

/** Why a webhook with this url is not made; undefined: it is. */
async function atCreate(guard: EgressGuard, text: string): Promise<string | undefined> {
  const form = guard.checkUrl(text)
  const verdict = form.allowed ? await guard.checkHost(form.url) : form
  return verdict.allowed ? undefined : verdict.reason
}

/** Why an attempt is refused; what would be dialled is only looked up, as it is not of this machine. */
async function atConnect(guard: EgressGuard, text: string, isTaken: boolean): Promise<string | undefined> {
  if (isTaken) {
    const form = guard.checkUrl(text)
    assert.ok(form.allowed)
    assert.ok((await guard.addressesOf(bareHost(form.url))).length > 0)
    return undefined
  }
  const result = await poster(guard).post({ ...REQUEST, url: text })
  assert.equal(result.kind, 'refused', JSON.stringify(result))
  return result.kind === 'refused' ? result.reason : undefined
}

function judge(reason: string | undefined, expected: 'taken' | RegExp): void {
  if (expected === 'taken') assert.equal(reason, undefined)
  else assert.match(reason ?? 'taken', expected)
}
