import type { Dispatcher } from 'undici'
import type { Clock } from '../../src/base/clock.ts'
import type { Log } from '../../src/base/log.ts'
import type { Endpoint } from '../../src/wire/agent/work.ts'
import type { Client } from './client.ts'

/** What clients of every protocol are given. */
export interface ClientContext {
  readonly clock: Clock
  readonly log: Log
  /** Ends everything that is under way, connections too, within a second. */
  readonly signal: AbortSignal
  /** Folders of this machine that may be read and written, absolute; everything below them. */
  readonly roots: readonly string[]
  /** The way to spaces of the server. */
  readonly server: ServerAccess
  /** The lease of the work: what lets the agent into the space that the work names. */
  readonly lease: string
}

/** Requests to the agent port of the server, with the certificate of this agent. */
export interface ServerAccess {
  /** `https://host:port`; paths as `/agent/v1/…` follow. */
  readonly origin: string
  /** Checks the server against the pinned CA and shows our certificate. */
  readonly dispatcher: Dispatcher
}

/** Opens one side of a transfer. Clients are loaded when first needed: an agent that only speaks SFTP never loads S3. */
export async function openClient(endpoint: Endpoint, context: ClientContext): Promise<Client> {
  switch (endpoint.protocol) {
    case 'local':
      return (await local()).openLocal(endpoint, context)
    case 'space':
      return (await space()).openSpace(endpoint, context)
    case 'sftp':
      return (await sftp()).openSftp(endpoint, context)
    case 'ftp':
    case 'ftps':
      return (await ftp()).openFtp(endpoint, context)
    case 'http':
    case 'https':
      return (await http()).openHttp(endpoint, context)
    case 's3':
      return (await s3()).openS3(endpoint, context)
  }
}

// Asking the loader again for what is loaded takes as long as a request to a server (measured).
const local = once(() => import('./local.ts'))
const space = once(() => import('./space.ts'))
const sftp = once(() => import('./sftp.ts'))
const ftp = once(() => import('./ftp.ts'))
const http = once(() => import('./http.ts'))
const s3 = once(() => import('./s3.ts'))

function once<Module>(load: () => Promise<Module>): () => Promise<Module> {
  let loaded: Promise<Module> | undefined
  return () => {
    loaded ??= load()
    return loaded
  }
}
