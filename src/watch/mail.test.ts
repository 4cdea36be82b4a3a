import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { type Clock, systemClock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Store } from '../store/store.ts'
import { anAudit, aWebhook, tick } from '../store/testing.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import type { Alert } from './alert.ts'
import { connectionOf, LEASE_MS, Mailer, type MailerParts, RETRY_MS, RETRY_MS_MAX, retryMs, TRIES_MAX } from './mail.ts'
import { mailText } from './message.ts'

const PASSWORD = 'p@ss/word'
/** A mail that has not come by then does not come. */
const ARRIVAL_MS_MAX = 30_000
const pem = (name: string) => readFileSync(new URL(`../http/testdata/${name}.pem`, import.meta.url))
const KEY = pem('localhost.key')
const CERTIFICATE = pem('localhost.cert')
/** What a real mail server has by itself: here its certificate is trusted because it is named. */
const TRUSTED = { requireTLS: true, tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const, ca: CERTIFICATE } }

const connections = [
  { url: 'smtp://mail.example', is: { host: 'mail.example', port: 587, secure: false, requireTLS: true }, verified: true },
  { url: 'smtp://mail.example:25', is: { port: 25, secure: false, requireTLS: true }, verified: true },
  { url: 'smtps://mail.example', is: { port: 465, secure: true, requireTLS: false }, verified: true },
  { url: 'smtp://127.0.0.1:25', is: { host: '127.0.0.1', secure: false, requireTLS: false }, verified: false },
  { url: 'smtp://[::1]', is: { host: '::1', requireTLS: false }, verified: false },
  { url: 'smtp://localhost.example', is: { host: 'localhost.example', requireTLS: true }, verified: true },
  { url: 'smtp://a%40b.example:p%40ss%2Fword@h.example', is: { auth: { user: 'a@b.example', pass: PASSWORD } }, verified: true },
] as const
for (const { url, is, verified } of connections) {
  test(`connection: ${url}`, () => {
    const connection: Record<string, unknown> = connectionOf(url)
    for (const [name, value] of Object.entries(is)) assert.deepEqual(connection[name], value, name)
    assert.equal((connection.tls as { rejectUnauthorized: boolean }).rejectUnauthorized, verified)
  })
}

test('waits double up to an hour, and a mail is given up after two days', () => {
  assert.deepEqual([1, 2, 3, 8, 50].map(retryMs), [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS, RETRY_MS_MAX, RETRY_MS_MAX])
  const allMs = Array.from({ length: TRIES_MAX - 1 }, (_, index) => retryMs(index + 1)).reduce((sum, ms) => sum + ms)
  assert.ok(allMs > 46 * HOUR_MS && allMs < 49 * HOUR_MS)
})

const ALERT: Alert = {
  ...{ id: 'alr_1', kind: 'webhook_failed', subjectId: 'wh_1', accountId: null },
  ...{ message: 'Webhook "orders" was turned off: all 5 attempts failed.', raisedAt: Date.UTC(2026, 5, 8, 12), clearedAt: null },
}

test('a mail says what happened, since when, what to do and where to look', () => {
  const { subject, text } = mailText(ALERT, 'raised', 'https://mft.example/')
  assert.equal(subject, '[Landfall] A webhook was turned off (wh_1)')
  assert.match(
    text,
    /^Webhook "orders" was turned off: all 5 attempts failed\.\n\nBegan: {4}2026-06-08T12:00:00Z\nWebhook: {2}wh_1\n/,
  )
  assert.match(
    text,
    /See: {6}https:\/\/mft\.example\/api\/alerts\/alr_1\n\nWhat to do\n\n[\s\S]*landfall webhook activate wh_1\n/,
  )
  assert.ok(!mailText(ALERT, 'raised', '').text.includes('See:'))
})

test('a mail about the end says when, and asks for nothing', () => {
  const { subject, text } = mailText({ ...ALERT, clearedAt: Date.UTC(2026, 5, 8, 13) }, 'cleared', '')
  assert.equal(subject, '[Landfall] Over: A webhook was turned off (wh_1)')
  assert.match(text, /^This is over:\nWebhook "orders"[\s\S]*Over: {5}2026-06-08T13:00:00Z\n/)
  assert.ok(!text.includes('What to do'))
})

interface Received {
  from: string
  to: string[]
  user: string | undefined
  isSecure: boolean
  text: string
}

describe('with a mail server', () => {
  let store: Store
  let webhook: Webhook
  let closeStore: () => Promise<void>
  let server: SMTPServer
  let received: Received[]
  const arrivals = new EventEmitter()
  let logged: string[]
  let now: number
  const clock: Clock = { ...systemClock, now: () => now }
  const line = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }

  before(async () => {
    const opened = await openFresh()
    store = opened.store
    closeStore = opened.close
  })
  after(() => closeStore())

  beforeEach(async () => {
    received = []
    logged = []
    now = tick()
    webhook = aWebhook()
    await store.createWebhook(webhook, { webhooksMax: 1_000 }, anAudit())
  })
  afterEach(async () => {
    // Nothing of one test is due in the next.
    for (const { alert, notice } of await store.takeMails(Number.MAX_SAFE_INTEGER, 0, 1_000))
      await store.mailFailed(alert.id, notice, null)
    await new Promise<void>((resolve) => server.close(resolve))
  })

  /** A mail server on loopback that asks for a login over TLS; answers its port. */
  async function listen(options: SMTPServerOptions = {}): Promise<number> {
    server = new SMTPServer({
      key: KEY,
      cert: CERTIFICATE,
      onAuth({ username, password }, _session, answer) {
        if (username === 'ops' && password === PASSWORD) answer(null, { user: username })
        else answer(new Error(`not ${password}`))
      },
      async onData(stream, { envelope, user, secure }, answer) {
        const body = await text(stream)
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
        received.push({ from, to: envelope.rcptTo.map(({ address }) => address), user, isSecure: secure, text: body })
        answer()
        arrivals.emit('mail')
      },
      ...options,
    })
    server.on('error', () => undefined)
    server.listen(0, '127.0.0.1')
    await once(server.server, 'listening')
    return (server.server.address() as AddressInfo).port
  }

  async function arrived(count: number): Promise<void> {
    const signal = AbortSignal.timeout(ARRIVAL_MS_MAX)
    while (received.length < count) await once(arrivals, 'mail', { signal })
  }

  function mailer(port: number, more: Partial<MailerParts> = {}, user = `ops:${encodeURIComponent(PASSWORD)}@`) {
    const settings = { alertEmail: ['oncall@mft.example', 'ops@mft.example'], alertFrom: '', publicUrl: '' }
    const smtpUrl = `smtp://${user}127.0.0.1:${port}`
    return new Mailer({ store, clock, log, connection: TRUSTED, settings: { ...settings, smtpUrl }, ...more })
  }

  async function raise(): Promise<Alert> {
    const alert: Alert = { ...ALERT, id: newId('alert', tick()), subjectId: webhook.id, kind: 'unauthorized', raisedAt: now }
    assert.ok(await store.raiseAlert(alert, webhook, [], now))
    return alert
  }
  const clear = ({ id }: Alert) => store.clearAlert({ id, subjectId: webhook.id, clearedAt: now }, webhook, [], now)
  const subjects = () => received.map((mail) => /^Subject: (.*(?:\r\n .*)*)/m.exec(mail.text)![1]!.replaceAll('\r\n', ''))

  test('both mails are sent once, after STARTTLS and login, to all receivers', async () => {
    const sender = mailer(await listen())
    const alert = await raise()
    await sender.sendDue()
    await sender.sendDue()
    assert.deepEqual(
      received.map(({ from, to, user, isSecure }) => ({ from, to, user, isSecure })),
      [{ from: 'oncall@mft.example', to: ['oncall@mft.example', 'ops@mft.example'], user: 'ops', isSecure: true }],
    )
    assert.match(received[0]!.text, new RegExp(`Message-ID: <${alert.id}\\.raised@landfall>`))
    assert.match(received[0]!.text, /Auto-Submitted: auto-generated/)
    now += HOUR_MS
    await clear(alert)
    await sender.sendDue()
    now += HOUR_MS
    await sender.sendDue()
    assert.equal(received.length, 2)
    assert.deepEqual(
      subjects().map((subject) => /Over/.test(subject)),
      [false, true],
    )
  })

  test('a mail that became due is sent at once by a running mailer, one after the other', async () => {
    const sender = mailer(await listen())
    sender.start()
    const alert = await raise()
    await clear(alert)
    sender.nudge()
    await arrived(2)
    await sender.stop()
    assert.match(subjects()[1]!, /Over/)
  })

  test('TLS from the first byte', async () => {
    const port = await listen({ secure: true })
    const settings = { smtpUrl: `smtps://ops:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`, alertEmail: ['a@b.example'] }
    const sender = mailer(port, { settings: { ...settings, alertFrom: 'landfall@b.example', publicUrl: '' } })
    await raise()
    await sender.sendDue()
    assert.deepEqual([received[0]?.isSecure, received[0]?.from], [true, 'landfall@b.example'])
  })

  const unsafe = [
    { name: 'a server without STARTTLS', options: { disabledCommands: ['STARTTLS'] }, connection: TRUSTED },
    {
      name: 'a certificate that nobody vouches for',
      options: {},
      connection: { ...TRUSTED, tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const } },
    },
  ]
  for (const { name, options, connection } of unsafe) {
    test(`${name} gets neither password nor mail`, async () => {
      let logins = 0
      const onAuth: SMTPServerOptions['onAuth'] = (_auth, _session, answer) => {
        logins += 1
        answer(null, { user: 'x' })
      }
      const sender = mailer(await listen({ ...options, onAuth, allowInsecureAuth: true }), { connection })
      await raise()
      await sender.sendDue()
      assert.deepEqual([received.length, logins], [0, 0])
      assert.match(logged.join('\n'), /could not be sent; tried again later/)
    })
  }

  test('a server that refuses at first gets the mail later, not before its time', async () => {
    let refusals = 1
    const sender = mailer(
      await listen({
        onMailFrom(_address, _session, answer) {
          refusals -= 1
          answer(refusals >= 0 ? Object.assign(new Error('come back later'), { responseCode: 451 }) : undefined)
        },
      }),
    )
    await raise()
    await sender.sendDue()
    assert.equal(received.length, 0)
    assert.match(logged.join('\n'), /"tries":1,"reason":".*451 come back later/)
    now += RETRY_MS - 1
    await sender.sendDue()
    assert.equal(received.length, 0)
    now += 1
    await sender.sendDue()
    assert.equal(received.length, 1)
  })

  test('one receiver that is refused does not keep the others from theirs', async () => {
    const sender = mailer(
      await listen({
        onRcptTo({ address }, _session, answer) {
          answer(address.startsWith('oncall') ? Object.assign(new Error('unknown'), { responseCode: 550 }) : undefined)
        },
      }),
    )
    await raise()
    await sender.sendDue()
    now += HOUR_MS
    await sender.sendDue()
    assert.deepEqual(
      received.map(({ to }) => to),
      [['ops@mft.example']],
    )
    assert.match(logged.join('\n'), /refused some receivers .*"rejected":1/)
  })

  test('a crash between sending and marking sends twice, no more, with one Message-ID', async () => {
    const port = await listen()
    const dying = mailer(port, { store: { ...store, mailSent: () => Promise.reject(new Error('the process died here')) } })
    await raise()
    await assert.rejects(dying.sendDue())
    const next = mailer(port)
    await next.sendDue()
    assert.equal(received.length, 1)
    now += LEASE_MS
    await next.sendDue()
    now += LEASE_MS
    await next.sendDue()
    assert.equal(received.length, 2)
    const ids = received.map((mail) => /^Message-ID: (.*)$/m.exec(mail.text)![1])
    assert.equal(ids[0], ids[1])
  })

  test('of two nodes each mail is sent by one', async () => {
    const port = await listen()
    const alerts = [await raise()]
    webhook = aWebhook()
    await store.createWebhook(webhook, { webhooksMax: 1_000 }, anAudit())
    alerts.push(await raise())
    await Promise.all([mailer(port).sendDue(), mailer(port).sendDue()])
    assert.deepEqual(
      received.map((mail) => /Message-ID: <(.*)\.raised/.exec(mail.text)![1]).toSorted(),
      alerts.map(({ id }) => id),
    )
  })

  test('a mail server that is down is asked until the mail is given up', async () => {
    const port = await listen()
    await new Promise<void>((resolve) => server.close(resolve))
    const sender = mailer(port)
    await raise()
    for (let tries = 1; tries <= TRIES_MAX + 2; tries++) {
      await sender.sendDue()
      now += RETRY_MS_MAX
    }
    assert.equal(logged.filter((message) => message.includes('tried again later')).length, TRIES_MAX - 1)
    assert.equal(logged.filter((message) => message.includes('was given up')).length, 1)
  })

  test('a password that is wrong, and repeated by the server, is in no log', async () => {
    const sender = mailer(await listen(), {}, 'ops:hunter2@')
    await raise()
    await sender.sendDue()
    assert.equal(received.length, 0)
    assert.match(logged.join('\n'), /not \[secret\]/)
    assert.ok(!logged.join('\n').includes('hunter2'))
  })

  test('a stop does not wait for a mail server that hangs, and the mail is due again', async () => {
    const isHanging = Promise.withResolvers<void>()
    const port = await listen({ onMailFrom: () => isHanging.resolve() })
    const sender = mailer(port)
    sender.start()
    await raise()
    sender.nudge()
    await isHanging.promise
    const startedAt = performance.now()
    await sender.stop()
    // Half of what one mail may take.
    assert.ok(performance.now() - startedAt < 15_000)
    assert.equal((await store.takeMails(now, now + MINUTE_MS, 10)).length, 1)
  })
})
