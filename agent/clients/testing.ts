import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import type { ClientContext } from './open.ts'

/** What clients of other people's servers are given, in tests of theirs. */
export function contextFor(more: Partial<ClientContext>): ClientContext {
  return {
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    roots: [],
    lease: 'lease',
    // Only clients of spaces use it.
    server: undefined as unknown as ClientContext['server'],
    ...more,
  }
}

export async function failsWith(code: TransferFailureCode, call: Promise<unknown>): Promise<TransferFailure> {
  const error = await call.then(
    () => assert.fail(`it should have failed with ${code}`),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof TransferFailure, `not a TransferFailure: ${error instanceof Error ? error.stack : error}`)
  assert.equal(error.code, code, error.message)
  return error
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
