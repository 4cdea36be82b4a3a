import { join } from 'node:path'
import { type AgentPort, createAgentPort } from '../api/agents/server.ts'
import { createSpaces } from '../api/agents/spaces.ts'
import { addAgentFace, addSharedFace } from '../api/mftplus/face.ts'
import type { Api, ApiNeeds } from '../api/needs.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Settings } from '../config/settings.ts'
import type { Files } from '../files/files.ts'
import { quotaExceeded } from '../store/quota.ts'
import type { Store } from '../store/store.ts'
import { grantsOfLeftover, grantsOfListing, grantsOfTransfer, type SpaceGrant } from '../transfers/space-grant.ts'
import type { AgentDesk } from './agents.ts'
import type { DataFolder } from './data-folder.ts'
import type { JobDesk } from './jobs.ts'
import { keepingCertificate } from './port-certificate.ts'
import type { TransferDesk } from './transfers.ts'

export interface AgentDoorParts {
  readonly store: Store
  readonly folder: Pick<DataFolder, 'keys'>
  readonly settings: Pick<Settings, 'agentAddress' | 'agentHeartbeatMs' | 'agentSilentMs' | 'agentRenewBeforeMs'>
  readonly agents: AgentDesk
  readonly work: Pick<TransferDesk, 'dispatcher' | 'whenReleased'>
  readonly jobs: Pick<JobDesk, 'listings'>
  readonly files: Pick<Files, 'openSpace'>
  /** Of the documented calls, which agents may also make here. */
  readonly needs: ApiNeeds
  readonly clock: Clock
  readonly log: Log
}

export interface AgentDoor extends Running {
  readonly address: { readonly host: string; readonly port: number }
  readonly stats: AgentPort['stats']
}

/** Opens the door for agents. From then on, those that register hear where it is. */
export async function openAgentDoor(parts: AgentDoorParts): Promise<AgentDoor> {
  const { store, folder, settings, agents, work, needs, clock, log } = parts
  const spaces = createSpaces({
    grantsOf: (agentId, lease) => grantsOf(parts, agentId, lease),
    openSpace: (who) => openSpace(parts, who),
    isOpen: async (transferId) => ['queued', 'running'].includes((await store.findTransfer(transferId))?.status ?? ''),
    ...{ clock, log },
  })
  work.whenReleased((agentId, kept) => spaces.release(agentId, kept))
  const port = createAgentPort({
    ...{ agents: store, presence: agents.needs.presence, enrolment: agents.needs.enrolment },
    authority: keepingCertificate(agents.authority, join(folder.keys, 'agent-port.pem'), clock),
    dispatcher: work.dispatcher,
    orders: { heartbeatMs: heartbeatMsOf(settings), renewBeforeMs: settings.agentRenewBeforeMs },
    addRoutes(api) {
      addDocumentedCalls(api, needs)
      spaces.addRoutes(api)
    },
    ...{ clock, log },
  })
  const address = await port.start(settings.agentAddress)
  agents.listens(address)
  return {
    address,
    stats: () => port.stats(),
    async stop() {
      await port.stop()
      await spaces.stop()
    },
  }
}

/** What the work of a lease may do in spaces; undefined: this agent does not hold it. */
async function grantsOf(
  { store, jobs }: Pick<AgentDoorParts, 'store' | 'jobs'>,
  agentId: string,
  lease: string,
): Promise<readonly SpaceGrant[] | undefined> {
  const transfer = await store.findTransferByLease(lease)
  if (transfer !== undefined)
    return transfer.agentId === agentId && transfer.status === 'running' ? grantsOfTransfer(transfer) : undefined
  const leftover = await store.findLeftoverByLease(lease)
  if (leftover?.agentId === agentId) {
    const ended = await store.findTransfer(leftover.transferId)
    return ended && grantsOfLeftover(ended)
  }
  const job = await jobs.listings.jobOf(agentId, lease)
  return job && grantsOfListing(job.sourcePath)
}

/** The space of a user as it is at each request, whatever changes meanwhile. */
async function openSpace(
  { store, files }: Pick<AgentDoorParts, 'store' | 'files'>,
  { account, user: name, address }: { account: string; user: string; address: string },
) {
  async function find() {
    const user = await store.findUser({ accountSlug: account, name })
    if (user === undefined || user.disabled)
      throw new AppError('permission_denied', `the user ${account}/${name} is gone or disabled`)
    return user
  }
  let user = await find()
  const space = files.openSpace({
    get user() {
      return user
    },
    address,
    door: 'api',
  })
  return {
    space,
    async refresh() {
      user = await find()
    },
    async checkRoom(more: number) {
      const [owner, usage] = await Promise.all([store.findAccount({ id: user.accountId }), store.accountUsage(user.accountId)])
      const quota = owner?.quotaBytes ?? null
      if (quota !== null && more > 0 && usage.bytes + more > quota) throw quotaExceeded(quota, usage.bytes + more)
    },
  }
}

/** Heartbeats that fit into the silence after which an agent counts as lost: one or two may come late, or not at all. */
const HEARTBEATS_IN_SILENCE = 3

function heartbeatMsOf({ agentHeartbeatMs, agentSilentMs }: AgentDoorParts['settings']): number {
  return Math.min(agentHeartbeatMs, Math.floor(agentSilentMs / HEARTBEATS_IN_SILENCE))
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
