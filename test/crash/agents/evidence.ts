import type { Post } from '../receivers.ts'

/** What becomes of a source once its file has arrived. */
export type PostKind = 'keep' | 'delete' | 'move'

export interface PlacedFile {
  readonly path: string
  readonly post: PostKind
}

/** All that the proofs look at, gathered once everything has come to rest and all processes have stopped. Paths at the far side begin with `far:`. */
export interface Evidence {
  /** Ids that agents were told at their enrolment. */
  readonly enrolled: readonly string[]
  readonly placed: readonly PlacedFile[]
  /** Every file that is there: true where it holds what its name says. */
  readonly files: ReadonlyMap<string, boolean>
  /** What should be gone: parts of files, uploads that the far side keeps, journals of agents. */
  readonly leftovers: readonly string[]
  readonly posts: readonly Pick<Post, 'deliveryId' | 'status'>[]
  readonly rows: WorkRows
}

export interface WorkRows {
  readonly agents: readonly { readonly id: string }[]
  readonly tokens: readonly { readonly id: string; readonly uses: number }[]
  readonly transfers: readonly TransferRow[]
  readonly runs: readonly RunRow[]
  /** In the order in which they were said. */
  readonly events: readonly EventRow[]
  readonly deliveries: readonly { readonly id: string; readonly eventId: string; readonly state: string }[]
}

export interface TransferRow {
  readonly id: string
  readonly runId: string | null
  readonly source: string
  readonly destination: string
  readonly status: string
  readonly errorCode: string | null
  readonly error: string | null
  readonly lease: string | null
}

export interface RunRow {
  readonly id: string
  readonly jobId: string
  readonly status: string
  readonly transfersTotal: number
  readonly transfersCompleted: number
  readonly transfersFailed: number
  readonly error: string | null
}

export interface EventRow {
  readonly id: string
  readonly type: string
  readonly state: string
  readonly data: Readonly<Record<string, unknown>>
}
