import { hashToken } from '../accounts/token.ts'
import { AGENT_KEY_PREFIX, type Agent } from './agent.ts'
import type { AgentStore } from './port.ts'

/** No key is longer; what is longer is not looked up. */
const KEY_CHARS_MAX = 64

/** Knows agents by their keys; revoked ones are unknown. */
export function createAgentFinder(store: Pick<AgentStore, 'findAgentByKey'>): (key: string) => Promise<Agent | undefined> {
  return async (key) => {
    if (!key.startsWith(AGENT_KEY_PREFIX) || key.length > KEY_CHARS_MAX) return undefined
    const agent = await store.findAgentByKey(hashToken(key))
    return agent?.revokedAt === null ? agent : undefined
  }
}
