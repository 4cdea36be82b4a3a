import { connect, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { FTPContext } from 'basic-ftp'
import type { Clock } from '../../src/base/clock.ts'
import { SECOND_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'

/** When the data connection breaks, the server says why on the control connection, as a rule; it has this long for it, ms. */
const REASON_MS = 3 * SECOND_MS

/**
 * Opens a data connection to the server that the control connection leads to, whatever address a reply names: an address of another host would be a way to
 * have this agent connect to where the server cannot. EPSV first, because it names none.
 */
export async function openData(ftp: FTPContext, checksIdentity: (socket: TLSSocket) => Error | undefined): Promise<DataLine> {
  const port = await passivePort(ftp)
  const host = ftp.socket.remoteAddress
  if (host === undefined) throw new TransferFailure('CONNECTION_LOST', 'The control connection is closed.')
  const plain = connect({ host, port })
  // What goes wrong shows where the socket is used; without a listener it would end the process.
  plain.on('error', () => {})
  plain.setNoDelay(true)
  await opened(plain, ftp.timeout)
  if (!(ftp.socket instanceof TLSSocket)) return { socket: plain, secured: async () => {} }
  // The session of the control connection goes on: many servers demand it, as proof that both connections are the same client's.
  const session = ftp.tlsSessionStore ?? ftp.socket.getSession()
  const secure = connectTls({ ...ftp.tlsOptions, socket: plain, ...(session !== undefined && { session }) })
  secure.on('error', () => {})
  secure.on('session', (ticket) => {
    ftp.tlsSessionStore = ticket
  })
  const secured = new Promise<void>((resolve, reject) => {
    secure.once('close', () => reject(whyClosed(secure)))
    secure.once('secureConnect', () => {
      const fault = secure.isSessionReused() ? undefined : checksIdentity(secure)
      if (fault === undefined) resolve()
      else secure.destroy(fault)
    })
  })
  secured.catch(() => {})
  return { socket: secure, secured: () => secured }
}

/** A data connection; some servers begin TLS on it only after the command, so `secured` is waited for after that. */
export interface DataLine {
  readonly socket: Socket
  secured(): Promise<void>
}

async function passivePort(ftp: FTPContext): Promise<number> {
  const extended = await ftp.request('EPSV').catch((error) => error as Error & { code?: unknown })
  if (!(extended instanceof Error)) return numberIn(extended.message, /\((?:[|!]{3})(\d{1,5})[|!]\)/)
  // The line is gone; else it is a server that knows PASV only.
  if (typeof extended.code !== 'number') throw extended
  const { message } = await ftp.request('PASV')
  const found = /(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})/.exec(message)
  if (found === null) throw new TransferFailure('PROTOCOL_ERROR', 'The server answered PASV without an address.')
  return checkedPort(Number(found[5]) * 256 + Number(found[6]))
}

function numberIn(message: string, pattern: RegExp): number {
  const found = pattern.exec(message)
  if (found === null) throw new TransferFailure('PROTOCOL_ERROR', 'The server answered EPSV without a port.')
  return checkedPort(Number(found[1]))
}

function checkedPort(port: number): number {
  if (port >= 1 && port <= 65_535) return port
  throw new TransferFailure('PROTOCOL_ERROR', `The server named port ${port} for its data.`)
}

function opened(socket: Socket, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new TransferFailure('TIMEOUT', 'The data connection did not open in time.')),
    )
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      socket.off('error', reject)
      resolve()
    })
  })
}

export type Direction = 'in' | 'out'

export interface DataCommand {
  readonly command: string
  readonly direction: Direction
  /** Carries the bytes over the open data connection; resolves when all have gone. */
  carry(socket: Socket): Promise<void>
}

/**
 * One command with a data connection, until both have said that it is done: the data connection by its end, the server by its reply. A data connection that
 * merely ends proves nothing (RFC 959 has no length), and the reply may come before the last bytes.
 *
 * Where both fail, the reply counts, because it says why. Without a reply the control connection is closed: nobody knows what it would say next.
 */
export async function transferData(
  ftp: FTPContext,
  clock: Clock,
  { socket, secured }: DataLine,
  { command, direction, carry }: DataCommand,
): Promise<void> {
  const begun = Promise.withResolvers<void>()
  const confirmed: Promise<void> = ftp.handle(command, (reply, task) => {
    if (reply instanceof Error) task.reject(reply)
    else if (reply.code < 200) begun.resolve()
    else if (reply.code < 300) task.resolve(undefined)
    else task.reject(new TransferFailure('PROTOCOL_ERROR', `The server answered ${command.split(' ')[0]} with ${reply.code}.`))
  })
  // Servers may leave out the reply at the beginning; one that refuses ends the data connection here, too.
  confirmed.then(begun.resolve, (error) => {
    begun.reject(error)
    socket.destroy(error)
  })
  const letGo = watchStall(socket, direction, ftp.timeout)
  try {
    await begun.promise
    // While bytes flow the control connection is silent; routers on the way hear of it by TCP's own probes.
    ftp.socket.setTimeout(0)
    await secured()
    if (socket.destroyed) throw whyClosed(socket)
    await carry(socket)
  } catch (error) {
    const cancel = clock.after(REASON_MS, () => ftp.closeWithError(error as Error))
    await confirmed.finally(() => {
      cancel()
      socket.destroy()
    })
    ftp.closeWithError(error as Error)
    throw error
  } finally {
    letGo()
  }
  // Closed before the server has read all, it would take what is still on its way, and the session tickets of TLS that nobody reads, for a break.
  ftp.socket.setTimeout(ftp.timeout)
  await confirmed.finally(() => socket.destroy())
}

function whyClosed(socket: Socket): Error {
  return socket.errored ?? new TransferFailure('CONNECTION_LOST', 'The data connection was closed.')
}

/** Ends a data connection on which the server has been silent for so long; time that it waits for this side does not count. */
function watchStall(socket: Socket, direction: Direction, timeoutMs: number): () => void {
  const look = () => {
    const waitsForServer = direction === 'in' ? !socket.isPaused() : socket.writableLength > 0
    if (waitsForServer) socket.destroy(new TransferFailure('TIMEOUT', 'The server stopped taking or sending data.'))
    else socket.setTimeout(timeoutMs)
  }
  socket.setTimeout(timeoutMs)
  socket.on('timeout', look)
  return () => socket.off('timeout', look)
}
