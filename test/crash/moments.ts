import { FAIL_POINTS, type FailPoint } from '../../src/files/points.ts'
import type { Random } from '../random.ts'

/**
 * When a server is killed, and the how manieth time. A `point` ends the process itself; the others are seen from outside: a receiver has
 * a POST and has not answered, has just answered, a client has just heard that its change is done, the clients have made
 * so many steps, the server is on its way up.
 */
export type Moment =
  | { kind: 'point'; point: FailPoint; nth: number }
  | { kind: 'posted' | 'answered' | 'acknowledged'; nth: number }
  | { kind: 'random'; steps: number; delayMs: number }
  | { kind: 'starting'; fraction: number }

/** Points of large uploads come once or twice in a round; all others often. */
const NTH_MAX: Readonly<Partial<Record<FailPoint, number>>> = { 'partial.synced': 1, 'partial.saved': 1 }
const NTH_MAX_ELSE = 10
/** So that a random kill is not bound to the end of a step, ms. */
const DELAY_MS_MAX = 40

type Name = FailPoint | Exclude<Moment['kind'], 'point'>

/** All moments in an order of the seed; every cycle has each once. `random` and `starting` come twice: they stand for many. */
const NAMES: readonly Name[] = [...FAIL_POINTS, 'posted', 'answered', 'acknowledged', 'random', 'random', 'starting', 'starting']

/** The moments of so many rounds. `stepsMax`: steps that all clients make in a round. */
export function momentsOf(rounds: number, stepsMax: number, random: Random): Moment[] {
  const cycle = random.shuffle(NAMES)
  return Array.from({ length: rounds }, (_, round) => momentOf(cycle[round % cycle.length]!, stepsMax, random))
}

export function nameOf(moment: Moment): string {
  switch (moment.kind) {
    case 'point':
      return `${moment.point} × ${moment.nth}`
    case 'random':
      return `random: step ${moment.steps} + ${moment.delayMs} ms`
    case 'starting':
      return `starting: at ${Math.round(moment.fraction * 100)} %`
    default:
      return `${moment.kind} × ${moment.nth}`
  }
}

function momentOf(name: Name, stepsMax: number, random: Random): Moment {
  switch (name) {
    case 'random':
      return { kind: name, steps: random.between(1, stepsMax), delayMs: random.between(0, DELAY_MS_MAX) }
    case 'starting':
      return { kind: name, fraction: random.next() }
    case 'posted':
    case 'answered':
    case 'acknowledged':
      return { kind: name, nth: random.between(1, NTH_MAX_ELSE) }
    default:
      return { kind: 'point', point: name, nth: random.between(1, NTH_MAX[name] ?? NTH_MAX_ELSE) }
  }
}
