import { once } from 'node:events'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import ssh2, { type CipherAlgorithm } from 'ssh2'
import type { Authenticator } from '../../accounts/authenticate.ts'
import type { User } from '../../accounts/user.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { newId } from '../../base/id.ts'
import type { Log } from '../../base/log.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Space } from '../../files/space.ts'
import { algorithms } from './algorithms.ts'
import { testCiphers } from './cipher-self-test.ts'
import { Connection, type ConnectionLimits, type LoginReport, turnAway } from './connection.ts'
import type { HostKey } from './host-keys.ts'

export interface SshLimits extends ConnectionLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly connectionsPerUserMax: number
}

export interface SshServerNeeds {
  readonly hostKeys: readonly HostKey[]
  /** Port 0: the system chooses one. */
  readonly address: { readonly host: string; readonly port: number }
  readonly limits: SshLimits
  readonly authenticator: Authenticator
  /** The files of this user for one SFTP session. What the user may do is asked at each operation, so that changes take effect at once. */
  openSession(user: User, address: string): Promise<Space>
  readonly audit: { append(entries: readonly AuditEntry[]): void }
  readonly clock: Clock
  readonly log: Log
  /** New keys after this many bytes and this time; 1 GiB and 1 h unless a test says otherwise. */
  readonly rekey?: { bytes: number; ms: number }
}

export interface SshServer {
  /** Listens, and says where. The ciphers have been tested by then. */
  start(): Promise<{ host: string; port: number }>
  /** No new connections and requests; what is under way may end for `deadlineMs`, then it is cut. */
  stop(deadlineMs: number): Promise<void>
  /** Ends all connections of a user, who was disabled or removed. Returns how many. */
  disconnectUser(userId: string): number
  /** Who is logged in, as read at login; one entry for each connection. */
  readonly users: readonly User[]
  /** Open connections, logged in or not. */
  readonly connections: number
  /** Bytes held for clients, as far as they are counted. */
  readonly bytes: number
}

/** ssh2 asks a silent client every so often whether it is there, and ends after so many questions without an answer. */
const KEEPALIVE = { keepaliveInterval: 30 * SECOND_MS, keepaliveCountMax: 10 }
/** Shown to clients as `SSH-2.0-Landfall`; the version is nobody's business. */
const IDENT = 'Landfall'

/**
 * The SSH door: our own listener, so that sockets, limits and deadlines are ours; ssh2 speaks SSH over the sockets.
 */
export function createSshServer(needs: SshServerNeeds): SshServer {
  const { limits, clock, log } = needs
  const connections = new Set<Connection>()
  /** The connection whose socket ssh2 is being given; it makes its object when the peer's first line came. */
  const bySocket = new WeakMap<object, Connection>()
  let listener: NetServer | undefined

  const report = ({ action, user, name, address, result, detail }: LoginReport) => {
    const at = clock.now()
    const accountId = user?.accountId ?? null
    needs.audit.append([
      { id: newId('audit', at), at, accountId, actor: name, address, door: 'sftp', action, target: null, result, detail },
    ])
  }

  const admit = (connection: Connection, user: User) => {
    const count = [...connections].filter((other) => other !== connection && other.user?.id === user.id).length
    if (count >= limits.connectionsPerUserMax) {
      throw new AppError('limit_reached', `user ${user.name} has ${count} of ${limits.connectionsPerUserMax} connections`)
    }
  }

  const accept = (ssh: ssh2.Server, socket: Socket) => {
    const fromAddress = [...connections].filter(({ address }) => address === socket.remoteAddress).length
    if (connections.size >= limits.connectionsMax || fromAddress >= limits.connectionsPerAddressMax) {
      log.warn({ address: socket.remoteAddress, connections: connections.size, fromAddress }, 'too many connections')
      turnAway(socket)
      return
    }
    const { authenticator, openSession, rekey } = needs
    const connection = new Connection(socket, {
      limits,
      authenticator,
      openSession,
      admit,
      report,
      clock,
      log,
      ...(rekey === undefined ? {} : { rekey }),
    })
    connections.add(connection)
    void connection.gone.then(() => connections.delete(connection))
    bySocket.set(socket, connection)
    ssh.injectSocket(socket)
  }

  return {
    async start() {
      const { passed, failed, native } = await testCiphers()
      for (const { cipher, reason } of failed) log.warn({ cipher, reason }, 'cipher not offered: it fails its self-test')
      log.info({ ciphers: passed, native }, native ? 'native SSH ciphers in use' : 'JavaScript SSH ciphers in use')
      const ssh = createSsh2(needs.hostKeys, passed, bySocket)
      listener = createServer({ allowHalfOpen: false, pauseOnConnect: false }, (socket) => accept(ssh, socket))
      listener.listen(needs.address.port, needs.address.host)
      await once(listener, 'listening')
      listener.on('error', (error) => log.error({ err: error }, 'the SSH listener failed'))
      const bound = listener.address()
      if (bound === null || typeof bound === 'string') throw new Error('the SSH listener has no address')
      return { host: bound.address, port: bound.port }
    },
    async stop(deadlineMs) {
      if (listener === undefined) return
      const closed = new Promise<void>((resolve) => listener!.close(() => resolve()))
      listener = undefined
      const gone = [...connections].map((connection) => connection.gone)
      for (const connection of connections) void connection.finish()
      const cancel = clock.after(deadlineMs, () => {
        for (const connection of connections) connection.destroy()
      })
      await Promise.all([closed, ...gone])
      cancel()
    },
    disconnectUser(userId) {
      const theirs = [...connections].filter(({ user }) => user?.id === userId)
      for (const connection of theirs) connection.end('the user may not go on')
      return theirs.length
    },
    get users() {
      return [...connections].flatMap(({ user }) => user ?? [])
    },
    get connections() {
      return connections.size
    },
    get bytes() {
      let bytes = 0
      for (const connection of connections) bytes += connection.bytes
      return bytes
    },
  }
}

/**
 * ssh2 signs with an RSA host key by SHA-1 too, whatever the list of algorithms says (lib/server.js); a key that already names its
 * one algorithm is taken as it is.
 */
function withoutSha1({ privateKey }: HostKey): (string | { key: never })[] {
  const parsed = ssh2.utils.parseKey(privateKey)
  if (parsed instanceof Error || parsed.type !== 'ssh-rsa') return [privateKey]
  return ['rsa-sha2-512', 'rsa-sha2-256'].map((type) => ({ key: Object.create(parsed, { type: { value: type } }) as never }))
}

function createSsh2(hostKeys: readonly HostKey[], ciphers: readonly CipherAlgorithm[], bySocket: WeakMap<object, Connection>) {
  const config = {
    hostKeys: hostKeys.flatMap(withoutSha1),
    algorithms: algorithms(ciphers),
    ident: IDENT,
    ...KEEPALIVE,
  }
  return new ssh2.Server(config, (client) => {
    // The object does not tell its socket in public, and addresses alone might be those of two connections.
    const socket = (client as unknown as { _sock: Socket })._sock
    bySocket.get(socket)?.attach(client)
  })
}
