import type { Clock } from '../../src/base/clock.ts'
import type { Log } from '../../src/base/log.ts'
import type { Endpoint, WorkReport } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'

/** What one piece of work needs of the agent that does it. */
export interface WorkContext {
  /** Opens one side of it; `signal` ends that side at once. */
  open(endpoint: Endpoint, signal: AbortSignal): Promise<Client>
  /**
   * Answers when the server has recorded the report. It is tried again until then, or until contact is lost. Never rejects: `go` is false where
   * the lease is lost, and where the server was not reached for so long that it may be.
   */
  report(report: WorkReport): Promise<{ readonly go: boolean }>
  /** Ends the work; its reason is a `StopReason`. */
  readonly signal: AbortSignal
  /** The agent's own folder: the journal is in `work` below it. */
  readonly folder: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * Why work ends before its end: somebody stopped it, which leaves nothing of it; the server may hand it out again (lease lost, no contact, agent stopping),
 * so that what was done is kept for the next one; or it took too long.
 */
export type StopReason = 'cancelled' | 'lease lost' | 'contact lost' | 'stopping' | 'deadline'
