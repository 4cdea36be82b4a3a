import type { ServerAccess } from '../../agent/clients/open.ts'
import type { Endpoint } from '../../src/wire/agent/work.ts'

/** A server that files are moved from and to in tests: one module a kind in this folder, which exports `kind: PeerKind` (or `kinds`) and takes part in test/flow/matrix.ts by being there. */
export interface PeerKind {
  /** `sftp (OpenSSH)`. */
  readonly name: string
  /** Why it cannot be started here, as a sentence that names the package; undefined: it can. */
  readonly missing: string | undefined
  /** Whether a transfer goes on where it broke; where not, it begins anew. */
  readonly resumes: { readonly pull: boolean; readonly push: boolean }
  start(): Promise<Peer>
}

export interface Peer {
  /** Reaches it with the right credentials and pins, through what `cutAfter` cuts. */
  readonly endpoint: Endpoint
  /** The folder to work in, as `Place.path` has it, without a slash at the end. */
  readonly folder: string
  /** The same with a wrong password or key; undefined: it has none. */
  readonly wrongPassword: Endpoint | undefined
  /** The same with a pin, or a CA, that the server does not fit; undefined: it shows nothing that could be pinned. */
  readonly wrongIdentity: Endpoint | undefined
  /** A folder where at most `FULL_DISK_BYTES` have room, or a user who may not store more; undefined: none to be had here. */
  readonly fullFolder: { readonly endpoint: Endpoint; readonly folder: string } | undefined
  /** Puts a file there, not by the protocol. Paths as `Place.path`. */
  put(path: string, bytes: Uint8Array): Promise<void>
  /** The bytes at a path, not by the protocol; undefined: nothing is there. */
  get(path: string): Promise<Uint8Array | undefined>
  /** Every name in `folder`, hidden ones too: nothing half-named may be left. */
  names(folder: string): Promise<string[]>
  /** The connection that carries a file breaks once, after this many more bytes in both directions together; undefined: there is none. */
  readonly cutAfter: ((bytes: number) => void) | undefined
  /** The way to a space, which a lease of the server lets in. */
  readonly space?: { readonly server: ServerAccess; readonly lease: string }
  /** Folders that the agent has to open, where the peer is its own machine. */
  readonly roots?: readonly string[]
  stop(): Promise<void>
}

/** Room of `Peer.fullFolder`; the matrix moves more. */
export const FULL_DISK_BYTES = 1024 * 1024
