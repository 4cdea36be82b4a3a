/** What each plan includes. Limits are counts unless the name says another unit. */
export const PLANS = {
  starter: { webhooks: false, usersMax: 5, apiKeysMax: 2, webhooksMax: 0, filterConditionsMax: 0, concurrencyMax: 0 },
  team: { webhooks: true, usersMax: 50, apiKeysMax: 10, webhooksMax: 10, filterConditionsMax: 5, concurrencyMax: 16 },
  business: { webhooks: true, usersMax: 1_000, apiKeysMax: 100, webhooksMax: 100, filterConditionsMax: 20, concurrencyMax: 100 },
} as const satisfies Record<string, PlanLimits>
export type PlanName = keyof typeof PLANS

/** Limits hold for what is made or changed under the plan; what an account has from a larger one stays. */
export interface PlanLimits extends WebhookLimits {
  readonly usersMax: number
  readonly apiKeysMax: number
}

export interface WebhookLimits {
  /** Without: none are made, and those that there are are turned off. */
  readonly webhooks: boolean
  readonly webhooksMax: number
  /** Conditions in the filter of one webhook. */
  readonly filterConditionsMax: number
  /** Posts of one webhook at once that it may ask for. */
  readonly concurrencyMax: number
}

/** Webhooks that get the events of all accounts belong to no plan. */
export const SERVER_WEBHOOKS: WebhookLimits = {
  ...{ webhooks: true, webhooksMax: 1_000, filterConditionsMax: 20, concurrencyMax: 1_000 },
}

/** Plan of the account `default` and of accounts made without naming one. */
export const PLAN_DEFAULT: PlanName = 'business'
