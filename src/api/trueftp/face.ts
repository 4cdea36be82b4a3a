import type { Guards } from '../auth.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { addAccountRoute } from './account.ts'
import { addDeliveryRoutes, TrueftpAttemptShape, TrueftpDetailShape, TrueftpPlannedShape } from './deliveries.ts'
import { addEventRoute, FileEventShape } from './events.ts'
import { addFtpUserRoutes, FtpUserShape } from './ftp-users.ts'
import { addMonitoringRoutes, TrueftpAlertShape, TrueftpHealthShape, TrueftpStatsShape } from './monitoring.ts'
import { addPreviewRoutes, TrueftpPreviewedShape } from './preview.ts'
import { addRecoveryRoutes, TrueftpExplanationShape } from './recovery.ts'
import { addReplayRoutes, TrueftpReplayShape } from './replays.ts'
import { addSecretRoute } from './secrets.ts'
import { TrueftpError } from './shapes.ts'
import { addStreamRoute } from './stream.ts'
import { addWebhookRoutes, TrueftpSavedWebhookShape, TrueftpWebhookShape } from './webhooks.ts'

/** The schemas that answers of this face refer to by name. */
export const TRUEFTP_SHAPES = [
  ...[TrueftpError, FtpUserShape, FileEventShape, TrueftpWebhookShape, TrueftpSavedWebhookShape, TrueftpPreviewedShape],
  ...[TrueftpAttemptShape, TrueftpPlannedShape, TrueftpDetailShape],
  ...[TrueftpHealthShape, TrueftpStatsShape, TrueftpAlertShape, TrueftpReplayShape, TrueftpExplanationShape],
]

/** The face of account keys: everything is of the key's account. */
export function addTrueftpFace(face: Api, needs: ApiNeeds, guards: Guards): void {
  face.register(async (guarded) => {
    const api = guarded as Api
    api.addHook('onRequest', guards.accountKey)
    addAccountRoute(api, needs)
    addFtpUserRoutes(api, needs)
    addEventRoute(api, needs)
    addStreamRoute(api, needs)
    addWebhookRoutes(api, needs)
    addPreviewRoutes(api, needs)
    addSecretRoute(api, needs)
    addDeliveryRoutes(api, needs)
    addReplayRoutes(api, needs)
    addRecoveryRoutes(api, needs)
    addMonitoringRoutes(api, needs)
  })
}
