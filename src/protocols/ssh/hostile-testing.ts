/** The server of hostile.test.ts, in a process of its own so that its memory can be measured. Needs --expose-gc. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB } from '../../base/units.ts'
import { type FolderSpace, folderSpace } from '../sftp/testing.ts'
import { startTestServer } from './testing.ts'

const spaces: FolderSpace[] = []
const server = await startTestServer({
  space: (folder) => {
    const space = folderSpace(folder)
    spaces.push(space)
    return space
  },
})
await writeFile(join(server.folder, 'x'), randomBytes(16 * MIB))

process.on('message', async (message: 'stall' | 'measure' | 'stop') => {
  if (message === 'stall') for (const space of spaces) space.stall = new Promise(() => {})
  if (message === 'stop') {
    await server.stop()
    process.exit(0)
  }
  if (message === 'measure') {
    // Twice: buffers are freed one collection after their owners.
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  process.send!({ rss: process.memoryUsage().rss, bytes: server.server.bytes })
})
process.on('disconnect', () => process.exit(0))
process.send!({ port: server.port })
