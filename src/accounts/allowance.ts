import { AppError } from '../base/error.ts'
import { PLANS, type PlanName, SERVER_WEBHOOKS, type WebhookLimits } from './plan.ts'
import type { AccountStore } from './port.ts'

/** What the webhooks of an account may be, by its plan and its own settings as they are now. */
export interface WebhookAllowance extends WebhookLimits {
  readonly plan: PlanName | null
  readonly egressAllow: readonly string[] | null
}

/** Null: webhooks of the whole server. */
export function createAllowances(store: Pick<AccountStore, 'findAccount'>) {
  return async (accountId: string | null): Promise<WebhookAllowance> => {
    if (accountId === null) return { ...SERVER_WEBHOOKS, plan: null, egressAllow: null }
    const account = await store.findAccount({ id: accountId })
    if (account === undefined) throw new AppError('not_found', 'no such account')
    const { plan, egressAllow } = account
    return { ...PLANS[plan], plan, egressAllow }
  }
}
