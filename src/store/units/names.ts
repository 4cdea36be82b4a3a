import type { Store } from '../store.ts'
import type { coldUnits } from './cold.ts'

// The names of all units, apart from their code: the near side of a thread knows what to call without loading it.

/** Units that only read: they need no place in a group of writes. */
export const READS = [
  'findAccount',
  'listAccounts',
  'accountUsage',
  'findUser',
  'listUsers',
  'findApiKey',
  'listApiKeys',
  'findAdminToken',
  'listAdminTokens',
  'listAudit',
  'findWebhook',
  'listWebhooks',
  'listDeliveries',
  'findDelivery',
  'listAttempts',
  'targets',
  'findEvent',
  'listEvents',
  'findIntent',
  'countOpenIntents',
  'findPartial',
  'listPartials',
  'tallyOf',
  'tallyOfAll',
  'recentFailures',
  'vitals',
  'findReplay',
  'listReplays',
  'eventsInRange',
  'eventsByIds',
  'sendingsOf',
  'countWaiting',
] as const satisfies (keyof typeof coldUnits)[]

/** Shared units that write. */
export const WRITES = [
  'createAccount',
  'updateAccount',
  'createUser',
  'updateUser',
  'removeUser',
  'createApiKey',
  'revokeApiKey',
  'createAdminToken',
  'replaceAdminToken',
  'revokeAdminToken',
  'appendAudit',
  'beat',
  'forgetNode',
  'freeClaims',
  'unclaim',
  'unclaimAllBut',
  'cancelOrphans',
  'undoIntent',
  'takeIntents',
  'savePartial',
  'takePartial',
  'removePartial',
  'releasePartials',
  'keptTemporaries',
  'createWebhook',
  'updateWebhook',
  'removeWebhook',
  'addDelivery',
  'addTest',
  'createReplay',
  'cancelReplay',
  'takeReplays',
  'releaseReplays',
  'advanceReplay',
  'cancelLeftovers',
] as const satisfies (keyof typeof coldUnits)[]

/** Units written by hand, once for each database. */
export const HOT = [
  'claim',
  'closeIntent',
  'dueWebhooks',
  'recordChange',
  'recordEvents',
  'recordFact',
  'settle',
  'ping',
] as const satisfies (keyof Store)[]

export type UnitName = (typeof READS)[number] | (typeof WRITES)[number] | (typeof HOT)[number]
