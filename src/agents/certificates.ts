import { type Clock, isoSeconds } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { DAY_MS, HOUR_MS } from '../base/units.ts'
import type { EventDraft } from '../events/event.ts'
import type { Data } from '../events/payloads.ts'
import type { Recorder } from '../events/record.ts'
import type { Agent, Certificate } from './agent.ts'
import type { AgentStore, CertificateEnding } from './port.ts'

/** Time between two checks, ms; the first one is at the start. */
export const CHECK_EVERY_MS = HOUR_MS
/** A certificate with no more than this left is said to be expiring, ms (MFTPlus, "Webhooks"). */
export const EXPIRING_MS = 30 * DAY_MS
/** Certificates of one step of a check. */
const STEP = 100

export interface CertificateWatchParts {
  readonly store: Pick<AgentStore, 'endingCertificates' | 'sayCertificateEnding'>
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
}

/**
 * Says of each certificate once that it ends soon, and once that it has ended. What was said is in the database, in the transaction of its event: after
 * a crash, and beside other nodes, the next check says what is left. A certificate that was replaced or revoked is nobody's concern.
 *
 * new → running (start) → stopped.
 */
export class CertificateWatch implements Running {
  readonly #parts: CertificateWatchParts
  readonly #checks: Rounds

  constructor(parts: CertificateWatchParts) {
    this.#parts = parts
    this.#checks = new Rounds({
      clock: parts.clock,
      round: () => this.check(),
      everyMs: CHECK_EVERY_MS,
      failed: (error) => parts.log.warn({ err: error }, 'certificates could not be checked; tried again'),
    })
  }

  start(): void {
    this.#checks.start()
  }

  stop(): Promise<void> {
    return this.#checks.stop()
  }

  async check(): Promise<void> {
    const now = this.#parts.clock.now()
    await this.#say('expired', 0, now)
    // One that has ended already is not expiring any more.
    await this.#say('expiring', now, now + EXPIRING_MS)
  }

  async #say(kind: CertificateEnding, from: number, until: number): Promise<void> {
    const { store, clock, log } = this.#parts
    for (;;) {
      const ending = await store.endingCertificates(kind, from, until, STEP)
      for (const { agent, certificate } of ending) {
        const isSaid = await store.sayCertificateEnding(certificate.id, kind, clock.now(), this.#event(kind, agent, certificate))
        if (isSaid) log.warn({ agentId: agent.id, certificateId: certificate.id }, `a certificate of an agent is ${kind}`)
      }
      // Each of them is said now, here or by another node, so the next step has others.
      if (ending.length < STEP || !this.#checks.isRunning) return
    }
  }

  #event(kind: CertificateEnding, agent: Agent, { id, expiresAt }: Certificate): EventDraft {
    const { recorder, clock } = this.#parts
    const data: Data<'agent.certificate.expired'> = {
      ...{ agentId: agent.id, agentName: agent.name },
      ...{ certificateId: id, expiresAt: isoSeconds(expiresAt) },
    }
    if (kind === 'expired') return recorder.draft('agent.certificate.expired', null, data)
    const daysRemaining = Math.ceil((expiresAt - clock.now()) / DAY_MS)
    return recorder.draft('agent.certificate.expiring', null, { ...data, daysRemaining })
  }
}
