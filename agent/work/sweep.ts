import { basename, dirname, join } from 'node:path/posix'
import type { Clock } from '../../src/base/clock.ts'
import type { Log } from '../../src/base/log.ts'
import { partialName } from '../clients/client.ts'
import { openLocal } from '../clients/local.ts'
import { Journal, type JournalEntry } from './journal.ts'

/**
 * Forgets transfers that nobody has taken up again for a week, with what they left on this machine. (What they left elsewhere cannot be reached: the agent keeps no
 * credentials.) For the start of an agent.
 */
export async function sweepWork({ folder, roots, clock, log }: SweepParts): Promise<void> {
  const local = await openLocal({ protocol: 'local' }, { roots, signal: new AbortController().signal })
  async function forget({ transferId, destination: { protocol, path } }: JournalEntry): Promise<void> {
    if (protocol !== 'local') return
    const part = join(dirname(path), partialName(basename(path), transferId))
    await local.remove(part).catch((error) => log.warn({ transferId, err: error }, 'what a transfer left was not removed'))
  }
  const sweeping = new Journal(folder).sweep(clock.now(), forget)
  await sweeping.catch((error) => log.warn({ err: error }, 'the journal was not swept'))
}

export interface SweepParts {
  readonly folder: string
  readonly roots: readonly string[]
  readonly clock: Clock
  readonly log: Log
}
