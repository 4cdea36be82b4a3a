import type { Agent } from '../agents/agent.ts'
import { newId } from '../base/id.ts'
import { newTransfer, RETRY_DELAYS_MS, type Remote, type Transfer, type TransferPolicy } from './transfer.ts'

// Values for tests of transfers.

export const POLICY: TransferPolicy = {
  retryDelaysMs: RETRY_DELAYS_MS,
  bytesPerSecond: null,
  postAction: { kind: 'keep' },
  expected: null,
  deadlineMs: null,
  onAgentLost: 'retry',
  parallelism: null,
}

export function anAgent(at: number, more: Partial<Agent> = {}): Agent {
  const id = newId('agent', at)
  return {
    ...{ id, name: 'production-server-1', hostname: 'server1.example.com', os: 'linux', version: '0.1.0', status: 'online' },
    ...{
      isBuiltin: false,
      keyHash: `hash of ${id}`,
      publicKeyHash: `public key of ${id}`,
      ipAddress: '192.0.2.7',
      lastSeenAt: at,
    },
    ...{ streamNode: null, streamLostAt: null, concurrency: 4, load: null, memory: null },
    ...{ createdAt: at, updatedAt: at, revokedAt: null },
    ...more,
  }
}

export function aTransfer(at: number, more: Partial<Transfer> = {}): Transfer {
  const made = newTransfer(
    {
      ...{ agentId: 'agent_made_up', sourceUrl: 'sftp://ftp.example.com/files/data.csv', destinationPath: '/local/data.csv' },
      ...{ direction: 'pull', protocol: 'sftp', isForeign: false, policy: POLICY },
    },
    at,
  )
  return { ...made, ...more }
}

/** One that an agent holds. */
export function aRunning(at: number, more: Partial<Transfer> = {}): Transfer {
  return aTransfer(at, { status: 'running', lease: `lease of ${newId('transfer', at)}`, startedAt: at, ...more })
}

export function aRemote(at: number, more: Partial<Remote> = {}): Remote {
  const id = newId('remote', at)
  return {
    ...{ id, name: id, protocol: 'sftp', host: 'ftp.example.com', port: 22, username: 'me', options: { hostKeys: [HOST_KEY] } },
    ...{ sealedSecrets: 'v1.made-up', createdAt: at, updatedAt: at },
    ...more,
  }
}

export const HOST_KEY = `SHA256:${'a'.repeat(43)}`
export const OTHER_HOST_KEY = `SHA256:${'b'.repeat(43)}`
