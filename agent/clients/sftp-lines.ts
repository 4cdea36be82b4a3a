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

/** Lines with users. A large file does not share: everybody else's answers would come behind its bytes. */
const inUse = new Set<Used>()

/** A line to the endpoint: one of another client, one that was left, or a new one. */
export async function takeLine(endpoint: SftpEndpoint, { clock, signal }: ClientContext): Promise<SftpLine> {
  if (signal.aborted) throw new TransferFailure('CANCELLED', 'The transfer was stopped.')
  const key = keyOf(endpoint)
  for (const used of inUse) {
    if (used.key !== key || used.users >= USERS_MAX || !used.line.isQuiet || !used.line.isShareable) continue
    used.users++
    return used.line
  }
  const line =
    idleConnections.take<SftpLine>(endpoint) ?? (await SftpLine.open(await connectSsh(endpoint, { clock, signal }), clock))
  inUse.add({ key, line, users: 1 })
  return line
}

/** Its last user leaves it to whoever comes next. */
export function leaveLine(endpoint: SftpEndpoint, line: SftpLine, { clock }: ClientContext): void {
  for (const used of inUse) {
    if (used.line !== line || --used.users > 0) continue
    inUse.delete(used)
    idleConnections.keep(endpoint, line, clock)
  }
}
