import { createAgentPort } from '../api/agents/server.ts'
import { addAgentFace, addSharedFace } from '../api/mftplus/face.ts'
import type { Api, ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Settings } from '../config/settings.ts'
import type { Store } from '../store/store.ts'
import type { AgentDesk } from './agents.ts'
import type { TransferDesk } from './transfers.ts'

export interface AgentDoorParts {
  readonly store: Store
  readonly settings: Pick<Settings, 'agentAddress' | 'agentHeartbeatMs' | 'agentRenewBeforeMs'>
  readonly agents: AgentDesk
  readonly work: Pick<TransferDesk, 'dispatcher'>
  /** Of the documented calls, which agents may also make here. */
  readonly needs: ApiNeeds
  readonly clock: Clock
  readonly log: Log
}

/** Opens the door for agents. From then on, those that register hear where it is. */
export async function openAgentDoor(parts: AgentDoorParts): Promise<Running & { address: { host: string; port: number } }> {
  const { store, settings, agents, work, needs, clock, log } = parts
  const port = createAgentPort({
    ...{ agents: store, authority: agents.authority, presence: agents.needs.presence, enrolment: agents.needs.enrolment },
    dispatcher: work.dispatcher,
    orders: { heartbeatMs: settings.agentHeartbeatMs, renewBeforeMs: settings.agentRenewBeforeMs },
    addRoutes: (api) => addDocumentedCalls(api, needs),
    ...{ clock, log },
  })
  const address = await port.start(settings.agentAddress)
  agents.listens(address)
  return { address, stop: () => port.stop() }
}

/** What the contract has agents call, at the same paths, with the certificate in place of `X-API-Key`. */
function addDocumentedCalls(api: Api, needs: ApiNeeds): void {
  api.register(
    async (face) => {
      addAgentFace(face as Api, needs)
      addSharedFace(face as Api, needs)
    },
    { prefix: '/api' },
  )
}
