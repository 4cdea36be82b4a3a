import { join } from 'node:path'
import { fillBacklog } from './backlog.ts'
import type { Dose } from './dose.ts'
import { residentMb, watchResident } from './processes.ts'
import { Receivers } from './receivers.ts'
import type { Figure, Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { Server } from './server.ts'
import { median, percentile } from './statistics.ts'
import { atRate, type Upload, Uploader } from './uploads.ts'

/**
 * (c) Many receivers: three servers side by side with the same receivers, one without backlog, one with a million rows
 * that wait, one with these and some receivers that hang. Each upload is an event for every receiver.
 * (d) The memory of these servers, idle and meanwhile.
 */

const TITLE = 'many receivers: rates, and close → arrival at those that are healthy'
const RATE_TARGET = 0.9
const P99_TARGET = 1.5
const IDLE_MB_MAX = 150
const LOAD_MB_MAX = 300

const UPLOADERS = 4
const FILE_BYTES = 1024
/** Uploads a second of the paced part; times the receivers, that many deliveries. */
const PACED_RATE = 10
const QUIET_MS = 5_000
const ARRIVAL_MS = 120_000

const WAYS = ['clear', 'backlog', 'hanging'] as const
type Way = (typeof WAYS)[number]
const WAY_NAMES: Record<Way, string> = {
  clear: 'without backlog',
  backlog: 'with backlog',
  hanging: 'with backlog and hanging receivers',
}

interface Side {
  readonly server: Server
  readonly uploaders: readonly Uploader[]
}

export async function measureFleet(dose: Dose, progress: (text: string) => void): Promise<Row[]> {
  // The last ones hang for ever; only the third server knows them, in place of as many healthy ones.
  const receivers = await Receivers.start(dose.receivers + dose.hanging)
  await receivers.hang(Array.from({ length: dose.hanging }, (_, index) => dose.receivers + index))
  try {
    return await withFolder('fleet', async (folder) => {
      const sides = new Map<Way, Side>()
      try {
        const idle = await Promise.all(WAYS.map((way) => prepare(way, join(folder, way), receivers, dose)))
        progress('(c) databases prepared')
        for (const way of WAYS) {
          const server = await Server.start(join(folder, way))
          const uploaders: Uploader[] = []
          sides.set(way, { server, uploaders })
          for (let n = 0; n < UPLOADERS; n++) uploaders.push(await Uploader.connect(server.sftp, server.login, FILE_BYTES))
        }
        return await measure(dose, progress, receivers, sides, median(idle))
      } finally {
        const stopping = [...sides.values()].map(({ server, uploaders }) => {
          for (const uploader of uploaders) uploader.end()
          return server.stop()
        })
        await Promise.all(stopping)
      }
    })
  } finally {
    await receivers.stop()
  }
}

/** A first life of the server: users, webhooks, its memory while nothing happens; then the backlog, while it is down. */
async function prepare(way: Way, data: string, receivers: Receivers, dose: Dose): Promise<number> {
  const server = await Server.start(data)
  await new Promise((resolve) => setTimeout(resolve, dose.runs > 1 ? QUIET_MS : QUIET_MS / 10))
  const idleMb = residentMb(server.pid)
  await server.createUser()
  for (const index of healthy(way, dose)) await server.createWebhook(receivers.urls()[index]!)
  if (way === 'hanging') for (let n = 0; n < dose.hanging; n++) await server.createWebhook(receivers.urls()[dose.receivers + n]!)
  await server.stop()
  if (way !== 'clear') fillBacklog(join(data, 'landfall.sqlite'), dose.waitingRows, Date.now())
  return idleMb
}

function healthy(way: Way, dose: Dose): number[] {
  return Array.from({ length: dose.receivers - (way === 'hanging' ? dose.hanging : 0) }, (_, index) => index)
}

interface Measured {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly mostMb: number
}

async function measure(
  dose: Dose,
  progress: (text: string) => void,
  receivers: Receivers,
  sides: ReadonlyMap<Way, Side>,
  idleMb: number,
): Promise<Row[]> {
  let next = 0
  /** The same receivers are compared everywhere: those that are healthy in all three. */
  const compared = healthy('hanging', dose)

  async function measureOne(way: Way, { server, uploaders }: Side): Promise<Measured> {
    const memory = watchResident(server.pid)
    const burst = await arrivalsOf(way, (first) => inBursts(uploaders, first, dose.burstUploads), dose.burstUploads)
    const paced = await arrivalsOf(
      way,
      (first) => atRate(PACED_RATE, dose.pacedUploads, (index) => uploaders[index % UPLOADERS]!.upload(first + index)),
      dose.pacedUploads,
    )
    const waits = compared.flatMap((listener) =>
      paced.uploads.map(({ number, closedAt }) => paced.arrivedAt[listener]!.get(number)! - closedAt),
    )
    const begun = Math.min(...burst.uploads.map(({ closedAt }) => closedAt))
    const ended = burst.lastAt
    return {
      perSecond: ((dose.burstUploads * healthy(way, dose).length) / (ended - begun)) * 1000,
      p50: percentile(waits, 50),
      p99: percentile(waits, 99),
      mostMb: memory.stop(),
    }
  }

  async function arrivalsOf(way: Way, send: (first: number) => Promise<Upload[]>, count: number) {
    await receivers.clear()
    const first = next
    next += count
    const uploads = await send(first)
    const { lastAt } = await receivers.arrivals(count * healthy(way, dose).length, ARRIVAL_MS)
    return { uploads, lastAt, arrivedAt: await receivers.collect() }
  }

  const runs: Record<Way, Measured[]> = { clear: [], backlog: [], hanging: [] }
  for (const [way, side] of sides) await warmUp(way, side)
  for (let run = 1; run <= dose.runs; run++) {
    for (const [way, side] of sides) {
      const measured = await measureOne(way, side)
      runs[way].push(measured)
      const { perSecond, p99, mostMb } = measured
      progress(
        `(c) run ${run} of ${dose.runs}: ${WAY_NAMES[way]}: ${perSecond.toFixed(0)} per second, p99 ${p99.toFixed(1)} ms, ${mostMb.toFixed(0)} MB`,
      )
    }
  }
  return [fleetRow(dose, runs), memoryRow(runs, idleMb)]

  async function warmUp(way: Way, { uploaders }: Side): Promise<void> {
    const count = Math.ceil(dose.burstUploads / 3)
    await arrivalsOf(way, (first) => inBursts(uploaders, first, count), count)
  }
}

/** As fast as a few clients can, each one file after the other. */
async function inBursts(uploaders: readonly Uploader[], first: number, count: number): Promise<Upload[]> {
  const uploads: Upload[] = []
  let next = first
  await Promise.all(
    uploaders.map(async (uploader) => {
      while (next < first + count) uploads.push(await uploader.upload(next++))
    }),
  )
  return uploads
}

function fleetRow(dose: Dose, runs: Readonly<Record<Way, readonly Measured[]>>): Row {
  const figures = WAYS.flatMap((way): Figure[] => {
    const of = (which: 'perSecond' | 'p50' | 'p99') => runs[way].map((run) => run[which])
    const name = WAY_NAMES[way]
    return [
      { name: `deliveries, ${name}`, unit: 'per_second', value: median(of('perSecond')), runs: of('perSecond') },
      { name: `p50, ${name}`, unit: 'ms', value: median(of('p50')), runs: of('p50') },
      { name: `p99, ${name}`, unit: 'ms', value: median(of('p99')), runs: of('p99') },
    ]
  })
  const ratio = (way: Way, to: Way, which: 'perSecond' | 'p99') =>
    runs[way].map((run, index) => run[which] / runs[to][index]![which])
  const rates = ratio('backlog', 'clear', 'perSecond')
  const waits = ratio('hanging', 'backlog', 'p99')
  const targets: Target[] = [
    { name: 'rate with backlog ÷ without', value: median(rates), unit: 'ratio', atLeast: RATE_TARGET, runs: rates },
    {
      name: 'p99 of healthy receivers, others hanging ÷ none',
      value: median(waits),
      unit: 'ratio',
      atMost: P99_TARGET,
      runs: waits,
    },
  ]
  const notes = [
    `${dose.receivers} receivers; ${dose.hanging} of them hang where some do; an upload is an event for each of them`,
    `backlog: ${dose.waitingRows} rows, half of them retries of these webhooks due in 1 to 3 hours, half past due of 50 webhooks switched off`,
    `rates: ${dose.burstUploads} uploads by ${UPLOADERS} clients as fast as they can, SQLite; times: ${dose.pacedUploads} uploads at ${PACED_RATE}/s`,
  ]
  return { row: 'c', title: TITLE, figures, targets, notes }
}

function memoryRow(runs: Readonly<Record<Way, readonly Measured[]>>, idleMb: number): Row {
  const most = WAYS.map((way) => ({ way, mb: Math.max(...runs[way].map((run) => run.mostMb)) }))
  const figures: Figure[] = [
    { name: 'a fresh server, ready and quiet', unit: 'mb', value: idleMb },
    ...most.map(({ way, mb }): Figure => ({ name: `most during (c), ${WAY_NAMES[way]}`, unit: 'mb', value: mb })),
  ]
  const targets: Target[] = [
    { name: 'idle', value: idleMb, unit: 'mb', atMost: IDLE_MB_MAX },
    { name: 'under load', value: Math.max(...most.map(({ mb }) => mb)), unit: 'mb', atMost: LOAD_MB_MAX },
  ]
  return {
    row: 'd',
    title: 'resident memory of the server process',
    figures,
    targets,
    notes: ['MB of 10^6 bytes; under load the most seen, looked at ten times a second'],
  }
}
