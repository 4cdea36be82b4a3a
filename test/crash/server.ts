// A server of the storm: the real one, in a process of its own, that ends itself without a word when it reaches the point it is
// armed with. Its one argument is JSON, see `Orders`; its one line on stdout is JSON, see `Ready`.
import type { Point } from '../../src/app/points.ts'
import { startApp } from '../../src/app/start.ts'
import { loadSettings } from '../../src/config/load.ts'
import { armed } from './armed.ts'

export interface Orders {
  readonly flags: Readonly<Record<string, string>>
  readonly arm: Arm<Point> | null
}

/** Where a process ends itself: when it is at this point for the nth time. */
export interface Arm<Name extends string = string> {
  readonly point: Name
  readonly nth: number
}

export interface Ready {
  readonly http: string
  readonly sftp: string
  /** `host:port` of the agent port. */
  readonly agents: string
}

const { flags, arm } = JSON.parse(process.argv[2]!) as Orders
const app = await startApp(loadSettings(flags, {}), { reach: armed(arm) })
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)))
process.stdout.write(`${JSON.stringify(app.addresses satisfies Ready)}\n`)
