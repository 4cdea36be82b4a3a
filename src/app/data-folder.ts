import { chmod, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../base/error.ts'
import { ignoreMissing, writePrivately } from '../base/private-file.ts'

/** What the data folder holds, by its fixed names. All but the files are readable by the owner only. */
export interface DataFolder {
  readonly path: string
  readonly database: string
  readonly files: string
  readonly keys: string
  /** Folder of the built-in agent. */
  readonly agent: string
  /** Written once all listeners are up, removed at a clean stop: how the command line finds the running server. */
  readonly running: string
}

export async function openDataFolder(path: string): Promise<DataFolder> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
  } catch (cause) {
    throw new AppError('setting_invalid', `the data folder ${path} cannot be made: ${(cause as Error).message}`, {
      field: 'data',
      cause,
    })
  }
  return {
    path,
    database: join(path, 'landfall.sqlite'),
    files: join(path, 'files'),
    keys: join(path, 'keys'),
    agent: join(path, 'agent'),
    running: join(path, 'running.json'),
  }
}

/**
 * The node that last ran on this data folder, or undefined at the first start. Whoever holds the folder's lock knows that it is
 * gone.
 */
export async function lastNode(folder: DataFolder): Promise<string | undefined> {
  return (await readFile(join(folder.path, 'node'), 'utf8').catch(ignoreMissing))?.trim()
}

export async function writeNode(folder: DataFolder, node: string): Promise<void> {
  await writePrivately(join(folder.path, 'node'), `${node}\n`)
}

/** The token of the first administrator, in clear from before it counts until it has been shown. */
export function unshownToken(folder: DataFolder) {
  const path = join(folder.path, 'first-admin-token')
  return {
    read: async () => (await readFile(path, 'utf8').catch(ignoreMissing))?.trim(),
    keep: (token: string) => writePrivately(path, `${token}\n`),
    forget: () => rm(path, { force: true }),
  }
}

/** Where the running server listens, and the token of this run for the local command line. */
export interface RunningServer {
  readonly pid: number
  readonly http: string
  readonly agents: string
  readonly token: string
}

export async function writeRunning(folder: DataFolder, running: RunningServer): Promise<void> {
  await writePrivately(folder.running, `${JSON.stringify(running)}\n`)
}

export async function readRunning(folder: string): Promise<RunningServer | undefined> {
  const text = await readFile(join(folder, 'running.json'), 'utf8').catch(ignoreMissing)
  return text === undefined ? undefined : (JSON.parse(text) as RunningServer)
}

export async function removeRunning(folder: DataFolder): Promise<void> {
  await rm(folder.running, { force: true })
}
