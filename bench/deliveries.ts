import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { startPostgres, type TestPostgres } from '../test/postgres.ts'
import type { Done, Task } from './deliver.ts'
import type { Dose } from './dose.ts'
import { Receivers } from './receivers.ts'
import type { Figure, Row, Target } from './report.ts'
import { endsWithUs, withFolder } from './scratch.ts'
import { median } from './statistics.ts'

/** (a) Durable deliveries per second to one healthy receiver, beside a bare loop that posts the same signed bytes. */

const TITLE = 'durable deliveries per second, full attempt log, one healthy receiver'
const TARGETS = { sqlite: 0.5, postgres: 0.3 } as const
const DEADLINE_MS = 5 * 60_000

export type StoreName = keyof typeof TARGETS
type Way = 'bare' | StoreName
const WAY_NAMES: Record<Way, string> = { bare: 'bare loop', sqlite: 'durable, SQLite', postgres: 'durable, PostgreSQL' }

interface Delivered extends Done {
  readonly perSecond: number
  readonly receiverCpuMicroseconds: number
}

export async function measureDeliveries(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const postgres = await startPostgres({ durable: true }).catch((error: Error) => error)
  const receivers = await Receivers.start(1)
  try {
    return await measure(dose, progress, receivers, postgres)
  } finally {
    await receivers.stop()
    if (!(postgres instanceof Error)) await postgres.stop()
  }
}

async function measure(
  dose: Dose,
  progress: (text: string) => void,
  receivers: Receivers,
  postgres: TestPostgres | Error,
): Promise<Row> {
  const ways: Way[] = postgres instanceof Error ? ['bare', 'sqlite'] : ['bare', 'sqlite', 'postgres']
  const runs: Record<Way, Delivered[]> = { bare: [], sqlite: [], postgres: [] }
  const [url] = receivers.urls() as [string]
  for (let run = 1; run <= dose.runs; run++) {
    for (const way of ways) {
      const task = (database?: string) => deliver(receivers, dose.deliveries, taskOf(url, dose.deliveries, database))
      const delivered = way === 'bare' ? await task() : await withDatabase(way, postgres, run, task)
      runs[way].push(delivered)
      progress(`(a) run ${run} of ${dose.runs}: ${WAY_NAMES[way]}: ${Math.round(delivered.perSecond)} per second`)
    }
  }
  const targets = ways.flatMap((way) => (way === 'bare' ? [] : [targetOf(way, runs[way], runs.bare)]))
  return {
    row: 'a',
    title: TITLE,
    figures: ways.map((way) => figureOf(way, runs[way])),
    targets,
    notes: [
      `${dose.deliveries} deliveries a run, 16 posts at a time, each way in a fresh process with a fresh database`,
      ...ways.map((way) => whereTimeGoes(way, runs[way], dose.deliveries)),
    ],
    ...(postgres instanceof Error ? { skipped: `PostgreSQL did not start (${postgres.message})` } : {}),
  }
}

function figureOf(way: Way, runs: readonly Delivered[]): Figure {
  const rates = runs.map(({ perSecond }) => perSecond)
  return { name: WAY_NAMES[way], unit: 'per_second', value: median(rates), runs: rates }
}

/** Each run against the bare loop just before it, so that a machine that slows down slows both. */
function targetOf(way: StoreName, runs: readonly Delivered[], bare: readonly Delivered[]): Target {
  const ratios = runs.map(({ perSecond }, run) => perSecond / bare[run]!.perSecond)
  return { name: `${WAY_NAMES[way]} ÷ bare loop`, value: median(ratios), unit: 'ratio', atLeast: TARGETS[way], runs: ratios }
}

function whereTimeGoes(way: Way, runs: readonly Delivered[], deliveries: number): string {
  const of = (pick: (run: Delivered) => number) => (median(runs.map(pick)) / deliveries).toFixed(0)
  const main = of((run) => run.mainCpuMicroseconds)
  const other = of((run) => run.otherCpuMicroseconds)
  const receiver = of((run) => run.receiverCpuMicroseconds)
  const others = way === 'sqlite' ? 'store threads and runtime' : 'runtime'
  const outside = way === 'postgres' ? '; PostgreSQL itself not counted' : ''
  return `CPU a delivery, ${WAY_NAMES[way]}: ${main} µs posting thread, ${other} µs ${others}, ${receiver} µs receiver${outside}`
}

/** A fresh database for one run. */
export async function withDatabase<T>(
  store: StoreName,
  postgres: TestPostgres | Error,
  run: number,
  use: (database: string) => Promise<T>,
): Promise<T> {
  if (store === 'sqlite') return withFolder('deliveries', (folder) => use(join(folder, 'landfall.sqlite')))
  if (postgres instanceof Error) throw postgres
  const name = `bench_${run}`
  const url = new URL(postgres.url)
  url.pathname = `/${name}`
  await administer(postgres.url, `create database ${name}`)
  try {
    return await use(url.href)
  } finally {
    await administer(postgres.url, `drop database ${name} with (force)`)
  }
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}

function taskOf(url: string, deliveries: number, database: string | undefined): Task {
  return database === undefined
    ? { kind: 'bare', url, deliveries }
    : { kind: 'durable', urls: [url], events: deliveries, database }
}

/** Runs the task, which makes so many deliveries, and waits for all of them. */
export async function deliver(receivers: Receivers, deliveries: number, task: Task): Promise<Delivered> {
  await receivers.clear()
  const before = await receivers.arrivals(0, DEADLINE_MS)
  const done = await inOwnProcess(task)
  const after = await receivers.arrivals(deliveries, DEADLINE_MS)
  const perSecond = deliveries / done.seconds
  return { ...done, perSecond, receiverCpuMicroseconds: after.cpuMicroseconds - before.cpuMicroseconds }
}

/** A fresh process for each run, so that none inherits warm code or memory. */
function inOwnProcess(task: Task): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('deliver.ts', import.meta.url)))
    const forget = endsWithUs(() => child.kill('SIGKILL'))
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
    child.once('message', (done: Done) => resolve(done))
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      forget()
      reject(new Error(`the delivering process ended by ${signal ?? `status ${code}`}`))
    })
    child.send(task)
  })
}
