import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, createClient } from './client.ts'
import type { Call, Command } from './command.ts'
import { type Arrival, type DemoDialect, Receiver } from './demo/receiver.ts'
import { DemoServer } from './demo/server.ts'
import { paint } from './terminal.ts'

/** How long one expected delivery may take before the demo says that it failed. */
const ARRIVAL_MS = 20_000

export const demo: Command = {
  name: 'demo',
  summary: 'show the whole loop: upload, signed webhooks, retries, a crash, an agent',
  usage: 'demo [--exit]',
  options: { exit: { type: 'boolean', meaning: 'end by itself: status 0 only if everything arrived and verified' } },
  async run(call) {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-demo-'))
    const stage = new Stage(call, folder)
    try {
      await stage.open()
      await aFileArrives(stage)
      await aReceiverRecovers(stage)
      await aCrashInBetween(stage)
      await anAgentFetchesAFile(stage)
      stage.say(
        'done',
        { docs: `${stage.server.ready.http}/docs` },
        `everything arrived and verified. API docs: ${stage.server.ready.http}/docs`,
      )
      if (call.flags.exit !== true) await stayUp(stage)
      return 0
    } catch (error) {
      stage.say(
        'failed',
        { error: (error as Error).message },
        `the demo failed: ${(error as Error).message} (server log: ${stage.logPath})`,
      )
      stage.keep = true
      return 1
    } finally {
      await stage.close()
    }
  },
}

/** The parts of the demo: a server in a throw-away folder, a receiver, a user, two webhooks. */
class Stage {
  readonly logPath: string
  readonly dataFolder: string
  readonly receiver: Receiver
  readonly login = { username: 'alice', password: secret() }
  server!: DemoServer
  client!: Client
  /** Keeps the folder, so that the log can be read after a failure. */
  keep = false
  readonly #adminToken = `lfadm_${secret()}`
  readonly #secrets: { mftplus: string; trueftp: string }
  readonly #call: Call
  readonly #folder: string
  #receiverUrl = ''
  #lastLine = ''

  constructor(call: Call, folder: string) {
    this.#call = call
    this.#folder = folder
    this.logPath = join(folder, 'server.log')
    this.dataFolder = join(folder, 'data')
    this.#secrets = { mftplus: secret(), trueftp: secret() }
    this.receiver = new Receiver(this.#secrets)
  }

  async open(): Promise<void> {
    this.#receiverUrl = await this.receiver.start()
    await this.startServer()
    this.say('server', { ...this.server.ready }, `server up: SFTP ${this.server.ready.sftp}, API ${this.server.ready.http}`)
    await this.client.call('POST', '/api/accounts/default/users', { name: this.login.username, password: this.login.password })
    this.say('user', { login: this.login.username }, `user ${this.login.username} made`)
    for (const dialect of ['mftplus', 'trueftp'] as const) await this.webhook(dialect, ['file.*'])
  }

  async webhook(dialect: DemoDialect, events: string[]): Promise<void> {
    const retry = { delaysSeconds: [1, 1] }
    const body = { url: `${this.#receiverUrl}/${dialect}`, events, dialect, secret: this.#secrets[dialect], retry }
    const { webhook } = await this.client.call<{ webhook: { id: string } }>('POST', '/api/webhooks', body)
    this.say('webhook', { id: webhook.id, dialect, events }, `  webhook   ${webhook.id} made (${dialect}, ${events})`)
  }

  /** Somebody else's server, with one user who has a file for us. */
  async openPartner(login: { username: string; password: string }): Promise<DemoServer> {
    const token = `lfadm_${secret()}`
    const log = openSync(join(this.#folder, 'partner.log'), 'a', 0o600)
    try {
      const partner = await DemoServer.start(join(this.#folder, 'partner'), token, log)
      const client = createClient(partner.ready.http, token)
      await client.call('POST', '/api/accounts/default/users', { name: login.username, password: login.password })
      return partner
    } finally {
      closeSync(log)
    }
  }

  async startServer(): Promise<void> {
    const log = openSync(this.logPath, 'a', 0o600)
    try {
      this.server = await DemoServer.start(this.dataFolder, this.#adminToken, log)
    } finally {
      closeSync(log)
    }
    this.client = createClient(this.server.ready.http, this.#adminToken)
  }

  async close(): Promise<void> {
    await this.server?.stop()
    await this.receiver.stop()
    if (!this.keep) await rm(this.#folder, { recursive: true, force: true })
  }

  chapter(title: string): void {
    this.say('chapter', { title }, `\n${paint(this.#call.terminal, 'bold', title)}`)
  }

  /** One line for people, or one JSON object for machines. */
  say(kind: string, fields: object, line: string): void {
    this.#call.terminal.out(this.#call.json ? JSON.stringify({ kind, ...fields }) : line)
  }

  /** Uploads and tells it; answers when the client closed its handle. */
  async upload(path: string): Promise<number> {
    const content = randomBytes(20_480)
    // Loaded here, so that the other commands start without the SSH client.
    const { upload } = await import('./demo/upload.ts')
    const { closedAt, acknowledgedAt } = await upload(this.server.ready, this.login, path, content)
    const took = acknowledgedAt - closedAt
    this.say(
      'upload',
      { path, bytes: content.length, acknowledgedMs: round(took) },
      `  upload    ${path}: ${content.length} bytes, acknowledged ${ms(took)} after close`,
    )
    return closedAt
  }

  /** A bar that is drawn over itself on a terminal, and a line for each tenth elsewhere. */
  progress(fields: { status: string; progress: number; bytesTransferred: number }, line: string): void {
    const { status, progress } = fields
    const isOver = status !== 'queued' && status !== 'running'
    if (!this.#call.json && process.stdout.isTTY === true) {
      process.stdout.write(
        `\r\u001b[K${[...`  agent     ${line}`].slice(0, process.stdout.columns - 1).join('')}${isOver ? '\n' : ''}`,
      )
      return
    }
    const tenth = `${status} ${Math.floor(progress / 10)}`
    if (tenth !== this.#lastLine) this.say('progress', fields, `  agent     ${line}`)
    this.#lastLine = tenth
  }

  /** Waits for one delivery and tells it. */
  async expectOne(matches: (arrival: Arrival) => boolean): Promise<void> {
    const [arrival] = await this.receiver.waitFor(1, matches, ARRIVAL_MS)
    const { dialect, event, eventId, deliveryId, status } = verified(arrival!)
    const told = { dialect, event, eventId, deliveryId, status: status ?? null, verified: true }
    this.say(
      'delivery',
      told,
      `  delivery  ${dialect} ${event} ${paint(this.#call.terminal, 'green', 'signature verified')}, answered ${status}`,
    )
  }

  /** Waits for deliveries of this path and tells each; throws when one does not verify. */
  async expect(count: number, path: string, closedAt: number, matches: (arrival: Arrival) => boolean): Promise<Arrival[]> {
    const arrivals = await this.receiver.waitFor(count, (arrival) => arrival.path === path && matches(arrival), ARRIVAL_MS)
    for (const arrival of arrivals.map(verified)) {
      const { dialect, event, eventId, deliveryId, status } = arrival
      const after = arrival.at - closedAt
      const answer = status === undefined ? 'not answered' : `answered ${status}`
      this.say(
        'delivery',
        { dialect, event, eventId, deliveryId, status: status ?? null, verified: true, afterCloseMs: round(after) },
        `  delivery  ${dialect} ${event} ${paint(this.#call.terminal, 'green', 'signature verified')}, ${ms(after)} after close, ${answer}`,
      )
    }
    return arrivals
  }
}

async function aFileArrives(stage: Stage): Promise<void> {
  stage.chapter('1. A file arrives over SFTP and both webhooks follow')
  const path = '/order.csv'
  const closedAt = await stage.upload(path)
  const event = await uploadedEvent(stage.client, path)
  stage.say('event', { ...event }, `  event     ${event.id} ${event.event}, sha256 ${event.data.sha256.slice(0, 16)}…`)
  await stage.expect(2, path, closedAt, () => true)
}

interface UploadedEvent {
  readonly id: string
  readonly event: string
  readonly data: { readonly path: string; readonly sha256: string }
}

/** The event of an upload, which is said a moment after the client has heard. */
async function uploadedEvent(client: Client, path: string): Promise<UploadedEvent> {
  const expiry = performance.now() + ARRIVAL_MS
  for (;;) {
    const { events } = await client.call<{ events: UploadedEvent[] }>('GET', '/api/events?event=file.uploaded&limit=10')
    const found = events.find(({ data }) => data.path === path)
    if (found !== undefined) return found
    if (performance.now() > expiry) throw new Error(`the event of ${path} was not said within ${ARRIVAL_MS} ms`)
  }
}

async function aReceiverRecovers(stage: Stage): Promise<void> {
  stage.chapter('2. The receiver fails twice and recovers: same bytes, new signature, third attempt')
  const path = '/failing-receiver.csv'
  let failures = 0
  stage.receiver.behaviour = (arrival) => (arrival.dialect === 'mftplus' && failures++ < 2 ? 503 : 204)
  const closedAt = await stage.upload(path)
  await stage.expect(3, path, closedAt, (arrival) => arrival.dialect === 'mftplus')
  await stage.expect(1, path, closedAt, (arrival) => arrival.dialect === 'trueftp')
}

async function aCrashInBetween(stage: Stage): Promise<void> {
  stage.chapter('3. kill -9 after the upload was acknowledged, before its delivery was answered')
  const path = '/crash.csv'
  stage.receiver.behaviour = () => 'hold'
  const closedAt = await stage.upload(path)
  await stage.server.kill()
  stage.say('killed', {}, '  kill -9   the server is gone; nothing was answered')
  stage.receiver.behaviour = () => 204
  await stage.startServer()
  stage.say('restarted', { ...stage.server.ready }, '  restart   on the same data folder')
  await stage.expect(2, path, closedAt, (arrival) => arrival.status !== undefined)
}

async function anAgentFetchesAFile(stage: Stage): Promise<void> {
  stage.chapter("4. An agent fetches a file from somebody else's SFTP server")
  const { builtinAgent, fetched, makeRemote, placeFile } = await import('./demo/agent.ts')
  const login = { username: 'shop', password: secret() }
  const partner = await stage.openPartner(login)
  try {
    const path = await placeFile(partner.ready, login)
    stage.say('partner', { sftp: partner.ready.sftp, path }, `  partner   another server at ${partner.ready.sftp} has ${path}`)
    const agent = await builtinAgent(stage.client)
    const remoteId = await makeRemote(stage.client, partner.ready, login)
    await stage.webhook('mftplus', ['transfer.*'])
    const destinationPath = `space://default/${stage.login.username}/from-partner.bin`
    const transfer = await fetched(
      stage.client,
      { agentId: agent.id, remoteId, sourceUrl: path, destinationPath },
      (row, line) => {
        stage.progress({ status: row.status, progress: row.progress, bytesTransferred: row.bytesTransferred }, line)
      },
    )
    if (transfer.status !== 'completed')
      throw new Error(`the transfer ${transfer.id} is ${transfer.status}: ${transfer.errorMessage}`)
    const of = (event: string) => (arrival: Arrival) => arrival.transferId === transfer.id && arrival.event === event
    for (const event of ['transfer.created', 'transfer.progress', 'transfer.completed']) await stage.expectOne(of(event))
  } finally {
    await partner.stop()
  }
}

async function stayUp(stage: Stage): Promise<void> {
  const { http, sftp } = stage.server.ready
  const port = sftp.slice(sftp.lastIndexOf(':') + 1)
  const folder = stage.dataFolder
  stage.say(
    'next',
    { http, sftp, login: stage.login },
    [
      '\nThe server stays up until Ctrl-C. Try, in another terminal:',
      `  sftp -P ${port} ${stage.login.username}@127.0.0.1        (password ${stage.login.password})`,
      `  npx landfall webhook list --data ${folder}`,
      `  npx landfall webhook deliveries ID --data ${folder}`,
    ].join('\n'),
  )
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

function verified(arrival: Arrival): Arrival {
  if (arrival.problem !== undefined) throw new Error(`a delivery did not verify: ${arrival.problem}`)
  return arrival
}

function secret(): string {
  return randomBytes(18).toString('base64url')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function ms(value: number): string {
  return `${round(value)} ms`
}
