/** The thread behind `hash.ts`: reads an open file of the process by its descriptor and answers its SHA-256. */
import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { MIB } from '../base/units.ts'
import type { HashAnswer } from './hash.ts'

const READ_BYTES = MIB
const buffer = Buffer.allocUnsafe(READ_BYTES)

parentPort?.on('message', (job: { descriptor: number; bytes: number }) => {
  let answer: HashAnswer
  try {
    answer = { digest: hashFile(job.descriptor, job.bytes) }
  } catch (cause) {
    answer = { error: cause instanceof Error ? cause : new Error(String(cause)) }
  }
  parentPort?.postMessage(answer)
})

function hashFile(descriptor: number, bytes: number): string {
  const hash = createHash('sha256')
  for (let offset = 0; offset < bytes; ) {
    const read = readSync(descriptor, buffer, 0, Math.min(buffer.length, bytes - offset), offset)
    if (read === 0) throw new Error(`the file ends after ${offset} of ${bytes} bytes`)
    hash.update(buffer.subarray(0, read))
    offset += read
  }
  return hash.digest('hex')
}
