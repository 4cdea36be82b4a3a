import { availableParallelism, loadavg } from 'node:os'
import { MIB } from '../src/base/units.ts'
import type { Hello } from '../src/wire/agent/work.ts'

/** The contract knows three systems; other Unixes are nearest to the first. */
export function agentOs(): Hello['os'] {
  if (process.platform === 'win32') return 'windows'
  return process.platform === 'darwin' ? 'darwin' : 'linux'
}

/** Share of the processors that was busy in the last minute, 0 to 1, and memory of this process, MiB: what a heartbeat says. */
export function machineLoad(): { load: number; memory: number } {
  const [lastMinute = 0] = loadavg()
  const load = Math.min(lastMinute / availableParallelism(), 1)
  return { load: Math.round(load * 100) / 100, memory: Math.round(process.memoryUsage.rss() / MIB) }
}
