import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { idleConnections, keyOf } from './idle.ts'
import type { ClientContext } from './open.ts'
import { SftpLine } from './sftp-line.ts'
import { connectSsh } from './ssh-connection.ts'

/**
 * Clients over one line at the same time. The requests of two share packets and wake the server less often; with more, one waits for the syncs of another, since the server
 * behind a line does one thing after the other.
 */
const USERS_MAX = 2

interface Used {
  readonly key: string
  readonly line: SftpLine
  users: number
}

/** Connections that are being opened to one place at the same time: of more than ten that have not logged in, OpenSSH refuses some (`MaxStartups`). */
const DIALS_MAX = 4
const dials = new Map<string, Set<Promise<void>>>()

/** Lines with users. A large file does not share: everybody else's answers would come behind its bytes. */
const inUse = new Set<Used>()

/** A line to the endpoint: one of another client, one that was left, or a new one. */
export async function takeLine(endpoint: SftpEndpoint, context: ClientContext): Promise<SftpLine> {
  const key = keyOf(endpoint)
  for (;;) {
    if (context.signal.aborted) throw new TransferFailure('CANCELLED', 'The transfer was stopped.')
    const line = shared(key)
    if (line !== undefined) return line
    const left = idleConnections.take<SftpLine>(endpoint)
    if (left !== undefined) return use(key, left)
    const underWay = dials.get(key) ?? new Set()
    if (underWay.size < DIALS_MAX) return await dial(endpoint, context, underWay)
    // By then there may be a line to share.
    await Promise.race(underWay)
  }
}

function shared(key: string): SftpLine | undefined {
  for (const used of inUse) {
    if (used.key !== key || used.users >= USERS_MAX || !used.line.isQuiet || !used.line.isShareable) continue
    used.users++
    return used.line
  }
  return undefined
}

function use(key: string, line: SftpLine): SftpLine {
  inUse.add({ key, line, users: 1 })
  return line
}

async function dial(endpoint: SftpEndpoint, { clock, signal }: ClientContext, underWay: Set<Promise<void>>): Promise<SftpLine> {
  const key = keyOf(endpoint)
  const dialled = connectSsh(endpoint, { clock, signal }).then((connection) => SftpLine.open(connection, clock))
  const ended = dialled.then(
    () => {},
    () => {},
  )
  dials.set(key, underWay.add(ended))
  try {
    return use(key, await dialled)
  } finally {
    underWay.delete(ended)
    if (underWay.size === 0) dials.delete(key)
  }
}

/** Its last user leaves it to whoever comes next. */
export function leaveLine(endpoint: SftpEndpoint, line: SftpLine, { clock }: ClientContext): void {
  for (const used of inUse) {
    if (used.line !== line || --used.users > 0) continue
    inUse.delete(used)
    idleConnections.keep(endpoint, line, clock)
  }
}
