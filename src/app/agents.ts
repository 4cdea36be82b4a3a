import { type AgentAdmin, createAgentAdmin } from '../agents/administer.ts'
import { createAgentFinder } from '../agents/authenticate.ts'
import { type CertificateAuthority, createAuthority } from '../agents/authority.ts'
import { CertificateWatch } from '../agents/certificates.ts'
import { createEnrolment } from '../agents/enroll.ts'
import { createPresence } from '../agents/presence.ts'
import type { ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Seal } from '../base/seal.ts'
import type { Settings } from '../config/settings.ts'
import type { Recorder } from '../events/record.ts'
import type { Store } from '../store/store.ts'

export interface AgentDeskParts {
  readonly store: Store
  readonly seal: Seal
  readonly settings: Pick<Settings, 'agentHost' | 'agentSilentMs' | 'agentGraceMs' | 'masterKeyLost'>
  readonly recorder: Recorder
  readonly clock: Clock
  readonly node: string
  readonly log: Log
  /** An agent is revoked: what it was doing is over. */
  readonly onRevoked: (agentId: string) => Promise<void>
}

/** What people and agents ask about agents. Silence and ends of certificates are noticed only from `start` to `stop`. */
export interface AgentDesk extends Running {
  readonly authority: CertificateAuthority
  readonly needs: ApiNeeds['agents']
  start(): void
  /** The agent port listens there. */
  listens(address: { readonly host: string; readonly port: number }): void
}

export async function createAgentDesk(parts: AgentDeskParts): Promise<AgentDesk> {
  const { store, seal, settings, recorder, clock, node, log, onRevoked } = parts
  const authority = await createAuthority({ store, seal, clock, acceptsLostKey: settings.masterKeyLost === 'accept' })
  const presence = createPresence({ store, recorder, clock, settings, node, log })
  const certificates = new CertificateWatch({ store, recorder, clock, log })
  const admin: AgentAdmin = createAgentAdmin({
    ...{ store, presence, onRevoked, recorder, clock },
    authorityFingerprint: authority.fingerprint,
  })
  let listening: { readonly host: string; readonly port: number } | undefined
  return {
    authority,
    needs: {
      admin,
      presence,
      enrolment: createEnrolment({ store, authority, recorder, clock }),
      findByKey: createAgentFinder(store),
      authorityCertificate: authority.certificate,
      reachedAt: (asked) => reachedAt(settings.agentHost, listening, asked),
    },
    start() {
      presence.start()
      certificates.start()
    },
    listens(address) {
      listening = address
    },
    async stop() {
      await certificates.stop()
      await presence.stop()
    },
  }
}

/** Who listens on every address is reached at the one that was asked. */
function reachedAt(given: string, listening: { host: string; port: number } | undefined, asked: string): string | null {
  if (given !== '') return given
  if (listening === undefined) return null
  const { host, port } = listening
  const name = host === '0.0.0.0' || host === '::' ? asked : host
  return `${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}:${port}`
}
