import type { Guards } from '../auth.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { AccountShape, addAccountRoutes } from './accounts.ts'
import { addAgentCalls, addRegistrationRoute } from './agent-calls.ts'
import { AgentDetailShape, AgentShape, addAgentRoutes, CertificateShape, EnrolmentTokenShape } from './agents.ts'
import { addDeliveryRoutes, DeliveryDetailShape, DeliveryShape } from './deliveries.ts'
import { addDoctorRoutes, DoctorReportShape } from './doctor.ts'
import { AuditShape, addEventRoutes, EventShape, EventTypeShape } from './events.ts'
import { addHealthRoutes, Health } from './health.ts'
import { addJobCalls, addJobRoutes, JobShape, RunShape } from './jobs.ts'
import { AdminTokenShape, addKeyRoutes, KeyShape } from './keys.ts'
import { addMasterKeyRoutes } from './master-key.ts'
import { AlertShape, addMonitoringRoutes, FailureShape, FiguresShape, HealthShape } from './monitoring.ts'
import { addPreviewRoutes, PreviewedEventShape } from './preview.ts'
import { addRecoveryRoutes, ExplanationShape } from './recovery.ts'
import { addRemoteRoutes, RemoteShape } from './remotes.ts'
import { addReplayRoutes, ReplayShape } from './replays.ts'
import { addPublicKeyRoutes, addSecretRoutes } from './secrets.ts'
import { MftplusError, Pagination } from './shapes.ts'
import { addStreamRoute } from './stream.ts'
import { addTransferCalls, addTransferRoutes, TransferShape } from './transfers.ts'
import { addTriggerRoutes } from './trigger.ts'
import { addUserRoutes, UserShape } from './users.ts'
import { addWebhookRoutes, WebhookShape } from './webhooks.ts'

/** The schemas that answers of this face refer to by name. */
export const MFTPLUS_SHAPES = [
  ...[MftplusError, Pagination, Health, WebhookShape, DeliveryShape, DeliveryDetailShape, EventShape, EventTypeShape],
  ...[AuditShape, AccountShape, UserShape, KeyShape, AdminTokenShape, DoctorReportShape, PreviewedEventShape],
  ...[HealthShape, FiguresShape, FailureShape, AlertShape, ReplayShape, ExplanationShape],
  ...[AgentShape, AgentDetailShape, CertificateShape, EnrolmentTokenShape, TransferShape, RemoteShape, JobShape, RunShape],
]

/** What agents call, behind the guard of the listener: their key here, their certificate at the agent port. */
export function addAgentFace(api: Api, needs: ApiNeeds): void {
  addAgentCalls(api, needs)
}

/** What agents and administrators both call, each in their own way; at the agent port only agents. */
export function addSharedFace(api: Api, needs: ApiNeeds): void {
  addTransferCalls(api, needs)
  addJobCalls(api, needs)
}

/** The face of administrators and agents. Health and public keys are for everybody. */
export function addMftplusFace(face: Api, needs: ApiNeeds, guards: Guards): void {
  addHealthRoutes(face, needs)
  addPublicKeyRoutes(face, needs, guards)
  addRegistrationRoute(face, needs, guards)
  face.register(async (guarded) => {
    guarded.addHook('onRequest', guards.agentKey)
    addAgentFace(guarded as Api, needs)
  })
  face.register(async (guarded) => {
    guarded.addHook('onRequest', guards.agentOrAdmin)
    addSharedFace(guarded as Api, needs)
  })
  face.register(async (guarded) => {
    const api = guarded as Api
    api.addHook('onRequest', guards.admin)
    addWebhookRoutes(api, needs)
    addPreviewRoutes(api, needs)
    addSecretRoutes(api, needs)
    addDeliveryRoutes(api, needs)
    addReplayRoutes(api, needs)
    addRecoveryRoutes(api, needs)
    addMonitoringRoutes(api, needs)
    addDoctorRoutes(api, needs)
    addEventRoutes(api, needs)
    addStreamRoute(api, needs)
    addTriggerRoutes(api, needs)
    addAccountRoutes(api, needs)
    addUserRoutes(api, needs)
    addKeyRoutes(api, needs)
    addMasterKeyRoutes(api, needs)
    addAgentRoutes(api, needs)
    addRemoteRoutes(api, needs)
    addTransferRoutes(api, needs)
    addJobRoutes(api, needs)
  })
}
