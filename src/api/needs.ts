import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { AccountAdmin } from '../accounts/administer.ts'
import type { AuditStore } from '../audit/port.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { EventStore } from '../events/port.ts'
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

/** A Fastify instance whose routes are typed by their TypeBox schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>
