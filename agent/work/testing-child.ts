import type { PostAction } from '../../src/wire/agent/work.ts'
import { moveFile } from './move.ts'
import { localWork, workBench } from './testing.ts'

/** The process that a test kills: in the middle, for which it is slow enough, or by itself when it is about to report `killedAt`. */
export interface ChildWork {
  readonly folder: string
  readonly source: string
  readonly destination: string
  readonly bytesPerSecond: number | null
  readonly postAction: PostAction
  readonly killedAt?: string
}

// Nothing else keeps this process alive while the throttle waits.
process.on('message', () => undefined)
const { folder, source, destination, killedAt, ...members } = JSON.parse(process.argv[2]!) as ChildWork
const bench = workBench(folder, {
  answers({ state }) {
    if (state === killedAt) process.kill(process.pid, 'SIGKILL')
    return true
  },
})
await moveFile(localWork(source, destination, members), bench.context)
