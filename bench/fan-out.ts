import { join } from 'node:path'
import { startPostgres } from '../test/postgres.ts'
import { deliver, type StoreName, withDatabase } from './deliveries.ts'
import type { Dose } from './dose.ts'
import { Receivers } from './receivers.ts'
import type { Figure, Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { median, percentile } from './statistics.ts'

/**
 * (f) One event for many receivers: requests per second, beside as many deliveries to a single one.
 * (g) One of many receivers hangs: how long an event takes to the others, beside the same without it.
 */

const FAN_OUT_TARGET = 1
const STORE_NAMES: Record<StoreName, string> = { sqlite: 'SQLite', postgres: 'PostgreSQL' }
const HANGING_TARGET = 1.1
/** Events a second of (g); times the receivers, that many deliveries. */
const PACED_RATE = 10

type Progress = (text: string) => void

export async function measureFanOut(dose: Dose, progress: Progress): Promise<Row> {
  const postgres = await startPostgres({ durable: true }).catch((error: Error) => error)
  const receivers = await Receivers.start(dose.receivers)
  const urls = receivers.urls()
  const ways = { 'one to one': urls.slice(0, 1), [`1 to ${dose.receivers}`]: urls }
  const stores: StoreName[] = postgres instanceof Error ? ['sqlite'] : ['sqlite', 'postgres']
  const runs = new Map(stores.map((store) => [store, new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]))]))
  try {
    for (let run = 1; run <= dose.runs; run++) {
      for (const store of stores) {
        for (const [way, urls] of Object.entries(ways)) {
          const events = Math.ceil(dose.deliveries / urls.length)
          const { perSecond } = await withDatabase(store, postgres, run, (database) =>
            deliver(receivers, events * urls.length, { kind: 'durable', urls, events, database }),
          )
          runs.get(store)!.get(way)!.push(perSecond)
          progress(`(f) run ${run} of ${dose.runs}: ${STORE_NAMES[store]}, ${way}: ${Math.round(perSecond)} per second`)
        }
      }
    }
  } finally {
    await receivers.stop()
    if (!(postgres instanceof Error)) await postgres.stop()
  }
  return {
    row: 'f',
    title: `fan-out: requests per second when each event goes to ${dose.receivers} receivers`,
    figures: stores.flatMap((store) =>
      Array.from(runs.get(store)!, ([way, rates]): Figure => {
        return { name: `${STORE_NAMES[store]}, ${way}`, unit: 'per_second', value: median(rates), runs: rates }
      }),
    ),
    targets: stores.map((store): Target => {
      const [one, many] = [...runs.get(store)!.values()] as [number[], number[]]
      const ratios = many.map((perSecond, run) => perSecond / one[run]!)
      const name = `${STORE_NAMES[store]}, fan-out ÷ one to one`
      return { name, value: median(ratios), unit: 'ratio', atLeast: FAN_OUT_TARGET, runs: ratios }
    }),
    notes: [`${dose.deliveries} deliveries a run, each way in a fresh process with a fresh database`],
    ...(postgres instanceof Error ? { skipped: `PostgreSQL did not start (${postgres.message})` } : {}),
  }
}

interface Times {
  readonly p50: number
  readonly p99: number
}

export async function measureOneHanging(dose: Dose, progress: Progress): Promise<Row> {
  // The last one hangs for ever; it stands in for the one before it.
  const receivers = await Receivers.start(dose.receivers + 1)
  await receivers.hang([dose.receivers])
  const urls = receivers.urls()
  const compared = dose.receivers - 1
  const ways = { 'none hangs': urls.slice(0, -1), 'one hangs': urls.toSpliced(compared, 1) }
  const runs: Record<keyof typeof ways, Times[]> = { 'none hangs': [], 'one hangs': [] }

  async function measureOne(way: keyof typeof ways): Promise<Times> {
    const hanging = way === 'one hangs' ? 1 : 0
    const { recordedAt } = await withFolder('one-hanging', (folder) =>
      deliver(receivers, dose.pacedEvents * (dose.receivers - hanging), {
        ...{ kind: 'paced', urls: ways[way], events: dose.pacedEvents, perSecond: PACED_RATE, hanging },
        database: join(folder, 'landfall.sqlite'),
      }),
    )
    const arrivedAt = (await receivers.collect()).slice(0, compared)
    const waits = arrivedAt.flatMap((times) => recordedAt!.map((at, number) => times.get(number)! - at))
    return { p50: percentile(waits, 50), p99: percentile(waits, 99) }
  }

  try {
    for (let run = 1; run <= dose.runs; run++) {
      for (const way of Object.keys(ways) as (keyof typeof ways)[]) {
        const times = await measureOne(way)
        runs[way].push(times)
        progress(`(g) run ${run} of ${dose.runs}: ${way}: p50 ${times.p50.toFixed(1)} ms, p99 ${times.p99.toFixed(1)} ms`)
      }
    }
  } finally {
    await receivers.stop()
  }
  const ratios = runs['one hangs'].map(({ p99 }, run) => p99 / runs['none hangs'][run]!.p99)
  return {
    row: 'g',
    title: `one of ${dose.receivers} receivers hangs: event → arrival at the ${compared} others`,
    figures: (Object.keys(ways) as (keyof typeof ways)[]).flatMap((way) =>
      (['p50', 'p99'] as const).map((which): Figure => {
        const values = runs[way].map((times) => times[which])
        return { name: `${which}, ${way}`, unit: 'ms', value: median(values), runs: values }
      }),
    ),
    targets: [
      {
        name: 'p99 of the others, one hanging ÷ none',
        value: median(ratios),
        unit: 'ratio',
        atMost: HANGING_TARGET,
        runs: ratios,
      },
    ],
    notes: [`${dose.pacedEvents} events at ${PACED_RATE}/s, each for all receivers, SQLite, each way in a fresh process`],
  }
}
