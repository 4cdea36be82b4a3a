import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createReceiver } from '../../sdk/examples/express.ts'
import { startTestServer, type TestServer } from '../server.ts'
import { Growing, Listener, landfall, Receiver } from './line.ts'

// Samples, probes and explanations as those who write receivers ask for them on the command line.

const SECRET = 'a secret of this test'
let server: TestServer
before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

const run = (...args: string[]) => landfall([...args, '--data', server.folder])

async function listening(t: TestContext, handler: RequestListener): Promise<string> {
  const receiver = createServer(handler)
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    receiver.closeAllConnections()
    receiver.close()
  })
  return `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/webhooks`
}

async function makeWebhook(url: string, events: string[]): Promise<string> {
  const body = { url, events, dialect: 'trueftp', secret: SECRET, name: 'orders' }
  return (await server.call<{ webhook: { id: string } }>('POST', '/api/webhooks', body)).webhook.id
}

const readsNothing: RequestListener = (request, response) => void request.resume().on('end', () => response.end('ok'))

test('trigger: to nobody, to those that subscribe, to one by name, and to an account', { timeout: 180_000 }, async (t) => {
  const nobody = await run('trigger', 'job.failed')
  assert.deepEqual([nobody.status, nobody.error], [0, ''])
  assert.match(nobody.out, /^no active webhook subscribes to job\.failed, and nobody listens: .*`landfall webhook create`/)

  const good = await makeWebhook(await listening(t, readsNothing), ['transfer.*'])
  const taken = await run('trigger', 'transfer.failed')
  assert.equal(taken.status, 0, taken.error)
  assert.match(taken.out, new RegExp(`^WEBHOOK +ID +OUTCOME +DELIVERY\\norders +${good} +delivered 200 +dlv_\\w+\\n$`))

  const bad = await makeWebhook(await listening(t, (_, response) => response.writeHead(500).end()), ['dir.created'])
  const refused = await run('trigger', 'transfer.failed', '--webhook', bad)
  assert.equal(refused.status, 1, refused.error)
  assert.match(refused.out, new RegExp(`${bad} .*500.*, again at .*\\n1 of 1 did not take it\\n$`))

  const machine = await run('trigger', 'transfer.failed', '--no-wait', '--json')
  const { deliveries, listeners } = JSON.parse(machine.out)
  assert.deepEqual([deliveries.length, deliveries[0].webhookId, listeners], [1, good, 0])
  // A webhook for all accounts is none of this account's.
  const scoped = await run('trigger', 'transfer.failed', '--account', 'default', '--json')
  assert.deepEqual([scoped.status, JSON.parse(scoped.out).deliveries.length], [0, 0])
})

const refusals: { args: string[]; says: RegExp }[] = [
  { args: ['trigger', 'transfer.fail'], says: /did you mean "transfer\.failed"\?/ },
  { args: ['trigger'], says: /usage: landfall trigger EVENT_TYPE/ },
  { args: ['trigger', 'job.failed', '--account', 'nobody'], says: /there is no account nobody: .landfall account list. shows/ },
  { args: ['trigger', 'job.failed', '--webhook', 'wh_0000000000000000'], says: /no webhook wh_0000000000000000/ },
  { args: ['doctor', 'wh_0000000000000000'], says: /no webhook wh_0000000000000000/ },
  { args: ['doctor'], says: /usage: landfall doctor WEBHOOK_ID/ },
]
test('trigger and doctor refuse in one line', { timeout: 180_000 }, async () => {
  for (const { args, says } of refusals) {
    const { status, error } = await run(...args)
    assert.deepEqual(
      [
        status,
        error
          .trim()
          .replace(/^sending .*\n/, '')
          .split('\n').length,
      ],
      [2, 1],
      error,
    )
    assert.match(error, says)
  }
})

test('doctor: a receiver of the sdk has nothing to mend', { timeout: 180_000 }, async (t) => {
  t.mock.method(console, 'warn', () => {})
  const id = await makeWebhook(
    await listening(
      t,
      createReceiver(SECRET, async () => {}),
    ),
    ['file.*'],
  )
  const { status, out, error } = await run('doctor', id)
  assert.deepEqual([status, error], [0, 'sending about ten samples to the receiver …\n'], out)
  assert.match(out, /^Receiver at http:\/\/127\.0\.0\.1:\d+\/webhooks\n/)
  for (const title of ['Genuine request', 'Bad signature', 'Changed body', 'Old timestamp'])
    assert.match(out, new RegExp(`^ok +${title} `, 'm'))
  // Slow enough for a warning is a receiver on any machine that is busy.
  assert.match(out, /^(ok|warning) +Latency /m)
  assert(!/^problem/m.test(out))
  const { checks } = JSON.parse((await run('doctor', id, '--json')).out)
  assert.equal(checks.length, 7)
})

test('doctor: a receiver that verifies nothing is told what to mend', { timeout: 180_000 }, async (t) => {
  const id = await makeWebhook(await listening(t, readsNothing), ['file.*'])
  const { status, out } = await run('doctor', id)
  assert.equal(status, 1)
  assert.match(out, /^problem +Bad signature +a request signed with another secret was taken with 200\n +→ verify every request/m)
  assert.match(out, /^problem +Old timestamp /m)
})

test('explain-signature: a request that listen forwarded, with the secret that listen told', { timeout: 180_000 }, async (t) => {
  const receiver = new Receiver()
  const env = { XDG_STATE_HOME: `${server.folder}/state` }
  const listener = new Listener(['--forward', await receiver.start(), '--dialect', 'standard', '--data', server.folder], env)
  t.after(async () => {
    await listener.stop('SIGKILL')
    receiver.stop()
  })
  const { secret } = await listener.hello()
  assert.match((await run('trigger', 'file.uploaded', '--account', 'default')).out, /shown to 1 live listener/)
  const { headers, body } = await receiver.arrivals.first('sample', () => true)
  const capture = `${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')}\n\n${body}`
  const right = await landfall(['explain-signature'], { LANDFALL_WEBHOOK_SECRET: secret! }, capture)
  assert.match(right.out, /^genuine: /, right.error)
  const wrong = await landfall(['explain-signature'], { LANDFALL_WEBHOOK_SECRET: secret! }, capture.replace('order', 'other'))
  assert.deepEqual([wrong.status, /^not genuine: /.test(wrong.out)], [1, true])
})

test('the receiver of the README: takes what listen and a webhook send, is well for the doctor, and keeps what it refuses', {
  timeout: 180_000,
}, async (t) => {
  const secret = 'whsec_a0b1c2d3e4f5g6h7i8j9k0l1m2n3o4p5'
  const program = fileURLToPath(new URL('../../sdk/examples/receiver.ts', import.meta.url))
  const env = { PATH: process.env.PATH, PORT: '0', WEBHOOK_SECRET: secret }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const printed = new Growing<string>()
  createInterface({ input: child.stdout }).on('line', (line) => printed.add(line))
  t.after(() => child.kill())
  const url = (await printed.first('address', (line) => line.includes('listening'))).replace(/^.* /, '')

  const listener = new Listener(
    ['--forward', `${url}/hook`, '--secret-stdin', '--data', server.folder],
    { XDG_STATE_HOME: `${server.folder}/state-2` },
    secret,
  )
  t.after(() => listener.stop('SIGKILL'))
  await listener.hello()
  await run('trigger', 'agent.connected')
  await printed.first('sample', (line) => /^genuine {5}agent\.connected whevt_\w+$/.test(line))

  const create = [
    'webhook',
    'create',
    '--url',
    `${url}/hook`,
    '--events',
    'dir.*',
    '--secret-stdin',
    '--json',
    '--data',
    server.folder,
  ]
  const { id } = JSON.parse((await landfall(create, {}, `${secret}\n`)).out)
  const doctor = await run('doctor', id)
  assert.equal(doctor.status, 0, doctor.out)
  assert.match(doctor.out, /^ok +Same id twice .* so it was recognised$/m)
  const file = (await printed.first('refusal', (line) => line.includes('explain-signature'))).replace(/^.* /, '')
  t.after(() => rmSync(file))
  const explained = await landfall(['explain-signature', file], { LANDFALL_WEBHOOK_SECRET: secret })
  assert.deepEqual([explained.status, explained.error], [1, ''])
  assert.match(explained.out, /^not genuine: /)
})
