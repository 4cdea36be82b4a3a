import type { Entry } from './log.ts'
import type { Post, ReceiverName } from './receivers.ts'

/** All that the proofs look at, gathered once the storm is over and the server has stopped. */
export interface Evidence {
  readonly clients: readonly { readonly log: readonly Entry[]; readonly faults: readonly string[] }[]
  readonly webhooks: readonly { readonly id: string; readonly receiver: ReceiverName }[]
  readonly posts: readonly Post[]
  readonly rows: StoreRows
  readonly disk: Disk
}

/** The rows of the store as they are, read beside the server and not through it. */
export interface StoreRows {
  /** `position`: when it was said, among all; null: it was not. */
  readonly events: readonly {
    id: string
    type: string
    state: string
    position: number | null
    data: Readonly<Record<string, unknown>>
  }[]
  readonly deliveries: readonly {
    id: string
    eventId: string
    webhookId: string
    /** Null: planned with its event. */
    replayId: string | null
    state: string
    claimedBy: string | null
    attempts: number
    body: string
  }[]
  readonly attempts: readonly { deliveryId: string; number: number; error: string | null }[]
  readonly replays: readonly { id: string; state: string }[]
  readonly intents: readonly { id: string; deed: string }[]
  readonly lockedPaths: number
  readonly partials: readonly { id: string; node: string | null; temporary: string; prefixBytes: number }[]
  readonly usage: { bytes: number; files: number }
}

export interface Disk {
  /** Below the user's home, as the user names them. */
  readonly files: ReadonlyMap<string, { hash: string; bytes: number }>
  readonly folders: ReadonlySet<string>
  /** Temporaries by their path in the storage, with their size. */
  readonly temporaries: ReadonlyMap<string, number>
}
