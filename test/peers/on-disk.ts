import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { FULL_DISK_BYTES, type Peer } from './peer.ts'

const run = promisify(execFile)

/** The files of a peer that keeps them in a folder of this machine; `real` turns a path of the peer into one of this machine. */
export function onDisk(real: (path: string) => string): Pick<Peer, 'put' | 'get' | 'names'> {
  return {
    async put(path, bytes) {
      await mkdir(dirname(real(path)), { recursive: true })
      await writeFile(real(path), bytes)
    },
    get: (path) => readFile(real(path)).catch(() => undefined),
    names: (folder) => readdir(real(folder)),
  }
}

export interface SmallDisk {
  stop(): Promise<void>
}

/** A disk with room for `FULL_DISK_BYTES` at a folder; undefined where this process may not mount one. */
export async function mountSmallDisk(folder: string): Promise<SmallDisk | undefined> {
  await mkdir(folder, { recursive: true })
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${FULL_DISK_BYTES}`, 'tmpfs', folder])
  } catch {
    await rm(folder, { recursive: true })
    return undefined
  }
  await chmod(folder, 0o777)
  return {
    async stop() {
      await run('umount', ['-l', folder])
    },
  }
}
