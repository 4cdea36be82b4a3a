import { generateKeyPairSync } from 'node:crypto'
import type { TestContext } from 'node:test'
import { createRequest } from '../../agent/csr.ts'
import { SERVER_CALLER } from '../audit/caller.ts'
import { type Log, silentLog } from '../base/log.ts'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import { movingClock } from '../base/testing.ts'
import { createRecorder } from '../events/record.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Agent } from './agent.ts'
import { createAuthority } from './authority.ts'
import { createEnrolment } from './enroll.ts'

export const START = Date.UTC(2026, 3, 29, 12)

/** A request for a certificate, with a new key. */
export function aRequest(): string {
  return createRequest(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
}

/** Authority and enrolment over the real embedded store; time moves when it is told to. */
export async function openAgents(t: TestContext) {
  const { store, close } = await openFresh()
  t.after(close)
  const time = movingClock(START)
  const { clock } = time
  const seal = createSeal(new Uint8Array(MASTER_KEY_BYTES))
  const recorder = createRecorder(clock)
  const authority = await createAuthority({ store, seal, clock })
  const enrolment = createEnrolment({ store, authority, recorder, clock })
  const log: Log = silentLog

  let agents = 0
  async function enrol(more = {}): Promise<Agent> {
    agents++
    const input = { hostname: `server${agents}.example.com`, os: 'linux', name: `server ${agents}`, ...more }
    const { agent } = await enrolment.register({ admin: SERVER_CALLER }, input, '192.0.2.1')
    // Events of different moments have an order.
    await time.pass(1)
    return agent
  }

  /** What was said of agents, oldest first; `since` leaves out what came before. */
  async function said(since = 0) {
    const { rows } = await store.listEvents({ since }, { limit: 100, offset: 0 })
    return rows.reverse().map(({ type, occurredAt, data }) => ({ type, at: occurredAt - START, data }))
  }

  /** Moves time in steps, and waits after each until all who watch have asked the store and set their next timers. */
  async function pass(ms: number, stepMs: number): Promise<void> {
    while (time.timers.size === 0) await store.ping()
    const watching = time.timers.size
    for (let passed = 0; passed < ms; passed += stepMs) {
      await time.pass(Math.min(stepMs, ms - passed))
      while (time.timers.size < watching) await store.ping()
    }
  }

  return { store, clock, time, seal, recorder, authority, enrolment, log, enrol, said, pass }
}
