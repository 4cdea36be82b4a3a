import { accountUnits } from './accounts.ts'
import { agentUnits } from './agents.ts'
import { alertUnits } from './alerts.ts'
import { auditUnits } from './audit.ts'
import { claimUnits } from './claims.ts'
import { enrolmentUnits } from './enrolment.ts'
import { eventUnits } from './events.ts'
import { explainUnits } from './explain.ts'
import { fileUnits } from './files.ts'
import { jobUnits } from './jobs.ts'
import { leftoverUnits } from './leftovers.ts'
import { remoteUnits } from './remotes.ts'
import { replayUnits } from './replays.ts'
import { retentionUnits } from './retention.ts'
import { sealedUnits } from './sealed.ts'
import { statsUnits } from './stats.ts'
import { transferUnits } from './transfers.ts'
import { webhookUnits } from './webhooks.ts'

/** Everything that is written once for both databases. */
export const coldUnits = {
  ...accountUnits,
  ...agentUnits,
  ...alertUnits,
  ...auditUnits,
  ...claimUnits,
  ...enrolmentUnits,
  ...eventUnits,
  ...explainUnits,
  ...fileUnits,
  ...jobUnits,
  ...leftoverUnits,
  ...statsUnits,
  ...remoteUnits,
  ...replayUnits,
  ...retentionUnits,
  ...sealedUnits,
  ...transferUnits,
  ...webhookUnits,
}
