import type { Plan } from '../../webhooks/port.ts'
import type { Store, StoreHooks } from '../store.ts'

export function openPostgresStore(_options: { url: string; plan: Plan; node: string } & StoreHooks): Promise<Store> {
  throw new Error('being written')
}
