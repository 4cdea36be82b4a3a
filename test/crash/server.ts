// A server of the storm: the real one, in a process of its own, that ends itself without a word when it reaches the point it was
// armed with. Its one argument is JSON, see `Orders`; its one line on stdout is JSON, see `Ready`.
import { startApp } from '../../src/app/start.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { FailPoint } from '../../src/files/points.ts'

export interface Orders {
  readonly flags: Readonly<Record<string, string>>
  readonly arm: { readonly point: FailPoint; readonly nth: number } | null
}

export interface Ready {
  readonly http: string
  readonly sftp: string
}

const { flags, arm } = JSON.parse(process.argv[2]!) as Orders
let left = arm?.nth ?? 0

// The driver holds the other end: when it is gone, so is this server.
process.stdin.resume().on('end', () => process.kill(process.pid, 'SIGKILL'))

const app = await startApp(loadSettings(flags, {}), {
  reach(point) {
    if (point === arm?.point && --left === 0) process.kill(process.pid, 'SIGKILL')
  },
})
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)))
process.stdout.write(`${JSON.stringify(app.addresses satisfies Ready)}\n`)
