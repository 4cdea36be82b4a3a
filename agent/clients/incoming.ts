import { type Readable, Transform } from 'node:stream'
import type { Clock } from '../../src/base/clock.ts'
import { MINUTE_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'

/** The body of an answer may be silent this long while it is waited for, ms. */
export const BODY_IDLE_MS = MINUTE_MS

export interface IncomingOptions {
  /** Bytes at its beginning that nobody wants. */
  readonly skip?: number
  /** All of it came, so many bytes that somebody wants. */
  readonly ended?: (bytes: number) => void
  /** `Reading “/a”`. */
  readonly doing: string
  readonly clock: Clock
  /** What an error of the connection means. */
  readonly failureOf: (error: unknown) => TransferFailure
}

/**
 * The body of an answer as a stream whose errors are `TransferFailure`s. A body that comes no further ends it; time in which nobody takes what came
 * does not count. Destroying it ends the answer.
 */
export function incoming(body: Readable, { skip = 0, ended, doing, clock, failureOf }: IncomingOptions): Readable {
  let left = skip
  let bytes = 0
  let cancel = () => {}
  const out = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      watch()
      const from = Math.min(left, chunk.length)
      left -= from
      bytes += chunk.length - from
      done(null, chunk.subarray(from))
    },
    flush(done) {
      ended?.(bytes)
      done()
    },
  })
  function watch(): void {
    cancel()
    cancel = clock.after(BODY_IDLE_MS, () => {
      if (out.writableNeedDrain) watch()
      else out.destroy(new TransferFailure('TIMEOUT', `${doing} failed: nothing came for ${BODY_IDLE_MS} ms.`))
    })
  }
  watch()
  body.on('error', (error) => out.destroy(failureOf(error)))
  // Some bodies end early without saying so.
  body.on('close', () => {
    if (!body.readableEnded) out.destroy(new TransferFailure('CONNECTION_LOST', `${doing} failed: the connection broke.`))
  })
  out.on('close', () => {
    cancel()
    body.destroy()
  })
  return body.pipe(out)
}
