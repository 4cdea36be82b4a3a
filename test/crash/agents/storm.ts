import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, createClient } from '../../../cli/client.ts'
import { VERSION } from '../../../src/app/version.ts'
import { DAY_MS } from '../../../src/base/units.ts'
import { type Random, seeded } from '../../random.ts'
import { ServerProcess, StormProcess } from '../process.ts'
import { Receivers } from '../receivers.ts'
import type { Arm, Ready } from '../server.ts'
import type { StormOptions } from '../storm.ts'
import type { AgentOrders } from './agent.ts'
import { faultsOf } from './check.ts'
import { FAR, Field } from './field.ts'
import { type AgentPlace, Load } from './load.ts'
import { type Moment, momentsOf, nameOf } from './moments.ts'
import { type AgentPoint, ENROLMENT_POINTS } from './points.ts'
import { readPartials, readWorkRows } from './rows.ts'

export interface AgentsReport {
  /** Empty: every proof held. */
  readonly faults: readonly string[]
  readonly kills: number
  /** Points at which a server or an agent ended itself, each once. */
  readonly pointsHit: readonly string[]
  readonly completed: number
  readonly cancelled: number
  readonly runs: number
  readonly events: number
}

const AGENTS = ['a0', 'a1'] as const
/** Time from the first request of a round to the kill, ms, where the moment does not come. */
const LIFE_MS_MAX = 3_000
/** How long an agent works before it is killed, in rounds whose point is about its coming back, ms. */
const WORKS_MS = 300
/** An agent that was killed is started again within this time, ms. */
const AWAY_MS_MAX = 1_000
/** Everything comes to rest within this, ms, once nothing is killed any more. */
const REST_MS_MAX = 90_000
const REST_ASK_MS = 100
/** Then what is left half done is taken away within this, ms. */
const TIDY_MS_MAX = 60_000
/** A certificate of 365 days is due for renewal to who is that far ahead, where it is renewed 300 days before its end. */
const AHEAD_MS = 70 * DAY_MS
const USER = 'partner'

/** One storm over agents: rounds with the same server and agents, of which one or all are killed in each; then rest, then the proofs. */
export async function agentsStorm(options: StormOptions): Promise<AgentsReport> {
  const world = new World(options)
  try {
    await world.open()
    const moments = momentsOf(options.rounds, world.random.fork('moments'))
    for (const [index, moment] of moments.entries()) {
      const { wasHit, ms } = await world.round(moment)
      const result = `${nameOf(moment)}${wasHit ? '' : ' (not reached)'}, ${Math.round(ms)} ms`
      options.say?.(`round ${index + 1} of ${moments.length}: ${result}`)
    }
    options.say?.('the end: waiting for everything to come to rest')
    return await world.conclude()
  } finally {
    await world.close()
  }
}

/** The parts of a storm that outlive its processes, and the processes as they are. */
class World {
  readonly random: Random
  readonly #folder: string
  readonly #database: string | undefined
  readonly #token = `lfadm_${randomBytes(18).toString('hex')}`
  readonly #password = randomBytes(12).toString('hex')
  readonly #secrets = { mftplus: randomBytes(24).toString('hex'), trueftp: '' }
  readonly #receivers: Receivers
  readonly #field: Field
  readonly #load: Load
  readonly #log: number
  readonly #faults: string[] = []
  readonly #pointsHit = new Set<string>()
  readonly #enrolled: AgentPlace[] = []
  readonly #agents: StormProcess<object>[] = []
  #kills = 0
  /** Ports stay the same over all lives: agents dial where they were enrolled. */
  #addresses: Pick<Ready, 'http' | 'agents'> | undefined
  #server!: ServerProcess
  #far!: ServerProcess
  #webhookId = ''

  constructor({ seed, folder, database }: StormOptions) {
    this.random = seeded(`agents ${seed}`)
    this.#folder = folder
    this.#database = database
    this.#log = openSync(join(folder, 'processes.log'), 'a')
    this.#receivers = new Receivers(this.#secrets, String(seed))
    this.#field = new Field(join(folder, 'far', 'files', 'default', USER), this.random.fork('files'))
    this.#load = new Load(this.#field, this.#token, this.random.fork('load'))
  }

  /** The far side, the server, webhook and remote; then the agents enrol, killed on the way. */
  async open(): Promise<void> {
    await this.#receivers.start()
    this.#far = new ServerProcess({ flags: this.#flags('far'), arm: null }, this.#log)
    const [far] = await Promise.all([readyOf(this.#far), this.#startServer()])
    const farApi = createClient(far.http, this.#token)
    await farApi.call('POST', '/api/accounts/default/users', { name: USER, password: this.#password })
    const { webhook } = await this.#api().call<{ webhook: { id: string } }>('POST', '/api/webhooks', {
      url: this.#receivers.url('healthy', 'mftplus'),
      events: ['transfer.*', 'job.*', 'agent.*'],
      secret: this.#secrets.mftplus,
    })
    this.#webhookId = webhook.id
    const [host, port] = far.sftp.split(':')
    const { remote } = await this.#api().call<{ remote: { id: string } }>('POST', '/api/remotes', {
      ...{ name: 'far', protocol: 'sftp', host, port: Number(port), username: USER, password: this.#password },
      trustFirstHostKey: true,
    })
    await this.#enrol(AGENTS[0], ENROLMENT_POINTS)
    await this.#renew(AGENTS[0])
    await this.#enrol(AGENTS[1], [])
    for (const name of AGENTS) this.#agents.push(this.#runAgent(name))
    await Promise.all(this.#agents.map(readyOf))
    await this.#load.open(this.#addresses!.http, remote.id, this.#enrolled)
  }

  async round(moment: Moment): Promise<{ wasHit: boolean; ms: number }> {
    const startedAt = performance.now()
    const agent = this.random.between(0, AGENTS.length - 1)
    const victims = moment.victim === 'both' ? [this.#server, ...this.#agents] : [this.#one(moment.victim, agent)]
    for (const victim of victims) victim.arm(moment.arm)
    const loading = this.#load.round()
    if (moment.arm?.point === 'work.put_back') await this.#comeBack(agent)
    const lifeMs = moment.arm === null ? moment.delayMs : LIFE_MS_MAX
    const wasHit = await Promise.race([
      Promise.any(victims.map(({ ended }) => ended.then(() => true))),
      wait(lifeMs).then(() => false),
    ])
    for (const victim of victims) await this.#kill(victim)
    if (moment.arm !== null && wasHit) this.#pointsHit.add(moment.arm.point)
    await this.#lookForHalves(nameOf(moment))
    // People go on meanwhile.
    if (moment.victim === 'agent') await wait(this.random.between(0, AWAY_MS_MAX))
    if (victims.includes(this.#server)) await this.#startServer()
    for (const [index, name] of AGENTS.entries()) if (victims.includes(this.#agents[index]!)) await this.#startAgent(index, name)
    await loading
    return { wasHit: wasHit || moment.arm === null, ms: performance.now() - startedAt }
  }

  /** Nothing is killed any more: all comes to rest, is run once more, rests again; the processes stop, and everything is looked at. */
  async conclude(): Promise<AgentsReport> {
    for (const process of [this.#server, ...this.#agents]) process.arm(null)
    if (await this.#rests('the storm')) {
      await this.#load.runAll()
      await this.#rests('the last runs')
      await this.#tidies()
    }
    for (const process of [...this.#agents, this.#server, this.#far])
      await process.stop().catch((error) => this.#faults.push(error.message))

    const rows = await readWorkRows(this.#database ?? join(this.#folder, 'data', 'landfall.sqlite'))
    const { files } = await this.#look()
    const evidence = {
      enrolled: this.#enrolled.map(({ id }) => id),
      placed: this.#field.placed,
      files,
      leftovers: await this.#leftovers(),
      posts: this.#receivers.posts,
      rows,
    }
    return {
      faults: [...this.#faults, ...this.#load.faults, ...faultsOf(evidence)],
      kills: this.#kills,
      pointsHit: [...this.#pointsHit],
      completed: rows.transfers.filter(({ status }) => status === 'completed').length,
      cancelled: rows.transfers.filter(({ status }) => status === 'cancelled').length,
      runs: rows.runs.length,
      events: rows.events.length,
    }
  }

  async close(): Promise<void> {
    for (const process of [...this.#agents, this.#server, this.#far]) await process?.kill().catch(() => {})
    await this.#receivers.stop()
    closeSync(this.#log)
  }

  /** The same command again and again, each time killed at another step, with a token that counts once. The other end is killed as well. */
  async #enrol(name: string, points: readonly AgentPoint[]): Promise<void> {
    const { token } = await this.#api().call<{ token: string }>('POST', '/api/enrollment-tokens', { name })
    const root = join(this.#folder, `${name}-files`)
    mkdirSync(root)
    const folder = join(this.#folder, name)
    const begin = (arm: AgentOrders['arm']) =>
      this.#agent(name, {
        arm,
        folder,
        enrol: { server: this.#addresses!.http, token, folder, name, roots: [root], version: VERSION },
      })
    for (const point of points) {
      await this.#killAt(begin({ point, nth: 1 }), point)
      if (point !== 'enrolment.saved') await this.#killServerAt('enrolment.recorded', () => begin(null))
    }
    const { id } = (await readyOf(begin(null))) as { id: string }
    this.#enrolled.push({ id, root })
  }

  /** Its certificate is due, and renewed, again and again. */
  async #renew(name: string): Promise<void> {
    const begin = (arm: AgentOrders['arm']) => this.#agent(name, { arm, folder: join(this.#folder, name), aheadMs: AHEAD_MS })
    await this.#killServerAt('renewal.recorded', () => begin(null))
    await this.#killAt(begin({ point: 'certificate.saved', nth: 1 }), 'certificate.saved')
  }

  /** The server dies of what this agent asks. Where it asks nothing, because it is through, nothing is killed. */
  async #killServerAt(point: string, begin: () => StormProcess<object>): Promise<void> {
    this.#server.arm({ point, nth: 1 })
    const agent = begin()
    const isHit = await Promise.race([this.#server.ended.then(() => true), agent.ended.then(() => false)])
    if (isHit) await this.#kill(this.#server)
    else this.#server.arm(null)
    if (!isHit) return
    this.#pointsHit.add(point)
    await Promise.race([agent.ended, wait(0)])
    await agent.kill().catch(() => {})
    await this.#startServer()
  }

  async #killAt(agent: StormProcess<object>, point: string): Promise<void> {
    if ((await agent.ended) !== 'SIGKILL') return
    this.#kills++
    this.#pointsHit.add(point)
  }

  /** What ended transfers have left is taken away a moment later; where it is not, the proofs say so. */
  async #tidies(): Promise<void> {
    const expiry = performance.now() + TIDY_MS_MAX
    while ((await this.#leftovers()).length > 0 && performance.now() < expiry) await wait(REST_ASK_MS)
  }

  /** Parts of files, uploads that the far side keeps for who goes on with them, and what agents remember of transfers. */
  async #leftovers(): Promise<string[]> {
    const { parts } = await this.#look()
    const partials = readPartials(join(this.#folder, 'far', 'landfall.sqlite')).map((path) => `the upload of ${FAR}${path}`)
    const journals = AGENTS.flatMap((name) => readdirSync(join(this.#folder, name, 'work')).map((file) => `${name}/work/${file}`))
    return [...parts, ...partials, ...journals]
  }

  #look(): ReturnType<Field['look']> {
    return this.#field.look([...this.#enrolled.map(({ root }) => root), `${FAR}/`])
  }

  /** While who was killed is away: later, what it left half is written over. */
  async #lookForHalves(after: string): Promise<void> {
    const { files } = await this.#look()
    for (const [path, isWhole] of files) if (!isWhole) this.#faults.push(`${path} is not what its name says, after ${after}`)
  }

  /** An agent that is in the middle of its work is killed and comes back. */
  async #comeBack(agent: number): Promise<void> {
    await wait(WORKS_MS)
    await this.#kill(this.#agents[agent]!)
    this.#agents[agent] = this.#runAgent(AGENTS[agent]!)
  }

  async #kill(process: StormProcess<object>): Promise<void> {
    await process.kill()
    this.#kills++
  }

  #one(victim: 'server' | 'agent', agent: number): StormProcess<object> {
    return victim === 'server' ? this.#server : this.#agents[agent]!
  }

  /** Whether everything has ended and been delivered in time. */
  async #rests(what: string): Promise<boolean> {
    const expiry = performance.now() + REST_MS_MAX
    for (;;) {
      const open = await this.#load.countOpen()
      const path = `/api/webhooks/${this.#webhookId}/deliveries?status=waiting&limit=1`
      const waiting = (await this.#api().call<{ pagination: { total: number } }>('GET', path)).pagination.total
      if (open + waiting === 0) return true
      if (performance.now() > expiry) {
        this.#faults.push(`${open} transfers and runs are open, and ${waiting} deliveries wait, ${REST_MS_MAX} ms after ${what}`)
        return false
      }
      await wait(REST_ASK_MS)
    }
  }

  async #startServer(): Promise<void> {
    this.#server = new ServerProcess({ flags: this.#flags('data'), arm: null }, this.#log)
    this.#addresses = await readyOf(this.#server)
  }

  async #startAgent(index: number, name: string): Promise<void> {
    this.#agents[index] = this.#runAgent(name)
    await readyOf(this.#agents[index])
  }

  #runAgent(name: string): StormProcess<object> {
    return this.#agent(name, { arm: null, folder: join(this.#folder, name) })
  }

  #agent(name: string, orders: AgentOrders & { readonly arm: Arm | null }): StormProcess<object> {
    return new StormProcess(`the agent ${name}`, new URL('agent.ts', import.meta.url), orders, this.#log)
  }

  #flags(folder: 'data' | 'far'): Record<string, string> {
    const isFar = folder === 'far'
    const known = isFar ? undefined : this.#addresses
    return {
      '--data': join(this.#folder, folder),
      '--http-address': known === undefined ? '127.0.0.1:0' : new URL(known.http).host,
      '--agent-address': known?.agents ?? '127.0.0.1:0',
      '--sftp-address': '127.0.0.1:0',
      '--builtin-agent': 'off',
      '--admin-token': this.#token,
      '--agent-heartbeat-ms': '1000',
      '--agent-silent-ms': '10000',
      '--agent-renew-before-ms': String(300 * DAY_MS),
      ...(isFar || this.#database === undefined ? {} : { '--database': this.#database }),
    }
  }

  #api(): Client {
    return createClient(this.#addresses!.http, this.#token)
  }
}

async function readyOf<Said>(process: StormProcess<Said>): Promise<Said> {
  const ready = await process.ready
  if (ready === undefined) throw new Error('a process of the storm was killed by somebody else')
  return ready
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
