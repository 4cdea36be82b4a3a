import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Endpoint, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'
import { openClient } from '../clients/open.ts'
import type { StopReason, WorkContext } from './context.ts'

/** A folder of its own, with one for the agent and one that is opened for files. */
export async function freshGround(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-work-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface Bench {
  readonly context: WorkContext
  readonly reports: WorkReport[]
  /** The states of the reports, without the running ones. */
  readonly said: () => string[]
  stop(reason: StopReason): void
}

/** An agent for one piece of work. `answers` decides what the server says to a report. */
export function workBench(
  folder: string,
  {
    roots = [folder],
    clock = systemClock,
    answers = () => true,
    open = (endpoint, context) => openClient(endpoint, context),
  }: {
    roots?: readonly string[]
    clock?: Clock
    answers?: (report: WorkReport) => boolean
    open?: (endpoint: Endpoint, context: Parameters<typeof openClient>[1]) => Promise<Client>
  } = {},
): Bench {
  const controller = new AbortController()
  const reports: WorkReport[] = []
  return {
    reports,
    said: () => reports.map(({ state }) => state).filter((state) => state !== 'running'),
    stop: (reason) => controller.abort(reason),
    context: {
      folder: join(folder, '.agent'),
      clock,
      log: silentLog,
      signal: controller.signal,
      async report(report) {
        reports.push(report)
        return { go: answers(report) }
      },
      open: (endpoint, signal) =>
        open(endpoint, {
          clock,
          log: silentLog,
          signal,
          roots,
          lease: 'lease',
          server: { origin: '', dispatcher: undefined as never },
        }),
    },
  }
}

/** A copy between two paths of this machine; members are replaced as given. */
export function localWork(source: string, destination: string, members: Partial<TransferWork> = {}): TransferWork {
  return {
    kind: 'transfer',
    lease: 'lease',
    transferId: 'trf_0123456789ab',
    direction: 'pull',
    source: { endpoint: { protocol: 'local' }, path: source },
    destination: { endpoint: { protocol: 'local' }, path: destination },
    bytesPerSecond: null,
    postAction: { kind: 'keep' },
    hasArrived: false,
    expected: null,
    deadlineMs: null,
    ...members,
  }
}

/** Bytes that differ everywhere, the same for the same seed. */
export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  for (let at = length - (length % 4); at < length; at++) bytes[at] = at & 255
  return bytes
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Every file below a folder with its bytes' hash, hidden ones too, but the journal. */
export async function filesBelow(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.parentPath.includes('.agent')) continue
    const path = join(entry.parentPath, entry.name)
    found[path.slice(folder.length + 1)] = sha256Of(await readFile(path))
  }
  return found
}
