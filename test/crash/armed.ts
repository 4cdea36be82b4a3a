import { createInterface } from 'node:readline'
import type { Arm } from './server.ts'

/**
 * For a process of the storm: ends it, as the out-of-memory killer would, at the point it is armed with, or with later, by a line of JSON on its
 * standard input. The driver holds the other end of that: when the driver is gone, so is this process.
 */
export function armed(first: Arm | null): (point: string) => void {
  const die = () => process.kill(process.pid, 'SIGKILL')
  let arm = first
  let left = arm?.nth ?? 0
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    arm = JSON.parse(line) as Arm | null
    left = arm?.nth ?? 0
  })
  lines.on('close', die)
  return (point) => {
    if (point === arm?.point && --left === 0) die()
  }
}
