import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '../../cli/client.ts'
import type { Random } from '../random.ts'
import { seeded } from '../random.ts'
import { newKeyPair } from '../ssh-key.ts'
import { faultsOf } from './check.ts'
import { type Habit, STEPS, StormClient } from './client.ts'
import { readDisk } from './disk.ts'
import { tookPlace } from './log.ts'
import { type Moment, momentsOf, nameOf } from './moments.ts'
import { ServerProcess } from './process.ts'
import { DIALECTS, FAILURES_MAX, RECEIVERS, type ReceiverName, Receivers } from './receivers.ts'
import { readRows } from './rows.ts'
import type { Orders, Ready } from './server.ts'

export interface StormOptions {
  readonly rounds: number
  readonly seed: number
  /** An empty folder of its own: data, storage and the servers' log. */
  readonly folder: string
  /** `postgres://…`; absent: SQLite in the folder. */
  readonly database?: string
  /** Told after each round, for people. */
  readonly say?: (line: string) => void
}

export interface Report {
  /** Empty: every proof held. */
  readonly faults: readonly string[]
  readonly kills: number
  /** Points of the flow at which a server ended itself, each once. */
  readonly pointsHit: readonly string[]
  readonly acknowledged: number
  /** Changes that nobody was told of, and that were found done after a restart. */
  readonly happenedUntold: number
  readonly resumed: number
  readonly delivered: number
  readonly posts: number
}

const HABITS: readonly Habit[] = ['many', 'many', 'many', 'large']
const STEPS_OF_ALL = HABITS.reduce((sum, habit) => sum + STEPS[habit], 0)

/** Longest life of a server from being ready to being killed, ms: the moment comes within two seconds, on a busy machine later. */
const LIFE_MS_MAX = 15_000
/** A process that killed itself is seen to have ended within this, ms. */
const EXIT_MS_MAX = 10_000
/** Time for all deliveries to arrive once nothing is killed any more, ms: the last retries wait a second each. */
const QUIET_MS_MAX = 60_000
const QUIET_ASK_MS = 100
/** How far back each round's replay goes, ms. */
const REPLAYED_MS = 4_000
/** Enough tries for the recovering receiver, and some for attempts that a kill cut after they were counted. */
const RETRY_DELAYS_SECONDS = Array.from({ length: FAILURES_MAX + 4 }, () => 1)
const USER = 'storm'

/** One storm on one store: rounds on the same data folder, each ended by a kill; then the proofs. */
export async function storm(options: StormOptions): Promise<Report> {
  const world = new World(options)
  try {
    await world.open()
    const moments = momentsOf(options.rounds, STEPS_OF_ALL, world.random.fork('moments'))
    for (const [index, moment] of moments.entries()) {
      const { wasHit, ms } = await world.round(moment)
      options.say?.(
        `round ${index + 1} of ${moments.length}: ${nameOf(moment)}${wasHit ? '' : ' (not reached)'}, ${Math.round(ms)} ms`,
      )
    }
    options.say?.('the end: waiting for the last deliveries')
    return await world.conclude()
  } finally {
    await world.close()
  }
}

/** The parts of a storm that outlive its servers: data folder, receivers, clients. */
class World {
  readonly random: Random
  readonly #folder: string
  readonly #database: string | undefined
  readonly #adminToken = `lfadm_${randomBytes(18).toString('hex')}`
  readonly #receivers: Receivers
  readonly #clients: StormClient[]
  readonly #publicKey: string
  readonly #webhooks: { id: string; receiver: ReceiverName }[] = []
  readonly #faults: string[] = []
  readonly #pointsHit = new Set<string>()
  readonly #log: number
  readonly #secrets = { mftplus: secret(), trueftp: secret() }
  #kills = 0
  /** Of the first start, ms: what `starting` takes its share of. */
  #startMs = 0
  #server: ServerProcess | undefined

  constructor({ seed, folder, database }: StormOptions) {
    this.random = seeded(seed)
    this.#folder = folder
    this.#database = database
    this.#log = openSync(join(folder, 'server.log'), 'a')
    this.#receivers = new Receivers(this.#secrets, String(seed))
    const keys = newKeyPair()
    this.#publicKey = keys.public
    const login = { username: USER, privateKey: keys.private }
    this.#clients = HABITS.map((habit, index) => new StormClient(`c${index}`, habit, login, this.random.fork(`client ${index}`)))
  }

  /** A first life without harm, in which user and webhooks are made. */
  async open(): Promise<void> {
    await this.#receivers.start()
    const startedAt = performance.now()
    const { http } = await this.#start(null)
    this.#startMs = performance.now() - startedAt
    const api = createClient(http, this.#adminToken)
    await api.call('POST', '/api/accounts/default/users', { name: USER, publicKeys: [this.#publicKey] })
    for (const receiver of RECEIVERS) {
      for (const dialect of DIALECTS) {
        const { webhook } = await api.call<{ webhook: { id: string } }>('POST', '/api/webhooks', {
          url: this.#receivers.url(receiver, dialect),
          events: ['file.*', 'dir.*'],
          dialect,
          secret: this.#secrets[dialect],
          ...(receiver === 'healthy' ? {} : { retry: { delaysSeconds: RETRY_DELAYS_SECONDS } }),
          ...(receiver === 'ordered' ? { order: 'webhook' } : {}),
        })
        this.#webhooks.push({ id: webhook.id, receiver })
      }
    }
    await this.#server!.stop()
  }

  /** The life of one server, from its start to its kill. */
  async round(moment: Moment): Promise<{ wasHit: boolean; ms: number }> {
    const startedAt = performance.now()
    const server = this.#spawn(moment.kind === 'point' ? moment : null)
    if (moment.kind === 'starting') await wait(this.#startMs * moment.fraction)
    const ready = moment.kind === 'starting' ? undefined : await server.ready
    const wasHit = ready === undefined || (await this.#live(server, ready, moment))
    await server.kill()
    this.#kills++
    if (moment.kind === 'point' && wasHit) this.#pointsHit.add(moment.point)
    return { wasHit, ms: performance.now() - startedAt }
  }

  /** Clients work until the moment has come, or for as long as a round may take; whether it came. */
  async #live(server: ServerProcess, ready: Ready, moment: Moment): Promise<boolean> {
    const come = Promise.withResolvers<true>()
    const ticks = { posted: 0, answered: 0, acknowledged: 0, steps: 0 }
    const tick = (what: keyof typeof ticks) => {
      ticks[what]++
      if (moment.kind === what && ticks[what] === moment.nth) server.kill().then(() => come.resolve(true), come.reject)
      if (what === 'steps' && moment.kind === 'random' && ticks.steps === moment.steps)
        setTimeout(() => come.resolve(true), moment.delayMs)
    }
    this.#receivers.onPost = tick
    const deadline = Promise.withResolvers<false>()
    const timer = setTimeout(() => deadline.resolve(false), LIFE_MS_MAX)
    let cutOff = 0
    void this.#replay(ready)
    const work = this.#clients.map(async (client) => {
      if ((await client.work(ready.sftp, tick)) === 'cut') cutOff++
    })
    // Clients see the end of the server before the driver does: who is cut off is not done.
    const finished = Promise.all(work).then(() => (cutOff === 0 ? false : deadline.promise))
    const ended = server.ended.then(() => true)
    const isOver = await Promise.race([come.promise, ended, deadline.promise, finished])
    clearTimeout(timer)
    const wasHit = isOver || (cutOff > 0 && (await Promise.race([ended, wait(EXIT_MS_MAX).then(() => false)])))
    this.#receivers.onPost = () => {}
    if (!wasHit && cutOff > 0) this.#faults.push('a living server cut off its clients')
    await server.kill()
    await Promise.all(work)
    return wasHit
  }

  /** What was said last, once more, beside what is said now; refused while the one of an earlier round goes on. */
  async #replay({ http }: Ready): Promise<void> {
    const { id } = this.#webhooks.find(({ receiver }) => receiver === 'ordered')!
    const since = new Date(Date.now() - REPLAYED_MS).toISOString()
    const asked = createClient(http, this.#adminToken).call('POST', `/api/webhooks/${id}/replay`, { since, ratePerSecond: 1_000 })
    await asked.catch(() => {})
  }

  /** A last life without harm: clients finish, deliveries arrive, the server stops; then everything is looked at. */
  async conclude(): Promise<Report> {
    const ready = await this.#start(null)
    for (const client of this.#clients) await client.conclude(ready.sftp)
    await this.#quiet(ready)
    await this.#server!.stop().catch((error) => this.#faults.push(error.message))

    const data = join(this.#folder, 'data')
    const rows = await readRows(this.#database ?? join(data, 'landfall.sqlite'))
    const disk = await readDisk(join(data, 'files'), `default/${USER}`)
    const { posts } = this.#receivers
    const faults = [...this.#faults, ...faultsOf({ clients: this.#clients, webhooks: this.#webhooks, posts, rows, disk })]
    const entries = this.#clients.flatMap(({ log }) => log)
    return {
      faults,
      kills: this.#kills,
      pointsHit: [...this.#pointsHit],
      acknowledged: entries.filter(({ outcome }) => outcome === 'acknowledged').length,
      happenedUntold: entries.filter((entry) => tookPlace(entry) && entry.outcome !== 'acknowledged').length,
      resumed: this.#clients.reduce((sum, { resumed }) => sum + resumed, 0),
      delivered: rows.deliveries.filter(({ state }) => state === 'delivered').length,
      posts: posts.length,
    }
  }

  async close(): Promise<void> {
    await this.#server?.kill().catch(() => {})
    await this.#receivers.stop()
    closeSync(this.#log)
  }

  /** Waits until the API knows of no replay that runs and of no delivery that waits. */
  async #quiet({ http }: Ready): Promise<void> {
    const api = createClient(http, this.#adminToken)
    const expiry = performance.now() + QUIET_MS_MAX
    for (const { id, receiver } of this.#webhooks) {
      for (;;) {
        const { replays } = await api.call<{ replays: { state: string }[] }>('GET', `/api/webhooks/${id}/replays?limit=1`)
        if (replays[0]?.state !== 'running' || performance.now() > expiry) break
        await wait(QUIET_ASK_MS)
      }
      for (;;) {
        const { pagination } = await api.call<{ pagination: { total: number } }>(
          'GET',
          `/api/webhooks/${id}/deliveries?status=waiting&limit=1`,
        )
        if (pagination.total === 0) break
        if (performance.now() > expiry) {
          this.#faults.push(`${pagination.total} deliveries of the ${receiver} webhook ${id} still wait after ${QUIET_MS_MAX} ms`)
          break
        }
        await wait(QUIET_ASK_MS)
      }
    }
  }

  async #start(arm: Orders['arm']): Promise<Ready> {
    const ready = await this.#spawn(arm).ready
    if (ready === undefined) throw new Error('the server was killed by somebody else')
    return ready
  }

  #spawn(arm: Orders['arm']): ServerProcess {
    const flags = {
      '--data': join(this.#folder, 'data'),
      '--http-address': '127.0.0.1:0',
      '--sftp-address': '127.0.0.1:0',
      '--agent-address': '127.0.0.1:0',
      '--builtin-agent': 'off',
      '--admin-token': this.#adminToken,
      ...(this.#database === undefined ? {} : { '--database': this.#database }),
    }
    this.#server = new ServerProcess({ flags, arm }, this.#log)
    return this.#server
  }
}

function secret(): string {
  return randomBytes(24).toString('hex')
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
