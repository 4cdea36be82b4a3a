import { AppError } from '../../base/error.ts'

/** What the plan of an account includes, as read a moment ago. */
export interface Allowance {
  /** Null: webhooks of the whole server belong to no plan. */
  readonly plan: string | null
  readonly webhooks: boolean
  readonly webhooksMax: number
  /** Conditions in the filter of one webhook. */
  readonly filterConditionsMax: number
  /** Posts of one webhook at once. */
  readonly concurrencyMax: number
  /** Networks that webhooks of the account may reach in place of those of the server; null: those of the server. */
  readonly egressAllow: readonly string[] | null
}

/** Null: the server itself. */
export type AllowanceOf = (accountId: string | null) => Promise<Allowance>

/** Throws `plan_refused` where the plan has no webhooks: they are neither made nor turned on, and nothing is sent by hand. */
export function checkWebhooksIncluded({ webhooks, plan }: Allowance): void {
  if (!webhooks) throw new AppError('plan_refused', `the plan of the account does not include webhooks; it is ${plan}`)
}
