import { parseArgs } from 'node:util'
import { simulate } from './simulate.ts'

/**
 * `npm run sim -- --seeds N [--seed S]`: the engine with fake time, network and store, one world a seed, from seed S on
 * (1 if none is given; one seed if only S is). Stops at the first world in which an invariant does not hold.
 */
const { values } = parseArgs({ options: { seeds: { type: 'string' }, seed: { type: 'string' } } })
const first = wholeNumber('--seed', values.seed ?? '1')
const count = wholeNumber('--seeds', values.seeds ?? (values.seed === undefined ? '500' : '1'))

let posts = 0
let events = 0
let lives = 0
const startedAt = performance.now()
for (let seed = first; seed < first + count; seed++) {
  const report = await simulate(seed)
  posts += report.posts
  events += report.events
  lives += report.lives
  if (report.violations.length > 0) {
    showProgress('')
    for (const violation of report.violations.slice(0, 20)) console.log(violation)
    console.log(`FAILED: ${report.violations.length} violations in seed ${seed}; replay with: npm run sim -- --seed ${seed}`)
    process.exit(1)
  }
  showProgress(`${seed - first + 1}/${count} seeds, ${posts} posts`)
}
showProgress('')
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
console.log(`${events} events, ${posts} posts, ${lives} lives of processes in ${seconds} s`)
console.log(`PASSED: every invariant held in ${count} seeds, ${first} to ${first + count - 1}`)

function showProgress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`)
}

function wholeNumber(flag: string, text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && Number.isSafeInteger(number)) return number
  console.error(`${flag} must be a whole number from 1, not "${text}"`)
  process.exit(2)
}
