/** An SSH server over a folder, with one user, for tests of the protocol alone. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { newKeyPair } from '../../../test/ssh-key.ts'
import type { User } from '../../accounts/user.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import { systemClock } from '../../base/clock.ts'
import { openLog, silentLog } from '../../base/log.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Space } from '../../files/space.ts'
import { folderSpace } from '../sftp/testing.ts'
import type { HostKey } from './host-keys.ts'
import { createSshServer, type SshLimits, type SshServer, type SshServerNeeds } from './server.ts'

export const PASSWORD = 'correct horse battery staple'

export interface TestServer {
  readonly server: SshServer
  readonly port: number
  readonly folder: string
  readonly user: User
  readonly audit: AuditEntry[]
  /** A private key of the user, in PEM. */
  readonly privateKey: string
  stop(): Promise<void>
}

const TEST_LIMITS: SshLimits = {
  handshakeDeadlineMs: 10 * SECOND_MS,
  loginDeadlineMs: 30 * SECOND_MS,
  idleMs: 900 * SECOND_MS,
  loginTries: 6,
  connectionsMax: 100,
  connectionsPerAddressMax: 100,
  connectionsPerUserMax: 100,
  handlesMax: 64,
}

let hostKey: HostKey | undefined

/** One ed25519 key for all servers of a test run: making one takes longer than most tests. */
function testHostKey(): HostKey {
  if (hostKey === undefined) {
    const { private: privateKey } = newKeyPair()
    hostKey = { type: 'ssh-ed25519', fingerprint: '', publicLine: '', privateKey }
  }
  return hostKey
}

export async function startTestServer(
  options: { limits?: Partial<SshLimits>; space?: (folder: string) => Space } & Partial<
    Pick<SshServerNeeds, 'clock' | 'rekey' | 'log'>
  > = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-ssh-'))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }) as string
  const parsed = ssh2.utils.parseKey(pem)
  if (parsed instanceof Error) throw parsed
  const key = { id: 'ukey_1', type: 'ssh-rsa', blob: parsed.getPublicSSH().toString('base64'), comment: '', fingerprint: '' }
  const user: User = {
    id: 'usr_1',
    accountId: 'acc_1',
    accountSlug: 'default',
    name: 'pipeline',
    passwordHash: 'x',
    publicKeys: [key],
    home: '/',
    permissions: ['list', 'read', 'write', 'delete'],
    disabled: false,
    createdAt: 0,
    updatedAt: 0,
  }
  const audit: AuditEntry[] = []
  const server = createSshServer({
    hostKeys: [testHostKey()],
    address: { host: '127.0.0.1', port: 0 },
    limits: { ...TEST_LIMITS, ...options.limits },
    authenticator: {
      findUser: async (login) => (login === 'pipeline' || login === 'default:pipeline' ? user : undefined),
      checkPassword: async (found, password) => found !== undefined && password === PASSWORD,
    },
    openSession: async () => (options.space ?? folderSpace)(folder),
    audit: { append: (entries) => audit.push(...entries) },
    clock: options.clock ?? systemClock,
    log: options.log ?? (process.env.LOG ? openLog('debug') : silentLog),
    ...(options.rekey === undefined ? {} : { rekey: options.rekey }),
  })
  const { port } = await server.start()
  const stop = async () => {
    await server.stop(0)
    await rm(folder, { recursive: true, force: true })
  }
  return { server, port, folder, user, audit, privateKey: pem, stop }
}
