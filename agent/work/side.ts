import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Endpoint } from '../../src/wire/agent/work.ts'
import type { Client, FileFacts } from '../clients/client.ts'
import type { WorkContext } from './context.ts'
import { type Stop, Stopped, within } from './stop.ts'

/** A side that was asked to close gets this long, ms; then it is cut. */
const CLOSE_MS = 2000

/** One side of the work: a client, and the way to cut it. Stopping the work does not cut it by itself: a partial file is put away over it first. */
export interface Side {
  readonly client: Client
  /** Ends at once whatever it does. */
  cut(): void
  close(): Promise<void>
}

/** Opens all of them at the same time, or none. A key that was taken at first use is reported before anything else goes on. */
export async function openSides(endpoints: readonly Endpoint[], context: WorkContext, stop: Stop): Promise<Side[]> {
  const begun = endpoints.map((endpoint) => beginSide(endpoint, context))
  try {
    const sides = await stop.or(Promise.all(begun.map(({ side }) => side)))
    for (const { client } of sides) {
      if (client.learnedHostKey !== undefined) await tellHostKey(client.learnedHostKey, context, stop)
    }
    return sides
  } catch (error) {
    for (const { cut } of begun) cut()
    // One that opened all the same is closed again.
    await Promise.all(begun.map(({ side }) => side.then((one) => one.close()).catch(() => undefined)))
    throw error
  }
}

function beginSide(endpoint: Endpoint, context: WorkContext): { side: Promise<Side>; cut: () => void } {
  const controller = new AbortController()
  const cut = () => controller.abort()
  async function open(): Promise<Side> {
    const client = await context.open(endpoint, controller.signal)
    return {
      client,
      cut,
      async close() {
        let isClosed = false
        const closing = client.close().then(() => {
          isClosed = true
        })
        await within(context.clock, CLOSE_MS, closing)
        if (!isClosed) cut()
      },
    }
  }
  return { side: open(), cut }
}

async function tellHostKey(hostKey: string, context: WorkContext, stop: Stop): Promise<void> {
  const { go } = await stop.or(context.report({ state: 'host_key', hostKey }))
  if (go) return
  // Whoever pinned another key meanwhile has the last word: the next attempt meets it.
  stop.now('lease lost')
  throw new Stopped('lease lost')
}

/** What is at a path, which must be a file. */
export async function statFile(client: Client, path: string) {
  const facts = await client.stat(path)
  if (facts === undefined) throw new TransferFailure('NOT_FOUND', `There is no file “${path}” at the source.`)
  checkIsFile(facts, path)
  return facts
}

export function checkIsFile({ kind }: Pick<FileFacts, 'kind'>, path: string): void {
  if (kind === 'file') return
  throw new TransferFailure('NOT_A_FILE', `“${path}” at the source is ${kind === 'folder' ? 'a folder' : 'not a file'}.`)
}
