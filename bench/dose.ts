import { GIB, MIB } from '../src/base/units.ts'

/** How much of everything one run measures. */
export interface Dose {
  /** Runs of each way, in turn; figures are medians over them. */
  readonly runs: number
  /** (a), (f) */
  readonly deliveries: number
  /** (b) Files at each rate. */
  readonly filesAtRate: Readonly<Record<10 | 100, number>>
  /** (c), (f), (g) and (i) Receivers; (c) how many of them hang, rows that wait, uploads of a burst, and uploads at a fixed rate. */
  readonly receivers: number
  readonly hanging: number
  readonly waitingRows: number
  readonly burstUploads: number
  readonly pacedUploads: number
  /** (g) Events at a fixed rate, each for all receivers. */
  readonly pacedEvents: number
  /** (e) and (j) */
  readonly transferBytes: number
  /** (j) */
  readonly smallFiles: number
  /** (i) Starts of each store, with the rows that wait of (c). */
  readonly starts: number
  /** (h) Attempts stored while lists are asked for; 0: not measured. */
  readonly attempts: number
}

export const FULL_DOSE: Dose = {
  runs: 3,
  deliveries: 50_000,
  filesAtRate: { 10: 200, 100: 1_500 },
  receivers: 100,
  hanging: 20,
  waitingRows: 1_000_000,
  burstUploads: 300,
  pacedUploads: 150,
  pacedEvents: 300,
  transferBytes: GIB,
  smallFiles: 2_000,
  starts: 5,
  attempts: 0,
}

/** Shows that every row still runs; its figures mean nothing. */
export const QUICK_DOSE: Dose = {
  runs: 1,
  deliveries: 1_000,
  filesAtRate: { 10: 10, 100: 50 },
  receivers: 10,
  hanging: 2,
  waitingRows: 2_000,
  burstUploads: 10,
  pacedUploads: 10,
  pacedEvents: 10,
  transferBytes: 8 * MIB,
  smallFiles: 20,
  starts: 1,
  attempts: 20_000,
}
