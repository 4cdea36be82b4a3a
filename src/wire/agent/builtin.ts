import type { Hello } from './work.ts'

/**
 * What the server and the thread of its built-in agent say to each other. The thread makes its key pair in its own folder and is enrolled through this door: no
 * token exists, and none is on a disk.
 */

/** `workerData` of the thread. */
export interface BuiltinAgentData {
  /** The agent's folder. */
  readonly folder: string
  /** Folders that transfers may read and write; empty: `files` in the agent's folder. */
  readonly roots: readonly string[]
  /** Url of the HTTP API, and `host:port` of the agent port, of this run: they may be others than at the last one. */
  readonly server: string
  readonly agents: string
  /** PEM of the authority. What the folder holds of another one counts no more. */
  readonly ca: string
  readonly version: string
}

/** Said by the thread. */
export type BuiltinAgentSays =
  /** It has no certificate that counts: answered by `enrolled` or `refused`. */
  | { readonly type: 'enrol'; readonly csr: string; readonly hostname: string; readonly os: Hello['os'] }
  /** For the server's log; one sentence without credentials. */
  | { readonly type: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly text: string }
  /** It may not work any more: it ends, and is not to be started again before the server is. */
  | { readonly type: 'revoked' }

/** Said to the thread. */
export type BuiltinAgentHears =
  | {
      readonly type: 'enrolled'
      readonly id: string
      readonly name: string
      readonly apiKey: string
      /** PEM. */
      readonly certificate: string
    }
  | { readonly type: 'refused'; readonly why: string }
  /** It ends what it does and then itself. */
  | { readonly type: 'stop' }
