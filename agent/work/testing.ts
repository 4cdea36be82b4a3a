import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Arrival, Endpoint, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import type { Client, PartialFile } from '../clients/client.ts'
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
    isLastAttempt: false,
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

export const MIB = 1024 * 1024
/** The part of `localWork` that brings `out/b`. */
export const PART = 'out/.b.trf_0123456789ab.part'

/** `in/a` with these bytes, to be moved to `out/b`. */
export async function ground(t: TestContext, bytes: Uint8Array = bytesOf(3 * MIB)) {
  const folder = await freshGround(t)
  await mkdir(join(folder, 'in'))
  const source = join(folder, 'in/a')
  await writeFile(source, bytes)
  return { folder, source, destination: join(folder, 'out/b'), bytes }
}

export function endOf(reports: readonly WorkReport[]) {
  return reports.at(-1) as WorkReport & { errorCode?: string; error?: string } & Partial<Arrival>
}

/** The destination's client with one call changed. */
export function withPart(change: (part: PartialFile) => Partial<PartialFile>): { open: typeof openClient } {
  return {
    async open(endpoint, context) {
      const client = await openClient(endpoint, context)
      return {
        ...client,
        async write(path, options) {
          const part = await client.write(path, options)
          return { ...part, ...change(part) }
        },
      } satisfies Client
    },
  }
}

/** The destination fails once it has taken so many bytes. */
export function failingAfter(bytes: number, code: 'CONNECTION_LOST' | 'DISK_FULL') {
  let taken = 0
  return withPart((part) => ({
    async append(chunk) {
      taken += chunk.length
      if (taken > bytes) throw new TransferFailure(code, 'It broke.')
      await part.append(chunk)
    },
  }))
}
