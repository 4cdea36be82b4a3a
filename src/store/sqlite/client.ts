import type { Webhook } from '../../webhooks/webhook.ts'
import type { Store, StoreHooks } from '../store.ts'
import { HOT, READS, type UnitName, WRITES } from '../units/names.ts'
import { type StartThread, ThreadCalls } from './call.ts'
import type { Answers } from './protocol.ts'

/** Webhooks of which the near side keeps a copy for attempts. */
const TARGETS_KEPT_MAX = 10_000

/** After these a webhook may look different. */
const CHANGES_WEBHOOKS: ReadonlySet<UnitName> = new Set([
  'updateAccount',
  'createWebhook',
  'updateWebhook',
  'removeWebhook',
  'reseal',
])

const READ_NAMES: ReadonlySet<string> = new Set(READS)

/** The two threads of the embedded store, which load their code from the moment they are made. */
export interface SqliteThreads {
  /**
   * Opens the store of this file, once. Throws what opening the database throws, `store_newer` for one. The caller holds the lock of the
   * data folder (`lock.ts`); the file is made if it is missing.
   */
  open(options: { file: string } & StoreHooks): Promise<Store>
  /** Ends both, whether or not they opened anything. */
  stop(): Promise<void>
}

/** Starts a thread that writes and one that reads. */
export function startSqliteThreads(startThread: StartThread): SqliteThreads {
  const writer = new ThreadCalls(startThread({ role: 'writer' }))
  const reader = new ThreadCalls(startThread({ role: 'reader' }))
  async function stop(): Promise<void> {
    writer.refuse()
    // The writer ends last: it empties the journal, which it can only when nobody reads.
    await reader.stop()
    await writer.stop()
  }
  return { open: (options) => openWith({ writer, reader, stop }, options), stop }
}

async function openWith(
  { writer, reader, stop }: { writer: ThreadCalls; reader: ThreadCalls; stop: () => Promise<void> },
  { file, onPlanned, onFailure }: { file: string } & StoreHooks,
): Promise<Store> {
  let isLost = false
  function onLost(error: Error): void {
    if (!isLost) onFailure?.(error)
    isLost = true
  }

  let isCheckpointing = false
  function onAnswers({ nudged, checkpoint }: Answers): void {
    if (nudged.length > 0) onPlanned?.(nudged)
    if (checkpoint && !isCheckpointing) startCheckpoint()
  }
  try {
    // The writer makes the file and its schema before anybody reads.
    await writer.open(file, { onLost, onAnswers })
    await reader.open(file, { onLost, onAnswers() {} })
  } catch (error) {
    await stop()
    throw error
  }

  function startCheckpoint(): void {
    isCheckpointing = true
    // Refused or failed, it is only put off: the writer asks again.
    const done = () => {
      isCheckpointing = false
    }
    reader.call('checkpoint', []).then(done, done)
  }

  const targets = new Targets((ids) => reader.call('targets', [ids]) as Promise<Webhook[]>)

  async function call(name: UnitName, args: unknown[]): Promise<unknown> {
    if (READ_NAMES.has(name)) return reader.call(name, args)
    if (!CHANGES_WEBHOOKS.has(name)) return writer.call(name, args)
    try {
      return await writer.call(name, args)
    } finally {
      targets.forget()
    }
  }

  const units = Object.fromEntries(
    [...READS, ...WRITES, ...HOT].map((name) => [name, (...args: unknown[]) => call(name, args)]),
  ) as unknown as Omit<Store, 'stop'>
  return {
    ...units,
    targets: (ids) => targets.get(ids),
    async settle(settlements) {
      const results = await units.settle(settlements)
      if (results.some((result) => result.webhookState !== 'active')) targets.forget()
      return results
    },
    stop,
  }
}

/**
 * Copies of webhooks for attempts, which ask thousands of times a second. This process is the only one that changes them, so a
 * copy is good until the answer of a change; one that was read while a change was under way is not kept.
 */
class Targets {
  #read: (ids: string[]) => Promise<Webhook[]>
  #kept = new Map<string, Webhook>()
  #generation = 0

  constructor(read: (ids: string[]) => Promise<Webhook[]>) {
    this.#read = read
  }

  forget(): void {
    this.#generation += 1
    this.#kept.clear()
  }

  async get(ids: readonly string[]): Promise<Webhook[]> {
    const missing = ids.filter((id) => !this.#kept.has(id))
    if (missing.length === 0) return ids.map((id) => this.#kept.get(id)!)
    const generation = this.#generation
    const known = ids.flatMap((id) => this.#kept.get(id) ?? [])
    const read = await this.#read(missing)
    if (generation === this.#generation && this.#kept.size + read.length <= TARGETS_KEPT_MAX) {
      for (const webhook of read) this.#kept.set(webhook.id, webhook)
    }
    return [...known, ...read]
  }
}
