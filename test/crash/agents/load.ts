import { type Client, createClient, ServerRefused } from '../../../cli/client.ts'
import { KIB, MIB } from '../../../src/base/units.ts'
import type { Random } from '../../random.ts'
import { FAR, type Field } from './field.ts'

/** Of each agent of the storm. */
export interface AgentPlace {
  readonly id: string
  /** The folder that it may read and write. */
  readonly root: string
}

/** Files that are placed for each job in a round. */
const FILES_OF_JOB = 5
/** As slow as takes a transfer a moment, bytes per second, so that it can be cancelled or killed in the middle. */
const SLOW_BYTES_PER_SECOND = 768 * KIB
const SLOW_BYTES = { least: MIB / 2, most: 2 * MIB } as const
/** Somebody changes their mind within this time, ms. */
const CANCEL_MS_MAX = 1_200
/** More retries than a storm needs, each at once. */
const RETRY_DELAYS_SECONDS = Array.from({ length: 10 }, () => 1)

interface StormJob {
  readonly id: string
  readonly folder: string
  readonly post: 'keep' | 'delete' | 'move'
}

/** What people do in the storm: jobs that run, transfers that are asked for, some of both cancelled. The server may be killed at any of it. */
export class Load {
  /** What no living server may answer. */
  readonly faults: string[] = []
  readonly #field: Field
  readonly #random: Random
  readonly #token: string
  #http = ''
  #remoteId = ''
  #agents: readonly AgentPlace[] = []
  #jobs: readonly StormJob[] = []

  constructor(field: Field, token: string, random: Random) {
    this.#field = field
    this.#token = token
    this.#random = random
  }

  /** Makes the jobs: one pushes and deletes, one pulls and moves, one pulls what it has not pulled before. */
  async open(http: string, remoteId: string, agents: readonly AgentPlace[]): Promise<void> {
    this.#http = http
    this.#remoteId = remoteId
    this.#agents = agents
    const [first, second] = agents.map(({ root }) => root) as [string, string]
    for (const folder of [`${first}/outbox`, `${FAR}/out`, `${FAR}/kept`]) await this.#field.makeFolder(folder)
    this.#jobs = [
      await this.#makeJob('push and delete', 0, `${first}/outbox`, '/in/outbox/', 'delete'),
      await this.#makeJob('pull and move', 1, `${FAR}/out`, `${second}/inbox/`, 'move'),
      await this.#makeJob('mirror', 0, `${FAR}/kept`, `${first}/mirror/`, 'keep'),
    ]
  }

  /** One round; never rejects. Ends early where the server is killed. */
  async round(): Promise<void> {
    for (const { folder, post } of this.#jobs) {
      for (let file = 0; file < FILES_OF_JOB; file++) await this.#field.place(folder, post)
    }
    const asking = [
      ...this.#jobs.map((job) => this.#runAndCancel(job)),
      ...this.#agents.flatMap((agent) => [this.#pull(agent), this.#push(agent)]),
    ]
    await Promise.all(asking.map((asked) => asked.catch((error) => this.#note(error))))
  }

  /** Runs each job once more, and answers when the server has taken them all. */
  async runAll(): Promise<void> {
    for (const { id } of this.#jobs) await this.#api().call('POST', `/api/jobs/${id}/runs`, {})
  }

  /** Transfers and runs that have not ended. */
  async countOpen(): Promise<number> {
    let open = 0
    for (const status of ['queued', 'running']) {
      const path = `/api/transfers?status=${status}&limit=1`
      open += (await this.#api().call<{ pagination: { total: number } }>('GET', path)).pagination.total
    }
    for (const { id } of this.#jobs) {
      const { runs } = await this.#api().call<{ runs: { status: string }[] }>('GET', `/api/jobs/${id}/runs`)
      open += runs.filter(({ status }) => status === 'running').length
    }
    return open
  }

  async #makeJob(
    name: string,
    agent: number,
    folder: string,
    destinationPath: string,
    post: StormJob['post'],
  ): Promise<StormJob> {
    const isPull = folder.startsWith(FAR)
    const { job } = await this.#api().call<{ job: { id: string } }>('POST', '/api/jobs', {
      ...{ name, agentId: this.#agents[agent]!.id, remoteId: this.#remoteId, destinationPath },
      ...{ direction: isPull ? 'pull' : 'push', sourcePath: `${isPull ? folder.slice(FAR.length) : folder}/*` },
      // Its runs begin when they are asked for.
      schedule: '0 0 29 2 *',
      ...(post === 'keep' ? { skipMoved: 'time' } : { postAction: { kind: post, ...(post === 'move' && { to: '/done/' }) } }),
      retryDelaysSeconds: RETRY_DELAYS_SECONDS,
    })
    return { id: job.id, folder, post }
  }

  async #runAndCancel({ id }: StormJob): Promise<void> {
    const isCancelled = this.#random.chance(0.15)
    const afterMs = this.#random.between(0, CANCEL_MS_MAX)
    const { run } = await this.#api().call<{ run: { id: string } }>('POST', `/api/jobs/${id}/runs`, {})
    if (!isCancelled) return
    await wait(afterMs)
    await this.#api().call('PATCH', `/api/jobs/${id}/runs/${run.id}`, { status: 'cancelled' })
  }

  async #pull({ id, root }: AgentPlace): Promise<void> {
    const sourceUrl = (await this.#field.place(`${FAR}/asked`, 'delete', this.#slowBytes())).slice(FAR.length)
    await this.#transfer({ agentId: id, direction: 'pull', sourceUrl, destinationPath: `${root}/fetched/` })
  }

  async #push({ id, root }: AgentPlace): Promise<void> {
    const sourceUrl = await this.#field.place(`${root}/asked`, 'delete', this.#slowBytes())
    await this.#transfer({ agentId: id, direction: 'push', sourceUrl, destinationPath: '/in/asked/' })
  }

  async #transfer(route: object): Promise<void> {
    const isCancelled = this.#random.chance(0.5)
    const afterMs = this.#random.between(0, CANCEL_MS_MAX)
    const { transfer } = await this.#api().call<{ transfer: { id: string } }>('POST', '/api/transfers', {
      ...{ ...route, remoteId: this.#remoteId, postAction: { kind: 'delete' } },
      ...{ bytesPerSecond: SLOW_BYTES_PER_SECOND, retryDelaysSeconds: RETRY_DELAYS_SECONDS },
    })
    if (!isCancelled) return
    await wait(afterMs)
    await this.#api().call('POST', `/api/transfers/${transfer.id}/cancel`)
  }

  /** A server that was killed answers nothing, and what has ended or is under way cannot be cancelled or begun: both are as it should be. */
  #note(error: unknown): void {
    if (error instanceof ServerRefused && error.status !== 409) this.faults.push(`${error.status}: ${error.message}`)
  }

  #slowBytes(): number {
    return this.#random.between(SLOW_BYTES.least, SLOW_BYTES.most)
  }

  #api(): Client {
    return createClient(this.#http, this.#token)
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
