import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Clock } from '../src/base/clock.ts'
import { AppError } from '../src/base/error.ts'
import type { Log } from '../src/base/log.ts'
import { HOUR_MS, SECOND_MS } from '../src/base/units.ts'
import { AgentPort } from './agent-port.ts'
import { CertificateKeeper } from './certificate.ts'
import { idleConnections } from './clients/idle.ts'
import { openClient } from './clients/open.ts'
import { type AgentFolder, type Enrolment, lockAgentFolder, openAgentFolder } from './folder.ts'
import { Link, type LinkEnd } from './link.ts'
import { agentOs } from './machine.ts'
import type { Tell } from './news.ts'
import type { WorkContext } from './work/context.ts'
import { discardLeftover } from './work/discard.ts'
import { listFiles } from './work/list.ts'
import { moveFile } from './work/move.ts'
import { sweepWork } from './work/sweep.ts'
import { Works } from './works.ts'

/** Work that is stopped gets this long to suspend what it has under way, ms. */
const STOP_MS = 5 * SECOND_MS

export interface AgentOptions {
  readonly folder: string
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  /** What happens, for whoever runs it. */
  readonly tell: Tell
  /** Ends it: work is suspended, and its server hands it out again. */
  readonly signal: AbortSignal
  readonly random?: () => number
  /** What does the work, in tests. */
  readonly work?: AgentWork
}

export interface AgentWork {
  readonly moveFile: typeof moveFile
  readonly listFiles: typeof listFiles
  /** Absent: the real one. */
  readonly discardLeftover?: typeof discardLeftover
}

/** Why an agent does not run any more. The last two are for people to mend: it does not come back by itself. */
export type AgentEnd = LinkEnd | { readonly kind: 'expired'; readonly message: string }

/**
 * Runs the agent of a folder until the signal, or until it may not work any more.
 * @throws AppError where the folder is not enrolled, damaged, or another process runs it.
 */
export async function runAgent(options: AgentOptions): Promise<AgentEnd> {
  const folder = openAgentFolder(resolve(options.folder))
  // Before anything is put into a folder that is not an agent's.
  await enrolmentIn(folder)
  const lock = lockAgentFolder(folder.path)
  try {
    const enrolment = await enrolmentIn(folder)
    await sweepWork({ folder: folder.path, roots: enrolment.roots, clock: options.clock, log: options.log })
    return await new RunningAgent(folder, enrolment, options).run()
  } finally {
    await lock.stop()
  }
}

async function enrolmentIn(folder: AgentFolder): Promise<Enrolment> {
  const enrolment = await folder.read()
  if (enrolment !== undefined) return enrolment
  throw new AppError('not_found', `${folder.path} is not enrolled: run \`landfall agent enroll --server URL --token T\` first`)
}

/** The parts of an agent, put together: port, link, works and the keeper of its certificate. */
class RunningAgent {
  readonly #options: AgentOptions
  readonly #port: AgentPort
  readonly #link: Link
  readonly #works: Works
  readonly #keeper: CertificateKeeper
  readonly #over = new AbortController()
  #expired: AgentEnd | undefined

  constructor(folder: AgentFolder, enrolment: Enrolment, options: AgentOptions) {
    const { clock, tell, version } = options
    const { agents, roots } = enrolment
    this.#options = options
    this.#port = new AgentPort({ ...enrolment, address: agents, clock })
    const work = { moveFile, listFiles, discardLeftover, ...options.work }
    this.#works = new Works({
      clock,
      tell,
      send: (lease, report) => this.#link.send(lease, report),
      doWork: (one, { signal, report }) => {
        const context = contextOf(one.lease, { signal, report, roots, folder: folder.path, server: this.#port.access, options })
        if (one.kind === 'list') return work.listFiles(one, context)
        return one.kind === 'discard' ? work.discardLeftover(one, context) : work.moveFile(one, context)
      },
    })
    this.#link = new Link({
      port: this.#port,
      works: this.#works,
      self: { instance: randomUUID(), version, hostname: hostname(), os: agentOs() },
      server: agents,
      clock,
      tell,
      random: options.random ?? Math.random,
      onOrders: ({ renewBeforeMs }) => void this.#keeper.renewBefore(renewBeforeMs),
    })
    this.#keeper = new CertificateKeeper({
      enrolment,
      folder,
      clock,
      tell,
      ask: async (csr) => (await this.#link.call<{ certificate: string }>('/agent/v1/certificate', { csr })).certificate,
      renewed: (certificate) => {
        this.#port.use(certificate)
        this.#link.redial('the certificate was renewed')
      },
      expired: (endsAt) => {
        const message = `the certificate of this agent ended at ${new Date(endsAt).toISOString()}: enrol it again`
        this.#expired = { kind: 'expired', message }
        this.#over.abort()
      },
    })
  }

  async run(): Promise<AgentEnd> {
    const { signal, clock } = this.#options
    // Nothing else keeps the process while the link waits for its next try.
    const awake = setInterval(() => {}, HOUR_MS)
    await this.#keeper.look()
    const ending = AbortSignal.any([signal, this.#over.signal])
    ending.addEventListener('abort', () => this.#works.dropAll('stopping'), { once: true })
    try {
      const end: AgentEnd = this.#expired ?? (await this.#link.run(ending))
      return this.#expired ?? end
    } finally {
      clearInterval(awake)
      this.#keeper.stop()
      this.#works.dropAll('stopping')
      await Promise.race([this.#works.stopped(), new Promise<void>((done) => clock.after(STOP_MS, done))])
      idleConnections.closeAll()
      await this.#port.close()
    }
  }
}

interface Surroundings {
  readonly signal: AbortSignal
  readonly report: WorkContext['report']
  readonly roots: readonly string[]
  readonly folder: string
  readonly server: AgentPort['access']
  readonly options: AgentOptions
}

/** What one piece of work is given: its reports, its end, and the clients of both of its sides. */
function contextOf(lease: string, { signal, report, roots, folder, server, options }: Surroundings): WorkContext {
  const { clock, log } = options
  return {
    signal,
    report,
    folder,
    clock,
    log,
    open: (endpoint, ending) => openClient(endpoint, { clock, log, signal: ending, roots, server, lease }),
  }
}
