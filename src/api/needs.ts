import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { AccountAdmin } from '../accounts/administer.ts'
import type { AgentAdmin } from '../agents/administer.ts'
import type { Agent } from '../agents/agent.ts'
import type { Enrolment } from '../agents/enroll.ts'
import type { Presence } from '../agents/presence.ts'
import type { AuditStore } from '../audit/port.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { EventStore } from '../events/port.ts'
import type { JobAdmin } from '../jobs/administer.ts'
import type { TransferAdmin } from '../transfers/administer.ts'
import type { RemoteAdmin } from '../transfers/administer-remotes.ts'
import type { AlertStore } from '../watch/port.ts'
import type { WebhookAdmin } from '../webhooks/admin/administer.ts'
import type { Doctor } from '../webhooks/admin/doctor.ts'
import type { Trigger } from '../webhooks/admin/trigger.ts'
import type { Monitor } from '../webhooks/monitoring/monitor.ts'
import type { Recovery } from '../webhooks/recovery/recovery.ts'
import type { MasterKeyAdmin } from '../webhooks/secrets/reseal.ts'
import type { SecretAdmin } from '../webhooks/secrets/rotate.ts'
import type { HealthProbes } from './health.ts'

/** What the faces need of the layers below. */
export interface ApiNeeds {
  accounts: AccountAdmin
  agents: AgentNeeds
  transfers: TransferNeeds
  jobs: JobNeeds
  remotes: RemoteAdmin
  webhooks: WebhookAdmin
  secrets: SecretAdmin
  recovery: Omit<Recovery, 'start' | 'stop'>
  masterKey: MasterKeyAdmin
  doctor: Doctor
  trigger: Trigger
  events: Pick<EventStore, 'listEvents'>
  audit: Pick<AuditStore, 'listAudit'>
  monitor: Monitor
  alerts: Pick<AlertStore, 'listAlerts' | 'findAlert'>
  health: HealthProbes
  settings: {
    /** Window in which an account key may make its number of requests. */
    keyRateWindowMs: number
  }
  clock: Clock
  log: Log
  version: string
}

/** Jobs, and the agents that they name. */
export interface JobNeeds {
  readonly admin: JobAdmin
  readonly findAgents: (ids: readonly string[]) => Promise<Agent[]>
}

export interface TransferNeeds {
  admin: TransferAdmin
  findAgents(ids: readonly string[]): Promise<Agent[]>
}

export interface AgentNeeds {
  admin: AgentAdmin
  enrolment: Enrolment
  presence: Presence
  /** The agent of this key; revoked ones have none. */
  findByKey(key: string): Promise<Agent | undefined>
  /** PEM of the authority that agents pin. */
  authorityCertificate: string
  /** `host:port` of the agent port for somebody who reached this server at `asked`; null: it does not listen. */
  reachedAt(asked: string): string | null
}

/** A Fastify instance whose routes are typed by their TypeBox schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>
