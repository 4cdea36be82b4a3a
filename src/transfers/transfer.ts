import { newId } from '../base/id.ts'
import type { PostAction } from '../wire/agent/work.ts'

/** One file moved by an agent, pull or push. */
export interface Transfer {
  readonly id: string
  readonly agentId: string
  /** The run that it belongs to; null: none. */
  readonly runId: string | null
  /** The far side; null: a url or path that the agent knows by itself (a transfer that it reports), or the local machine. */
  readonly remoteId: string | null
  /** Where the file comes from and goes, as people and events see it: never with a password. */
  readonly sourceUrl: string
  readonly destinationPath: string
  readonly direction: Direction
  readonly protocol: string
  /** The agent moves it of its own accord and reports it: never handed out. */
  readonly isForeign: boolean
  readonly policy: TransferPolicy
  readonly status: TransferStatus
  /** Bytes of the file; null while unknown. */
  readonly size: number | null
  readonly bytesTransferred: number
  /** 0 to 100. */
  readonly progress: number
  /** Bytes per second. */
  readonly speed: number | null
  /** The last tenth that `transfer.progress` was said of, 0 to 10. */
  readonly saidTenth: number
  readonly error: string | null
  readonly errorCode: string | null
  /** Retries made so far because an attempt failed. */
  readonly retryCount: number
  /** Times that its agent was lost while it had it, or had not begun it. */
  readonly losses: number
  readonly sha256: string | null
  /** Names the handing-out that is under way; null: not handed out. */
  readonly lease: string | null
  /** When a queued one may be handed out, ms since 1970 UTC. */
  readonly dueAt: number
  /** Stopping was asked for while an agent had it. */
  readonly cancelAskedAt: number | null
  /** It is at its final name and verified; only what happens to the source is left. */
  readonly arrivedAt: number | null
  readonly createdAt: number
  /** Of the first attempt. */
  readonly startedAt: number | null
  readonly completedAt: number | null
}

export type Direction = 'pull' | 'push'
export type TransferStatus = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled'
export const TRANSFER_STATUSES: readonly TransferStatus[] = ['queued', 'running', 'completed', 'failed', 'cancelled']

/** How a transfer is to be made; plain data, stored with it. */
export interface TransferPolicy {
  /** Ms before each retry; as many retries as entries. */
  readonly retryDelaysMs: readonly number[]
  readonly bytesPerSecond: number | null
  readonly postAction: PostAction
  readonly expected: { readonly size: number; readonly modifiedAt: number | null } | null
  /** Ms that an attempt may take; null: no bound. */
  readonly deadlineMs: number | null
  /** What happens when its agent is lost. */
  readonly onAgentLost: 'retry' | 'fail'
  /** Transfers of its run at the same time; null: no bound but the agent's own. */
  readonly parallelism: number | null
}

/** The documented default of the other product: 30 s, 2 min, 8 min. */
export const RETRY_DELAYS_MS: readonly number[] = [30_000, 120_000, 480_000]

/** How often a transfer is handed out again because its agent was lost: beyond that, moving it may well be what ends the agent. */
export const LOSSES_MAX = 10

/** What is said of a transfer when it is made; the rest begins the same for all. */
export type NewTransfer = Pick<
  Transfer,
  'agentId' | 'sourceUrl' | 'destinationPath' | 'direction' | 'protocol' | 'isForeign' | 'policy'
> &
  Partial<Pick<Transfer, 'runId' | 'remoteId' | 'size'>>

/** A transfer that waits for its agent. */
export function newTransfer(made: NewTransfer, now: number): Transfer {
  return {
    ...{ runId: null, remoteId: null, size: null, ...made },
    ...{ id: newId('transfer', now), status: 'queued', createdAt: now, dueAt: now },
    ...{ bytesTransferred: 0, progress: 0, speed: null, saidTenth: 0, error: null, errorCode: null, retryCount: 0, losses: 0 },
    ...{ sha256: null, lease: null, cancelAskedAt: null, arrivedAt: null, startedAt: null, completedAt: null },
  }
}

export function isOpen({ status }: Pick<Transfer, 'status'>): boolean {
  return status === 'queued' || status === 'running'
}

/** What an ended transfer may have left at its destination under a hidden name, until its agent has discarded it. */
export interface Leftover {
  readonly transferId: string
  readonly agentId: string
  /** Names the handing-out that is under way; null: not handed out. */
  readonly lease: string | null
  /** How often it was handed out. */
  readonly tries: number
  /** When it may be handed out (again), ms since 1970 UTC. */
  readonly dueAt: number
}

/** A stored connection to somebody else's server. */
export interface Remote {
  readonly id: string
  readonly name: string
  readonly protocol: RemoteProtocol
  readonly host: string
  readonly port: number
  readonly username: string | null
  /** Everything about it that is no secret, as its protocol has it. */
  readonly options: RemoteOptions
  /** JSON of `RemoteSecrets`, sealed under the master key; null: it has none. */
  readonly sealedSecrets: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

export type RemoteProtocol = 'sftp' | 'ftp' | 'ftps' | 'http' | 'https' | 's3'

export interface RemoteOptions {
  /** SFTP: pinned keys, `SHA256:…`. */
  readonly hostKeys?: readonly string[]
  /** SFTP: take and pin the first key that is shown. Only where asked for. */
  readonly trustFirstHostKey?: boolean
  /** FTPS. */
  readonly tls?: 'implicit' | 'explicit'
  /** PEM of the CA that its certificate is checked against; absent: those that the agent's system trusts. */
  readonly ca?: string
  /** FTPS: pinned certificates, SHA-256 in lower-case hex. */
  readonly certificates?: readonly string[]
  /** S3. */
  readonly endpoint?: string
  readonly region?: string
  readonly bucket?: string
  readonly pathStyle?: boolean
}

export interface RemoteSecrets {
  readonly password?: string
  readonly privateKey?: string
  readonly passphrase?: string
  readonly bearer?: string
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
}

export function remoteSecretsPurpose(remoteId: string): string {
  return `remote:${remoteId}`
}
