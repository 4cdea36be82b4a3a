import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mountSmallDisk, onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'

/** Another folder of this machine; what is pulled and pushed is copied. */
export const kind: PeerKind = {
  name: 'local',
  missing: undefined,
  resumes: { pull: true, push: true },
  async start() {
    const root = await mkdtemp(join(tmpdir(), 'landfall-local-'))
    const folder = join(root, 'files')
    await mkdir(folder)
    const small = await mountSmallDisk(join(root, 'small'))
    const endpoint = { protocol: 'local' } as const
    return {
      endpoint,
      folder,
      wrongPassword: undefined,
      wrongIdentity: undefined,
      fullFolder: small && { endpoint, folder: join(root, 'small') },
      ...onDisk((path) => path),
      cutAfter: undefined,
      roots: [root],
      async stop() {
        await small?.stop()
        await rm(root, { recursive: true, force: true })
      },
    }
  },
}
