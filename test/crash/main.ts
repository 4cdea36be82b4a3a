// npm run crash: kills the server again and again while clients work, and proves at the end that nothing acknowledged was lost.
// The last line is the verdict; status 0 only if it is good.
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase } from '../postgres.ts'
import { parseArguments, type StoreName, type Wish } from './arguments.ts'
import { type Report, storm } from './storm.ts'

/** Faults that are printed; the first ones tell, thousands hide them. */
const FAULTS_SHOWN_MAX = 20

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
    const report = await stormOn(store, wish, folder).catch(brokenOff)
    verdicts.push(`${store}: ${summary(report)}`)
    if (report.faults.length === 0) {
      await rm(folder, { recursive: true, force: true })
      continue
    }
    failed = true
    for (const fault of report.faults.slice(0, FAULTS_SHOWN_MAX)) say(`- ${fault}`)
    if (report.faults.length > FAULTS_SHOWN_MAX) say(`- and ${report.faults.length - FAULTS_SHOWN_MAX} more`)
    say(`data and log of the servers: ${folder}`)
    say(`again: npm run crash -- --rounds ${wish.rounds} --seed ${wish.seed} --store ${store}`)
  }
  say(`crash storm, seed ${wish.seed}: ${failed ? 'FAILED' : 'passed'}. ${verdicts.join('; ')}`)
  return failed ? 1 : 0
}

async function stormOn(store: StoreName, { rounds, seed }: Wish, folder: string): Promise<Report> {
  const onRound = (line: string) => {
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${store}: ${line}`)
  }
  const done = () => onRound('done\n')
  if (store === 'sqlite') return storm({ rounds, seed, folder, say: onRound }).finally(done)

  const database = await freshDatabase()
  try {
    return await storm({ rounds, seed, folder, database: database.url, say: onRound })
  } finally {
    done()
    await database.drop()
  }
}

/** A storm that could not go on, because a server did not start or ended by itself, failed. */
function brokenOff(error: unknown): Report {
  const fault = `the storm broke off: ${(error as Error).message}`
  return { faults: [fault], kills: 0, pointsHit: [], acknowledged: 0, happenedUntold: 0, resumed: 0, delivered: 0, posts: 0 }
}

function summary(report: Report): string {
  const { kills, pointsHit, acknowledged, happenedUntold, resumed, delivered, posts, faults } = report
  const found = faults.length === 0 ? '' : `${faults.length} faults, `
  return `${found}${kills} kills (${pointsHit.length} named points), ${acknowledged} changes acknowledged and ${happenedUntold} found done, ${resumed} uploads resumed, ${delivered} deliveries in ${posts} POSTs`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
