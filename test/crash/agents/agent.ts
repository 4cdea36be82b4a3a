// An agent of the storm: the real one, in a process of its own, that ends itself without a word when it reaches the point it is armed
// with. Its one argument is JSON, see `AgentOrders`; its one line on stdout says that it is enrolled, or connected for the first time.
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'
import type { Client, PartialFile } from '../../../agent/clients/client.ts'
import type { EnrolOptions } from '../../../agent/enroll.ts'
import type { WorkContext } from '../../../agent/work/context.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { openLog } from '../../../src/base/log.ts'
import { armed } from '../armed.ts'
import type { Arm } from '../server.ts'
import { type AgentPoint, SAVED } from './points.ts'

export interface AgentOrders {
  readonly arm: Arm<AgentPoint> | null
  /** Enrols and ends; absent: runs. */
  readonly enrol?: EnrolOptions
  readonly folder: string
  /** Its clock is ahead by this much, ms: what is due later is due now. */
  readonly aheadMs?: number
}

const orders = JSON.parse(process.argv[2]!) as AgentOrders
const reach = armed(orders.arm) as (point: AgentPoint) => void

// What an agent keeps is written under another name and renamed: the moment after that is the one at which it is saved.
const { rename } = fs
fs.rename = async (from, to) => {
  await rename(from, to)
  const point = SAVED[basename(String(to))]
  if (point !== undefined) reach(point)
}
syncBuiltinESMExports()

if (orders.enrol === undefined) await run()
else await enrol(orders.enrol)

async function enrol(options: EnrolOptions): Promise<void> {
  const enrolling = await import('../../../agent/enroll.ts')
  const { facts } = await enrolling.enrol(options)
  process.stdout.write(`${JSON.stringify(facts)}\n`, () => process.exit(0))
}

async function run(): Promise<void> {
  const [{ runAgent }, { moveFile }, { listFiles }] = await Promise.all([
    import('../../../agent/main.ts'),
    import('../../../agent/work/move.ts'),
    import('../../../agent/work/list.ts'),
  ])
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  let isReady = false
  const end = await runAgent({
    ...{ folder: orders.folder, version: '0.0.0', log: openLog('info'), signal: stop.signal },
    clock: { ...systemClock, now: () => systemClock.now() + (orders.aheadMs ?? 0) },
    // Away from a server that was killed for as short as may be.
    random: () => 0,
    work: {
      moveFile: (work, context) => moveFile(work, watched(context)),
      listFiles: (work, context) => listFiles(work, watched(context)),
    },
    tell(news) {
      process.stderr.write(`${JSON.stringify({ time: Date.now(), pid: process.pid, agent: basename(orders.folder), ...news })}\n`)
      if (news.type === 'connected' && !isReady) process.stdout.write('{}\n')
      isReady ||= news.type === 'connected'
    },
  })
  if (end.kind !== 'stopped') throw new Error(end.message)
  process.exit(0)
}

/** The surroundings of a piece of work, which see how far it comes. */
function watched(context: WorkContext): WorkContext {
  return {
    ...context,
    async report(report) {
      if (report.state === 'arrived') reach('arrival.reporting')
      if (report.state === 'completed') reach('completion.reporting')
      if (report.state === 'listed') reach('listing.reporting')
      const answer = await context.report(report)
      if (report.state === 'arrived') reach('arrival.answered')
      if (report.state === 'completed') reach('completion.answered')
      if (report.state === 'cancelled') reach('cancellation.answered')
      return answer
    },
    open: async (endpoint, signal) => watchedClient(await context.open(endpoint, signal)),
  }
}

function watchedClient(client: Client): Client {
  return overriding(client, {
    write: async (path, options) => watchedPart(await client.write(path, options)),
    async remove(path) {
      await client.remove(path)
      reach('source.seen_to')
    },
    async move(from, to) {
      const isMoved = await client.move(from, to)
      reach('source.seen_to')
      return isMoved
    },
  })
}

function watchedPart(part: PartialFile): PartialFile {
  return overriding(part, {
    async append(chunk) {
      await part.append(chunk)
      reach('part.written')
    },
    async commit(size, sha256) {
      reach('file.committing')
      await part.commit(size, sha256)
      reach('file.committed')
    },
  })
}

/** An object that does all as the other one, which may be of a class, but for some methods. */
function overriding<Target extends object>(target: Target, methods: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(methods, name)) return methods[name as keyof Target]
      const member = target[name as keyof Target]
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
