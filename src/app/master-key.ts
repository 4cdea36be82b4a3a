import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../base/error.ts'
import { ignoreMissing, writePrivately } from '../base/private-file.ts'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import type { Settings } from '../config/settings.ts'
import type { MasterKeys } from '../webhooks/secrets/reseal.ts'
import type { DataFolder } from './data-folder.ts'

/** How a rotation ends where the old key is a setting. */
export const TAKE_AWAY_BEFORE = 'take LANDFALL_MASTER_KEY_BEFORE away from every node and restart it; keep the old key until then'

/**
 * The master keys: the given one, else those in the file `master.key` of the data folder, made at first start: a line each, the
 * newest first, two only while a rotation is on its way. LANDFALL_MASTER_KEY_BEFORE opens what was sealed under it, whatever
 * the first one is. `otherNodes` tells how many other nodes use the same database.
 */
export async function openMasterKeys(
  folder: DataFolder,
  settings: Pick<Settings, 'masterKey' | 'masterKeyBefore'>,
  otherNodes: () => Promise<number>,
): Promise<MasterKeys> {
  const { masterKey: given, masterKeyBefore } = settings
  const before = masterKeyBefore === '' ? [] : [decoded(masterKeyBefore, 'LANDFALL_MASTER_KEY_BEFORE', 'masterKeyBefore')]
  return given === ''
    ? openKeyFile(join(folder.path, 'master.key'), before, otherNodes)
    : givenKeys(decoded(given, 'LANDFALL_MASTER_KEY', 'masterKey'), before)
}

function givenKeys(first: Buffer, before: readonly Buffer[]): MasterKeys {
  return {
    ring: createSeal(first, ...before),
    async begin() {
      if (before.length > 0) return { made: false }
      throw new AppError(
        'conflict',
        'the master key is given by LANDFALL_MASTER_KEY, so none is made here: restart with a new one there and this one as ' +
          'LANDFALL_MASTER_KEY_BEFORE, then rotate again. With several nodes, first restart each with the new one as ' +
          'LANDFALL_MASTER_KEY_BEFORE, then each with the two exchanged',
      )
    },
    // Other nodes may still seal under the one before, so it goes on opening.
    finish: async () => TAKE_AWAY_BEFORE,
  }
}

async function openKeyFile(path: string, before: readonly Buffer[], otherNodes: () => Promise<number>): Promise<MasterKeys> {
  let keys = (await readKeys(path)) ?? []
  if (keys.length === 0) await write([randomBytes(MASTER_KEY_BYTES)])
  const ring = createSeal(...keys, ...before)

  /** Durable before anything is sealed under a new key. */
  async function write(next: readonly Buffer[]): Promise<void> {
    await writePrivately(path, next.map((key) => `${key.toString('base64')}\n`).join(''))
    keys = next
  }

  return {
    ring,
    async begin() {
      if (keys.length + before.length > 1) return { made: false }
      const nodes = await otherNodes()
      if (nodes > 0)
        throw new AppError(
          'conflict',
          `${nodes} other nodes use this database and could not open what a key made here seals: give the keys to all of them as ` +
            'LANDFALL_MASTER_KEY and LANDFALL_MASTER_KEY_BEFORE',
        )
      await write([randomBytes(MASTER_KEY_BYTES), ...keys])
      ring.use(keys)
      return { made: true }
    },
    async finish() {
      await write(keys.slice(0, 1))
      ring.use([...keys, ...before])
      return before.length === 0 ? null : TAKE_AWAY_BEFORE
    },
  }
}

async function readKeys(path: string): Promise<readonly Buffer[] | undefined> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing)
  return text
    ?.trim()
    .split(/\s+/)
    .map((line) => decoded(line, 'the file master.key in the data folder', 'masterKey'))
}

function decoded(text: string, origin: string, field: string): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length === MASTER_KEY_BYTES) return key
  throw new AppError('setting_invalid', `${origin} is ${MASTER_KEY_BYTES} bytes in base64, and holds ${key.length}`, { field })
}
