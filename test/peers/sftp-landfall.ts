import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { connectSsh } from '../../agent/clients/ssh-connection.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { startTestServer } from '../server.ts'
import { onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'
import { startRelay } from './relay.ts'

/** Bytes that no key has as its hash. */
const NO_KEY = `SHA256:${Buffer.alloc(32).toString('base64').replace('=', '')}`

export const kind: PeerKind = {
  name: 'sftp (Landfall)',
  missing: undefined,
  // A partial upload can be written on there and not be read, so that nothing proves what it holds.
  resumes: { pull: true, push: false },
  async start() {
    const server = await startTestServer()
    const { password, home } = await server.makeUser('partner')
    await mkdir(join(home, 'files'), { recursive: true })
    const relay = await startRelay(server.sftpPort)
    const unpinned: SftpEndpoint = {
      protocol: 'sftp',
      host: '127.0.0.1',
      port: relay.port,
      username: 'partner',
      password,
      hostKeys: [],
      trustsFirstKey: true,
    }
    const signal = new AbortController().signal
    const connection = await connectSsh(unpinned, { clock: systemClock, signal })
    connection.close()
    const endpoint = { ...unpinned, hostKeys: [connection.learnedHostKey!], trustsFirstKey: false }
    return {
      endpoint,
      folder: '/files',
      wrongPassword: { ...endpoint, password: 'not that' },
      wrongIdentity: { ...endpoint, hostKeys: [NO_KEY] },
      fullFolder: undefined,
      ...onDisk((path) => join(home, path)),
      cutAfter: (bytes) => relay.cutAfter(bytes),
      async stop() {
        await relay.stop()
        await server.stop()
      },
    }
  },
}
