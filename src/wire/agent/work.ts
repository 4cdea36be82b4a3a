/**
 * What is said between the server and its agents. The server sends messages down one stream, a JSON object a line; the agent
 * reports by requests of its own, and hears in the answer whether it still holds the work.
 */

/** How to reach one side of a transfer, with its credentials: on the wire between server and agent only, never stored or logged by the agent. */
export type Endpoint = LocalEndpoint | SpaceEndpoint | SftpEndpoint | FtpEndpoint | HttpEndpoint | S3Endpoint

/** Files of the agent's own machine, below the folders that its owner opened. */
export interface LocalEndpoint {
  readonly protocol: 'local'
}

/** The space of a transfer user on the server itself, reached through the agent port. */
export interface SpaceEndpoint {
  readonly protocol: 'space'
  /** Slug of the account. */
  readonly account: string
  /** Name of the user in that account. */
  readonly user: string
}

export interface SftpEndpoint {
  readonly protocol: 'sftp'
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password?: string
  /** OpenSSH or PEM text. */
  readonly privateKey?: string
  readonly passphrase?: string
  /** Pinned keys, any of them: `SHA256:…` as `ssh-keygen -l` prints. */
  readonly hostKeys: readonly string[]
  /** With no pinned key: take the first one that is shown, and report it to be pinned. */
  readonly trustsFirstKey: boolean
}

export interface FtpEndpoint {
  readonly protocol: 'ftp' | 'ftps'
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** FTPS: TLS from the first byte, or asked for by `AUTH TLS`. */
  readonly tls: 'implicit' | 'explicit' | 'none'
  /** PEM; absent: the certificates that the system trusts. */
  readonly ca?: string
  /** Pinned certificates, SHA-256 in lower-case hex; where given, nothing else is checked of a certificate. */
  readonly certificates?: readonly string[]
}

export interface HttpEndpoint {
  readonly protocol: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
  readonly bearer?: string
  readonly ca?: string
}

export interface S3Endpoint {
  readonly protocol: 's3'
  /** `https://…`; absent: the one of AWS for the region. */
  readonly endpoint?: string
  readonly region: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The bucket in the path instead of the host's name, as most servers other than AWS want it. */
  readonly pathStyle: boolean
  readonly ca?: string
}

/** One side of a transfer. */
export interface Place {
  readonly endpoint: Endpoint
  /** Absolute path; S3: the key after a `/`; HTTP: path and query. In work that lists, its last segments may be a glob. */
  readonly path: string
}

/** What happens to the source once the file has verifiably arrived. */
export type PostAction = { readonly kind: 'keep' } | { readonly kind: 'delete' } | { readonly kind: 'move'; readonly to: string }

/** One attempt of a transfer, handed to one agent. */
export interface TransferWork {
  readonly kind: 'transfer'
  /** Names this handing-out: reports of an earlier one count no more. */
  readonly lease: string
  readonly transferId: string
  readonly direction: 'pull' | 'push'
  readonly source: Place
  readonly destination: Place
  /** Bytes per second, at most; null: as fast as it goes. */
  readonly bytesPerSecond: number | null
  readonly postAction: PostAction
  /** An earlier attempt has verified that it arrived: only `postAction` is left to do. */
  readonly hasArrived: boolean
  /** Size and time that a listing saw, and that the source must still have; null: whatever is there. */
  readonly expected: { readonly size: number; readonly modifiedAt: number | null } | null
  /** Ms from being handed out to its end; null: none. */
  readonly deadlineMs: number | null
  /** When this one fails nobody goes on with what it leaves. */
  readonly isLastAttempt: boolean
}

/** Takes away what the attempts of an ended transfer left at its destination under a hidden name. */
export interface DiscardWork {
  readonly kind: 'discard'
  readonly lease: string
  readonly transferId: string
  readonly destination: Place
}

/** Looks for the files of a run, or of a dry run. */
export interface ListWork {
  readonly kind: 'list'
  readonly lease: string
  readonly runId: string
  /** Its path is a glob: `/out/*.csv`, `/out/**`. */
  readonly source: Place
  /** Only files whose size and time are the same over two looks this far apart, ms; 0: one look. */
  readonly quietMs: number
  /** Whether the hash of each file is wanted (skip by hash). */
  readonly wantsHash: boolean
  /** At most this many files; more than these is said by `isTruncated`. */
  readonly filesMax: number
}

export type Work = TransferWork | ListWork | DiscardWork

/** A file that a listing found. */
export interface ListedFile {
  /** Absolute path, as `Place.path`. */
  readonly path: string
  /** Path below the folder of the glob, for the destination: `x/y/a.csv` for `/out/**` and `/out/x/y/a.csv`. */
  readonly relativePath: string
  /** Bytes. */
  readonly size: number
  /** Ms since 1970 UTC; null where the protocol tells none. */
  readonly modifiedAt: number | null
  /** SHA-256 in lower-case hex, where it was asked for. */
  readonly sha256?: string
}

/** What the server says down the stream. */
export type ServerMessage =
  | ({ readonly type: 'welcome'; readonly agentId: string } & AgentOrders)
  | ({ readonly type: 'orders' } & AgentOrders)
  | { readonly type: 'work'; readonly work: Work }
  | { readonly type: 'cancel'; readonly lease: string }
  /** Every `BEAT_MS`, so that a dead connection is seen. */
  | { readonly type: 'beat' }
  /** The agent may not work any more: it stops at once and does not come back by itself. */
  | { readonly type: 'revoked' }

/** Settings of an agent that the server decides; they reach it at once. */
export interface AgentOrders {
  readonly name: string
  /** A heartbeat this often, ms. */
  readonly heartbeatMs: number
  /** Transfers at the same time. */
  readonly concurrency: number
  /** The certificate is renewed this long before its end, ms. */
  readonly renewBeforeMs: number
}

/**
 * What the agent says about work that it holds. `leavesPart`: something is, or may still be, at the destination under a hidden name. The server answers
 * `{"go": boolean}`. False: the lease is lost, stop and report no more.
 */
export type WorkReport =
  | { readonly state: 'running'; readonly size: number | null; readonly bytesTransferred: number; readonly speed: number }
  /** The file is at its final name and verified; recorded before `postAction` begins. */
  | ({ readonly state: 'arrived' } & Arrival)
  | ({ readonly state: 'completed' } & KnownArrival)
  | {
      readonly state: 'failed'
      readonly error: string
      readonly errorCode: string
      readonly bytesTransferred: number
      readonly leavesPart?: boolean
    }
  | { readonly state: 'cancelled'; readonly bytesTransferred: number; readonly leavesPart?: boolean }
  /** Nothing is left of the transfer (any more). */
  | { readonly state: 'discarded' }
  | {
      readonly state: 'listed'
      readonly files: readonly ListedFile[]
      /** Files that the second look of `quietMs` saw and that are left out: they changed since the first, or came after it. Older agents do not count them. */
      readonly notQuiet?: number
      readonly isTruncated: boolean
    }
  /** Trust on first use: the key that was shown, to be pinned. */
  | { readonly state: 'host_key'; readonly hostKey: string }

/** What was found at arrival. */
export interface Arrival {
  /** Bytes of the file. */
  readonly size: number
  /** Bytes that this attempt moved: less than `size` where it was resumed. */
  readonly bytesTransferred: number
  /** Bytes per second, as the agent measured them. */
  readonly speed: number
  /** Of the whole file, lower-case hex. */
  readonly sha256: string
}

/** Whoever only had to see to the source may not know the hash any more; the server has it since the arrival. */
export type KnownArrival = Omit<Arrival, 'sha256'> & { readonly sha256?: string }

/** The agent says hello when it opens its stream: what it still holds, so that everything else can be handed out again. */
export interface Hello {
  /** Made at each start of the agent's process. */
  readonly instance: string
  readonly leases: readonly string[]
  readonly version: string
  readonly hostname: string
  readonly os: 'linux' | 'windows' | 'darwin'
}

/** What agents dial, whatever the address is: the only name in the server's certificate. */
export const SERVER_NAME = 'landfall-server'
/** An agent without an answer of the server for this long stops what it does, ms, counted from when it sent what was answered last. */
export const STOP_AFTER_MS = 60_000
/** What a silent agent held is handed out again after this at the earliest, ms: later than it has stopped, whatever the delays. */
export const HAND_OUT_AGAIN_AFTER_MS = 90_000
/** The server sends something down each stream this often, ms. */
export const BEAT_MS = 10_000
/** Longest line of a stream, bytes. */
export const LINE_BYTES_MAX = 256 * 1024
/** Files of one listing, at most. */
export const LISTED_FILES_MAX = 10_000
/** Longest body of a `WorkReport`, bytes: a listing is cut before it gets longer. */
export const REPORT_BYTES_MAX = 8 * 1024 * 1024

/** What the agent says of itself with a heartbeat. */
export interface Heartbeat {
  readonly status: 'online' | 'busy' | 'error'
  /** Share of the processors, 0 to 1. */
  readonly load: number
  /** MiB that its process holds. */
  readonly memory: number
}
/** Bytes of a file that an agent sends into a space with one request, at most: so many are in its memory, and no request takes long. */
export const SPACE_PIECE_BYTES_MAX = 4 * 1024 * 1024
