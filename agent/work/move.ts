import { TRANSFER_FAILURES, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import type { Arrival, KnownArrival, TransferWork } from '../../src/wire/agent/work.ts'
import { failureOf } from '../clients/fault.ts'
import { checkApart } from './apart.ts'
import type { StopReason, WorkContext } from './context.ts'
import { Copy, entryOf } from './copy.ts'
import { discardPart } from './discard.ts'
import { Journal, type SourceMark } from './journal.ts'
import { carryOutPostAction } from './post-action.ts'
import { openSides, type Side } from './side.ts'
import { Stop, Stopped, within } from './stop.ts'

/** What is unfinished gets this long to be put away, ms; then its connections are cut. The report of the end does not wait so long. */
const PUT_AWAY_MS = 10_000
const REPORT_AFTER_MS = 700

/**
 * Moves one file and reports how it went, the end too (unless stopped for a reason that leaves the work to the next one). Never rejects. Resolves when nothing
 * of it is under way any more; the same transfer is begun again only then.
 *
 * The order that crashes are survived by: bytes under a hidden name → verified → final name → `arrived` is recorded by the server → what happens to the
 * source → `completed`. A process that dies in between leaves a part with its journal, or a file that arrived and is copied again, or a source that is still to be
 * deleted or moved; never half a file under its final name, and never a source that is gone before its file has arrived.
 */
export async function moveFile(work: TransferWork, context: WorkContext): Promise<void> {
  const stop = new Stop(context.signal, context.clock, work.deadlineMs)
  try {
    await new Move(work, context, stop).run()
  } finally {
    stop.close()
  }
}

class Move {
  readonly #work: TransferWork
  readonly #context: WorkContext
  readonly #stop: Stop
  readonly #journal: Journal
  #sides: readonly Side[] = []
  #copy: Copy | undefined
  /** From here on a stop undoes nothing any more. */
  #hasArrived: boolean

  constructor(work: TransferWork, context: WorkContext, stop: Stop) {
    this.#work = work
    this.#context = context
    this.#stop = stop
    this.#journal = new Journal(context.folder)
    this.#hasArrived = work.hasArrived
  }

  async run(): Promise<void> {
    try {
      await this.#carryOut()
    } catch (error) {
      await this.#fail(error)
    } finally {
      await Promise.all(this.#sides.map((side) => side.close()))
    }
  }

  async #carryOut(): Promise<void> {
    const { source, destination } = this.#work
    checkApart(this.#work)
    const sides = await openSides([source.endpoint, destination.endpoint], this.#context, this.#stop)
    this.#sides = sides
    const found = this.#work.hasArrived ? await this.#remember() : await this.#arrive()
    if (found === undefined) return
    const { arrival, arrived } = found
    // Whoever holds the lease next does the rest.
    if (isLeftToTheNext(this.#stop.reason)) return
    await carryOutPostAction(this.#work, sides[0]!.client, { source: arrived, arrival })
    // Not forgotten before that is recorded: else whoever repeats it would not know what was moved.
    const { go } = await this.#context.report({ state: 'completed', ...arrival })
    if (go) await this.#journal.remove(this.#work.transferId)
  }

  /** Undefined: the lease is lost. */
  async #arrive(): Promise<{ arrival: Arrival; arrived: Omit<SourceMark, 'path'> } | undefined> {
    const found = await this.#copyFile()
    return (await this.#context.report({ state: 'arrived', ...found.arrival })).go ? found : undefined
  }

  async #copyFile(): Promise<{ arrival: Arrival; arrived: Omit<SourceMark, 'path'> }> {
    const [source, destination] = this.#sides
    this.#copy = new Copy(this.#work, this.#context, this.#stop, this.#journal, source!.client, destination!)
    const { arrival, source: arrived } = await this.#copy.carryOut()
    this.#hasArrived = true
    // What may be deleted later is what arrived, and no other file of that name.
    if (this.#work.postAction.kind !== 'keep') await this.#journal.save(entryOf(this.#work, arrived, [], arrival))
    return { arrival, arrived }
  }

  /** What an earlier attempt brought: from the journal, or by looking where it arrived. */
  async #remember(): Promise<{ arrival: KnownArrival; arrived: Omit<SourceMark, 'path'> | undefined }> {
    const entry = await this.#journal.read(this.#work.transferId)
    if (entry?.arrival) return { arrival: entry.arrival, arrived: entry.source }
    const { path } = this.#work.destination
    const { client } = this.#sides[1]!
    const found = await this.#stop.or(client.stat(path))
    const sha256 = await this.#stop.or(client.hash(path))
    const arrival = { size: found?.size ?? 0, bytesTransferred: 0, speed: 0, ...(sha256 && { sha256 }) }
    return { arrival, arrived: this.#work.expected ?? undefined }
  }

  /** Puts away what is unfinished and says why. */
  async #fail(error: unknown): Promise<void> {
    const { clock, report, log } = this.#context
    const reason = this.#hasArrived && !(error instanceof Stopped) ? undefined : this.#stop.reason
    const failure = failureOf(error, `Moving “${this.#work.source.path}”`)
    if (reason === undefined && failure.code === 'INTERNAL')
      log.error({ transferId: this.#work.transferId, err: error }, 'a transfer met a fault')
    const keeps = reason === undefined ? KEPT_AFTER.has(failure.code) && !this.#work.isLastAttempt : isLeftToTheNext(reason)
    const bytesTransferred = this.#copy?.position ?? 0
    let leavesPart = true
    const putAway = this.#putAway(keeps).then((isGone) => {
      leavesPart = !isGone
    })
    await within(clock, REPORT_AFTER_MS, putAway)
    const left = { bytesTransferred, leavesPart }
    if (reason === 'cancelled') await report({ state: 'cancelled', ...left })
    else if (reason === 'deadline') {
      const told = `The transfer took longer than the ${this.#work.deadlineMs} ms that it has.`
      await report({ state: 'failed', error: told, errorCode: 'DEADLINE_EXCEEDED', ...left })
    } else if (reason === undefined) {
      await report({ state: 'failed', error: failure.message, errorCode: failure.code, ...left })
    }
    await putAway
  }

  /** Answers whether certainly nothing is left of it. */
  async #putAway(keeps: boolean): Promise<boolean> {
    if (this.#hasArrived) return true
    let isGone = false
    const ending = this.#end(keeps).then(() => {
      isGone = !keeps
    })
    ending.catch((error) => this.#context.log.warn({ transferId: this.#work.transferId, err: error }, 'a part was not put away'))
    await within(this.#context.clock, PUT_AWAY_MS, ending)
    for (const side of this.#sides) side.cut()
    return isGone
  }

  async #end(keeps: boolean): Promise<void> {
    const hadPart = (await this.#copy?.end(keeps)) ?? false
    if (!hadPart && !keeps) await this.#discardEarlier()
  }

  /** This attempt has not come to the part, an earlier one had: it goes too. */
  async #discardEarlier(): Promise<void> {
    const { transferId, destination } = this.#work
    if ((await this.#journal.read(transferId)) === undefined) return
    const giveUp = new AbortController()
    const cancel = this.#context.clock.after(PUT_AWAY_MS, () => giveUp.abort())
    const client = await this.#context.open(destination.endpoint, giveUp.signal)
    try {
      await discardPart(this.#work, client, this.#journal)
    } finally {
      cancel()
      await client.close()
    }
  }
}

function isLeftToTheNext(reason: StopReason | undefined): boolean {
  return reason === 'stopping' || reason === 'lease lost' || reason === 'contact lost'
}

/** Failures after which the part is worth its room: the next attempt goes on with it. After the others it would be in the way, or cannot be trusted. */
const KEPT_AFTER: ReadonlySet<TransferFailureCode> = new Set(
  (Object.keys(TRANSFER_FAILURES) as TransferFailureCode[]).filter(
    (code) => TRANSFER_FAILURES[code].isWorthRetrying && !['DISK_FULL', 'CHECKSUM_MISMATCH', 'SOURCE_CHANGED'].includes(code),
  ),
)
