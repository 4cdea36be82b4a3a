import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** What the system says about another process. Times per thread are known on Linux only. */

const MB = 1_000_000
/** Ticks of /proc a second; the kernel's interface fixes it at 100 on every platform that Node runs on. */
const TICKS_PER_SECOND = 100

/** Resident memory, MB of 10^6 bytes. */
export function residentMb(pid: number): number {
  if (process.platform === 'linux') return (statusOf(pid, 'VmRSS') * 1024) / MB
  return (Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024) / MB
}

function statusOf(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1])
}

/** Watches the resident memory of a process; `stop` returns the most that was seen. */
export function watchResident(pid: number, everyMs = 100): { stop(): number } {
  let most = residentMb(pid)
  const timer = setInterval(() => {
    most = Math.max(most, residentMb(pid))
  }, everyMs)
  return {
    stop() {
      clearInterval(timer)
      return most
    },
  }
}

/** CPU seconds used so far by the main thread and by all other threads together; undefined where the system does not say. */
export function cpuSeconds(pid: number): { main: number; others: number } | undefined {
  if (process.platform !== 'linux') return undefined
  const of = (thread: string) => ticksIn(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')) / TICKS_PER_SECOND
  const threads = readdirSync(`/proc/${pid}/task`)
  const main = of(String(pid))
  const others = threads.filter((thread) => thread !== String(pid)).reduce((sum, thread) => sum + of(thread), 0)
  return { main, others }
}

/** utime and stime, fields 14 and 15 of proc_pid_stat(5); the name in field 2 may hold spaces, so count from its end. */
function ticksIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
