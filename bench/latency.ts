import { join } from 'node:path'
import type { Dose } from './dose.ts'
import { Floor } from './floor.ts'
import { Receivers } from './receivers.ts'
import type { Figure, Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { Server } from './server.ts'
import { median, percentile } from './statistics.ts'
import { atRate, Uploader } from './uploads.ts'

/** (b) From the client's CLOSE to the arrival of its webhook, over real SFTP, beside the floor of this machine. */

const TITLE = 'close → arrival over SFTP'
const TARGET = 3
const FILE_BYTES = 4096
const WARM_UP_FILES = 200
const WARM_UP_RATE = 100
const ARRIVAL_MS = 30_000
const RATES = [10, 100] as const

type Way = 'floor' | 'landfall'
interface Times {
  readonly p50: number
  readonly p99: number
}

export async function measureLatency(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const receivers = await Receivers.start(1)
  try {
    return await withFolder('latency', async (folder) => {
      const url = receivers.urls()[0]!
      const server = await Server.start(join(folder, 'data'))
      const floor = await Floor.open(folder, url, FILE_BYTES)
      await server.createUser()
      await server.createWebhook(url)
      const uploader = await Uploader.connect(server.sftp, server.login, FILE_BYTES)
      try {
        return await measure(dose, progress, receivers, {
          floor: (number) => floor.one(number),
          landfall: (number) => uploader.upload(number),
        })
      } finally {
        uploader.end()
        await floor.close()
        await server.stop()
      }
    })
  } finally {
    await receivers.stop()
  }
}

type Ways = Record<Way, (number: number) => Promise<{ number: number; closedAt: number; acknowledgedAt?: number }>>

async function measure(dose: Dose, progress: (text: string) => void, receivers: Receivers, ways: Ways): Promise<Row> {
  let next = 0
  async function measureOne(way: Way, rate: number, files: number): Promise<Times & { acknowledged: number }> {
    await receivers.clear()
    const first = next
    next += files
    const sent = await atRate(rate, files, (index) => ways[way](first + index))
    await receivers.arrivals(files, ARRIVAL_MS)
    const [arrivedAt] = await receivers.collect()
    const waits = sent.map(({ number, closedAt }) => arrivedAt!.get(number)! - closedAt)
    const acknowledged = median(sent.map(({ acknowledgedAt, closedAt }) => (acknowledgedAt ?? closedAt) - closedAt))
    return { p50: percentile(waits, 50), p99: percentile(waits, 99), acknowledged }
  }

  for (const way of ['floor', 'landfall'] as const)
    await measureOne(way, WARM_UP_RATE, Math.min(WARM_UP_FILES, dose.filesAtRate[100]))
  const figures: Figure[] = []
  const targets: Target[] = []
  const notes = [
    `files of ${FILE_BYTES} bytes on one connection; ${RATES.map((rate) => `${dose.filesAtRate[rate]} at ${rate}/s`).join(', ')} a run`,
  ]
  for (const rate of RATES) {
    const runs: Record<Way, (Times & { acknowledged: number })[]> = { floor: [], landfall: [] }
    for (let run = 1; run <= dose.runs; run++) {
      for (const way of ['floor', 'landfall'] as const) {
        const times = await measureOne(way, rate, dose.filesAtRate[rate])
        runs[way].push(times)
        progress(
          `(b) run ${run} of ${dose.runs}: ${way} at ${rate}/s: p50 ${times.p50.toFixed(2)} ms, p99 ${times.p99.toFixed(2)} ms`,
        )
      }
    }
    figures.push(...figuresOf(`floor at ${rate}/s`, runs.floor), ...figuresOf(`Landfall at ${rate}/s`, runs.landfall))
    const ratios = runs.landfall.map(({ p99 }, run) => p99 / runs.floor[run]!.p99)
    targets.push({
      name: `p99 ÷ p99 of the floor at ${rate}/s`,
      value: median(ratios),
      unit: 'ratio',
      atMost: TARGET,
      runs: ratios,
    })
    const acknowledged = median(runs.landfall.map((run) => run.acknowledged)).toFixed(2)
    notes.push(`at ${rate}/s the client's CLOSE was acknowledged after ${acknowledged} ms (median)`)
  }
  return { row: 'b', title: TITLE, figures, targets, notes }
}

function figuresOf(name: string, runs: readonly Times[]): Figure[] {
  return (['p50', 'p99'] as const).map((which) => {
    const values = runs.map((run) => run[which])
    return { name: `${name}, ${which}`, unit: 'ms', value: median(values), runs: values }
  })
}
