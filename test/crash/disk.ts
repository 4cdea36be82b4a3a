import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { hashOf } from './content.ts'
import type { Disk } from './evidence.ts'

/** Where the server keeps what is not yet a file, in the storage. */
const TEMPORARIES = '.landfall/uploads'

/** What lies in the storage: the files and folders of the user whose home this is, and all temporaries. */
export async function readDisk(storage: string, home: string): Promise<Disk> {
  const files = new Map<string, { hash: string; bytes: number }>()
  const folders = new Set<string>()
  const top = join(storage, home)
  for (const entry of await readdir(top, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = `/${relative(top, path)}`
    if (entry.isDirectory()) {
      folders.add(name)
      continue
    }
    const content = await readFile(path)
    files.set(name, { hash: hashOf(content), bytes: content.length })
  }
  const temporaries = new Map<string, number>()
  for (const entry of await readdir(join(storage, TEMPORARIES), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isDirectory()) temporaries.set(`/${relative(storage, path)}`, (await stat(path)).size)
  }
  return { files, folders, temporaries }
}
