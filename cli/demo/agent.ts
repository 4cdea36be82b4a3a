import { randomBytes } from 'node:crypto'
import type { Client } from '../client.ts'
import { lineOf } from '../transfer.ts'
import type { Ready } from './server.ts'
import { upload } from './upload.ts'

/** Somebody else's file, and how fast it is fetched: slow enough to be watched. */
const FILE_BYTES = 24 * 1024 * 1024
const BYTES_PER_SECOND = 8 * 1024 * 1024
/** How long the agent may take to be there, and the transfer to end, ms. */
const AGENT_MS = 20_000
const TRANSFER_MS = 60_000
const ASK_EVERY_MS = 150

/** A file waits at the partner's; answers its path. */
export async function placeFile(partner: Ready, login: { username: string; password: string }): Promise<string> {
  const path = '/catalogue.bin'
  await upload(partner, login, path, randomBytes(FILE_BYTES))
  return path
}

/** The agent inside the server, once it has connected. */
export async function builtinAgent(client: Client): Promise<{ id: string; name: string }> {
  const expiry = performance.now() + AGENT_MS
  for (;;) {
    const { agents } = await client.call<{ agents: { id: string; name: string; status: string; isBuiltin: boolean }[] }>(
      'GET',
      '/api/agents',
    )
    const agent = agents.find(({ isBuiltin, status }) => isBuiltin && status !== 'offline')
    if (agent !== undefined) return agent
    if (performance.now() > expiry) throw new Error(`the agent of the server was not online within ${AGENT_MS} ms`)
    await rest()
  }
}

/** A remote is somebody else's server: its password is sealed, and the key that it shows first is pinned. */
export async function makeRemote(client: Client, partner: Ready, login: { username: string; password: string }): Promise<string> {
  const colon = partner.sftp.lastIndexOf(':')
  const { remote } = await client.call<{ remote: { id: string } }>('POST', '/api/remotes', {
    ...{ name: 'partner', protocol: 'sftp', host: partner.sftp.slice(0, colon), port: Number(partner.sftp.slice(colon + 1)) },
    ...{ ...login, trustFirstHostKey: true },
  })
  return remote.id
}

export type Transfer = Parameters<typeof lineOf>[0]

/** Has the agent fetch the file; `show` hears each look at it, with the line that people see. */
export async function fetched(
  client: Client,
  work: { agentId: string; remoteId: string; sourceUrl: string; destinationPath: string },
  show: (transfer: Transfer, line: string) => void,
): Promise<Transfer> {
  const asked = { ...work, direction: 'pull', bytesPerSecond: BYTES_PER_SECOND }
  const { transfer } = await client.call<{ transfer: Transfer }>('POST', '/api/transfers', asked)
  const expiry = performance.now() + TRANSFER_MS
  for (;;) {
    const { transfer: row } = await client.call<{ transfer: Transfer }>('GET', `/api/transfers/${transfer.id}`)
    show(row, lineOf(row))
    if (row.status !== 'queued' && row.status !== 'running') return row
    if (performance.now() > expiry) throw new Error(`the transfer ${row.id} was still ${row.status} after ${TRANSFER_MS} ms`)
    await rest()
  }
}

function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
}
