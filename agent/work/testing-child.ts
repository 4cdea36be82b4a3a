import { moveFile } from './move.ts'
import { localWork, workBench } from './testing.ts'

// The process that a test kills: moves a file, slowly enough to be met in the middle.
const [folder, source, destination, bytesPerSecond] = process.argv.slice(2)
// Nothing else keeps this process alive while the throttle waits.
process.on('message', () => undefined)
const work = localWork(source!, destination!, { bytesPerSecond: Number(bytesPerSecond) })
await moveFile(work, workBench(folder!).context)
