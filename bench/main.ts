import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { measureAgent } from './agent.ts'
import { measureDeliveries } from './deliveries.ts'
import { type Dose, FULL_DOSE, QUICK_DOSE } from './dose.ts'
import { measureFanOut, measureOneHanging } from './fan-out.ts'
import { measureFleet } from './fleet.ts'
import { measureLatency } from './latency.ts'
import { measureLists } from './lists.ts'
import { measureReady } from './ready.ts'
import { describeMachine, type Row, toJson, toTable } from './report.ts'
import { measureTransfer } from './transfer.ts'

const USAGE = `npm run bench -- [--only a,b,c,d,e,f,g,i,j] [--quick] [--runs N] [--attempts N] [--json FILE]

  --only   these rows (c and d are measured together)
  --quick  a small dose of each: that it runs, not what it reaches
  --runs   runs of each way, in turn; figures are medians over them (default ${FULL_DOSE.runs})
  --attempts  measures row h alone: lists and statistics with so many attempts stored, such as 10000000
  --json   also writes the report to this file
`
const RUNS_MAX = 100
/** Fewer say nothing; more fill the disk. */
const ATTEMPTS_MIN = 10_000
const ATTEMPTS_MAX = 100_000_000

type Measure = (dose: Dose, progress: (text: string) => void) => Promise<Row | Row[]>
/** What measures the rows; one that measures two stands at the first of them. */
const MEASURES: readonly { rows: readonly string[]; measure: Measure }[] = [
  { rows: ['a'], measure: measureDeliveries },
  { rows: ['b'], measure: measureLatency },
  { rows: ['c', 'd'], measure: measureFleet },
  { rows: ['e'], measure: measureTransfer },
  { rows: ['f'], measure: measureFanOut },
  { rows: ['g'], measure: measureOneHanging },
  { rows: ['h'], measure: measureLists },
  { rows: ['i'], measure: measureReady },
  { rows: ['j'], measure: measureAgent },
]

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'a,b,c,d,e,f,g,i,j' },
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    attempts: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const attempts = values.attempts === undefined ? undefined : Number(values.attempts)
if (attempts !== undefined && !(Number.isInteger(attempts) && attempts >= ATTEMPTS_MIN && attempts <= ATTEMPTS_MAX))
  refuse(`--attempts is a whole number from ${ATTEMPTS_MIN} to ${ATTEMPTS_MAX}, not ${values.attempts}`)
const only = attempts === undefined ? values.only.split(',') : ['h']
const unknown = only.find((name) => !MEASURES.some(({ rows }) => rows.includes(name)))
if (unknown !== undefined) refuse(`--only names rows a to j, not ${JSON.stringify(unknown)}`)
const runs = Number(values.runs ?? (values.quick ? QUICK_DOSE : FULL_DOSE).runs)
if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX)
  refuse(`--runs is a whole number from 1 to ${RUNS_MAX}, not ${values.runs}`)

const quickOrFull = values.quick ? QUICK_DOSE : FULL_DOSE
const dose = { ...quickOrFull, runs, attempts: attempts ?? quickOrFull.attempts }
const startedAt = new Date()
const rows: Row[] = []
for (const { rows: names, measure } of MEASURES) {
  if (!names.some((name) => only.includes(name))) continue
  const measured = [await measure(dose, progress)].flat().filter(({ row }) => only.includes(row))
  process.stdout.write(`${toTable(measured)}\n`)
  rows.push(...measured)
}
const report = {
  startedAt: startedAt.toISOString(),
  seconds: (Date.now() - startedAt.getTime()) / 1000,
  quick: values.quick,
  machine: describeMachine(),
  rows,
}
if (values.json !== undefined) await writeFile(values.json, toJson(report))
// Whatever a row left open must not keep a finished benchmark alive.
process.exit(0)

/** On a terminal only: a kept log needs the table, not the way to it. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`)
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n\n${USAGE}`)
  process.exit(1)
}
