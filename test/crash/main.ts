// npm run crash: kills the server again and again while clients work, or server and agents while files are moved, and proves at the end
// that nothing acknowledged was lost and nothing is left undecided.
// The last line is the verdict; status 0 only if it is good.
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase } from '../postgres.ts'
import { type AgentsReport, agentsStorm } from './agents/storm.ts'
import { parseArguments, type StoreName, type What, type Wish } from './arguments.ts'
import { type Report, type StormOptions, storm } from './storm.ts'

/** Faults that are printed; the first ones tell, thousands hide them. */
const FAULTS_SHOWN_MAX = 20

/** What a storm found, and the rest of its verdict. */
interface Verdict {
  readonly faults: readonly string[]
  readonly told: string
}

const STORMS: Readonly<Record<What, (options: StormOptions) => Promise<Verdict>>> = {
  async files(options) {
    const report = await storm(options)
    return { faults: report.faults, told: filesTold(report) }
  },
  async agents(options) {
    const report = await agentsStorm(options)
    return { faults: report.faults, told: agentsTold(report) }
  },
}

try {
  process.exitCode = await main(parseArguments(process.argv.slice(2), randomInt(2 ** 32)))
} catch (error) {
  process.stderr.write(`crash: ${(error as Error).message}\n`)
  process.exitCode = 2
}

async function main(wish: Wish): Promise<number> {
  const verdicts: string[] = []
  let failed = false
  for (const store of wish.stores) {
    const folder = await mkdtemp(join(tmpdir(), 'landfall-crash-'))
    const { faults, told } = await stormOn(store, wish, folder).catch(brokenOff)
    verdicts.push(`${store}: ${faults.length === 0 ? '' : `${faults.length} faults, `}${told}`)
    if (faults.length === 0) {
      await rm(folder, { recursive: true, force: true })
      continue
    }
    failed = true
    for (const fault of faults.slice(0, FAULTS_SHOWN_MAX)) say(`- ${fault}`)
    if (faults.length > FAULTS_SHOWN_MAX) say(`- and ${faults.length - FAULTS_SHOWN_MAX} more`)
    say(`data and log of the servers: ${folder}`)
    say(`again: npm run crash -- --what ${wish.what} --rounds ${wish.rounds} --seed ${wish.seed} --store ${store}`)
  }
  say(`crash storm over ${wish.what}, seed ${wish.seed}: ${failed ? 'FAILED' : 'passed'}. ${verdicts.join('; ')}`)
  return failed ? 1 : 0
}

async function stormOn(store: StoreName, { what, rounds, seed }: Wish, folder: string): Promise<Verdict> {
  const onRound = (line: string) => {
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${store}: ${line}`)
  }
  const done = () => onRound('done\n')
  const options = { rounds, seed, folder, say: onRound }
  if (store === 'sqlite') return STORMS[what](options).finally(done)

  const database = await freshDatabase()
  try {
    return await STORMS[what]({ ...options, database: database.url })
  } finally {
    done()
    await database.drop()
  }
}

/** A storm that could not go on, because a process did not start or ended by itself, failed. */
function brokenOff(error: unknown): Verdict {
  return { faults: [`the storm broke off: ${(error as Error).message}`], told: 'not to its end' }
}

function filesTold({ kills, pointsHit, acknowledged, happenedUntold, resumed, delivered, posts }: Report): string {
  return `${kills} kills (${pointsHit.length} named points), ${acknowledged} changes acknowledged and ${happenedUntold} found done, ${resumed} uploads resumed, ${delivered} deliveries in ${posts} POSTs`
}

function agentsTold({ kills, pointsHit, completed, cancelled, runs, events }: AgentsReport): string {
  return `${kills} kills (${pointsHit.length} named points), ${completed} transfers completed and ${cancelled} cancelled, ${runs} runs, ${events} events`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
