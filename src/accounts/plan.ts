/** What each plan includes. Limits are counts unless the name says another unit. */
export const PLANS = {
  starter: { webhooks: false, usersMax: 5, apiKeysMax: 2, webhooksMax: 0 },
  business: { webhooks: true, usersMax: 1_000, apiKeysMax: 100, webhooksMax: 100 },
} as const
export type PlanName = keyof typeof PLANS

/** Plan of the account `default` and of accounts made without naming one. */
export const PLAN_DEFAULT: PlanName = 'business'
