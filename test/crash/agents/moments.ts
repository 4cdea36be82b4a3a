import { WORK_POINTS, type WorkPoint } from '../../../src/app/points.ts'
import type { Random } from '../../random.ts'
import type { Arm } from '../server.ts'
import { type AgentPoint, WORKING_POINTS } from './points.ts'

/** Who is killed in a round, and when: by itself at a point, or from outside after a while. */
export type Moment =
  | { readonly victim: 'server'; readonly arm: Arm<WorkPoint> }
  | { readonly victim: 'agent'; readonly arm: Arm<AgentPoint> }
  | { readonly victim: 'server' | 'agent' | 'both'; readonly arm: null; readonly delayMs: number }

/** Points that many transfers of a round come to; the others come once or twice. */
const OFTEN: readonly string[] = [
  'transfer.recorded',
  'arrival.recorded',
  'completion.recording',
  'completion.recorded',
  'part.written',
  'file.committing',
  'file.committed',
  'arrival.reporting',
  'arrival.answered',
  'source.seen_to',
  'completion.reporting',
  'completion.answered',
]
const NTH_MAX = 4
const DELAY_MS_MAX = 1_500

/** Those of enrolment come before the rounds, one after the other; listings are recorded in steps of more files than there are here. */
const ELSEWHERE: readonly WorkPoint[] = ['enrolment.recorded', 'renewal.recorded', 'listing.recording']
const SERVER_POINTS = WORK_POINTS.filter((point) => !ELSEWHERE.includes(point))
const ALL: readonly ((random: Random) => Moment)[] = [
  ...SERVER_POINTS.map(
    (point) =>
      (random: Random): Moment => ({ victim: 'server', arm: armOf(point, random) }),
  ),
  ...WORKING_POINTS.map(
    (point) =>
      (random: Random): Moment => ({ victim: 'agent', arm: armOf(point, random) }),
  ),
  ...(['server', 'agent', 'both'] as const).map(
    (victim) =>
      (random: Random): Moment => ({ victim, arm: null, delayMs: random.between(0, DELAY_MS_MAX) }),
  ),
]

export function momentsOf(rounds: number, random: Random): Moment[] {
  const cycle = random.shuffle(ALL)
  return Array.from({ length: rounds }, (_, round) => cycle[round % cycle.length]!(random))
}

export function nameOf(moment: Moment): string {
  return moment.arm === null
    ? `${moment.victim} after ${moment.delayMs} ms`
    : `${moment.victim} at ${moment.arm.point} × ${moment.arm.nth}`
}

function armOf<Point extends string>(point: Point, random: Random): Arm<Point> {
  return { point, nth: OFTEN.includes(point) ? random.between(1, NTH_MAX) : 1 }
}
