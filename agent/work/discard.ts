import type { DiscardWork, Place } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'
import { failureOf } from '../clients/fault.ts'
import type { WorkContext } from './context.ts'
import { Journal } from './journal.ts'
import { openSides } from './side.ts'
import { Stop } from './stop.ts'

/** Discarding takes no longer than this, ms; then the server hands it out again later. */
const DISCARD_MS = 60_000

/** Takes away what the attempts of an ended transfer have left, and reports that. Never rejects. May be repeated. */
export async function discardLeftover(work: DiscardWork, context: WorkContext): Promise<void> {
  const stop = new Stop(context.signal, context.clock, DISCARD_MS)
  try {
    const [side] = await openSides([work.destination.endpoint], context, stop)
    stop.signal.addEventListener('abort', side!.cut, { once: true })
    try {
      await stop.or(discardPart(work, side!.client, new Journal(context.folder)))
    } finally {
      await side!.close()
    }
    await context.report({ state: 'discarded' })
  } catch (error) {
    const { reason } = stop
    if (reason === 'cancelled') await context.report({ state: 'cancelled', bytesTransferred: 0 })
    if (reason !== undefined && reason !== 'deadline') return
    const failure = failureOf(error, `Discarding what is left for “${work.destination.path}”`)
    await context.report({ state: 'failed', error: failure.message, errorCode: failure.code, bytesTransferred: 0 })
  } finally {
    stop.close()
  }
}

/** Nothing there is fine. Where a part cannot be found by its name, only one that the journal knows of is found. */
export async function discardPart(
  { transferId: id, destination }: { readonly transferId: string; readonly destination: Place },
  client: Client,
  journal: Journal,
): Promise<void> {
  const entry = await journal.read(id)
  if (client.removePart !== undefined) await client.removePart(destination.path, id)
  else if (entry !== undefined) {
    const { ticket } = entry
    const options = { id, resumes: true, size: null, modifiedAt: null, ...(ticket !== undefined && { ticket }) }
    await (await client.write(destination.path, options)).discard()
  }
  await journal.remove(id)
}
