import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent as HttpAgent } from 'undici'
import type { Agent } from '../../src/agents/agent.ts'
import { createSpaces } from '../../src/api/agents/spaces.ts'
import { createGround } from '../../src/api/ground.ts'
import { asMftplusError } from '../../src/api/mftplus/shapes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { openWorld } from '../../src/files/testing.ts'
import { onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'
import { startRelay } from './relay.ts'

const LEASE = 'lease_of_tests'

/** The server's side of spaces over real files; certificates and leases have tests of their own. */
export const kind: PeerKind = {
  name: 'space',
  missing: undefined,
  resumes: { pull: true, push: true },
  async start() {
    const world = await openWorld()
    await mkdir(join(world.home, 'files'), { recursive: true })
    const spaces = createSpaces({
      grantsOf: async () => [{ account: 'default', user: 'partner', transferId: null, may: () => true }],
      isOpen: async () => true,
      openSpace: async ({ address }) => ({
        space: world.files.openSpace({ user: world.user, address, door: 'api' }),
        refresh: async () => {},
        checkRoom: async () => {},
      }),
      ...{ clock: systemClock, log: silentLog },
    })
    const api = createGround(silentLog, (_request, refusal) => asMftplusError(refusal), {})
    api.addHook('onRequest', async (request) => {
      request.agent = { id: 'agent_of_tests' } as Agent
    })
    spaces.addRoutes(api)
    await api.listen({ host: '127.0.0.1', port: 0 })
    const address = api.server.address()
    const relay = await startRelay(typeof address === 'object' && address !== null ? address.port : 0)
    const dispatcher = new HttpAgent()
    return {
      endpoint: { protocol: 'space', account: 'default', user: 'partner' },
      folder: '/files',
      ...{ wrongPassword: undefined, wrongIdentity: undefined, fullFolder: undefined },
      ...onDisk((path) => join(world.home, path)),
      cutAfter: (bytes) => relay.cutAfter(bytes),
      space: { server: { origin: `http://127.0.0.1:${relay.port}`, dispatcher }, lease: LEASE },
      async stop() {
        await dispatcher.destroy()
        await relay.stop()
        await api.close()
        await spaces.stop()
        await world.end()
      },
    }
  },
}
