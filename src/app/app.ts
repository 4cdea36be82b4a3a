import { createAccountAdmin } from '../accounts/administer.ts'
import { createAuthenticator } from '../accounts/authenticate.ts'
import { createPasswords } from '../accounts/password.ts'
import type { ApiNeeds } from '../api/needs.ts'
import { createApi } from '../api/server.ts'
import { AuditTrail } from '../audit/trail.ts'
import { systemClock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log, openLog } from '../base/log.ts'
import type { Settings } from '../config/settings.ts'
import { createRecorder } from '../events/record.ts'
import { createLocalBackend } from '../files/backends/local.ts'
import { createFiles } from '../files/files.ts'
import { checkEgressAllow, createEgressGuard } from '../http/guard.ts'
import { createPoster } from '../http/post.ts'
import { loadHostKeys } from '../protocols/ssh/host-keys.ts'
import { createSshServer, type SshServer } from '../protocols/ssh/server.ts'
import { lockDataFolder } from '../store/sqlite/lock.ts'
import { NODE_SILENT_MS } from '../store/store.ts'
import { createWatch } from '../watch/watch.ts'
import { createEngine, type Engine } from '../webhooks/engine.ts'
import type { Recovery } from '../webhooks/recovery/recovery.ts'
import { checkMasterKey } from '../webhooks/secrets/reseal.ts'
import { type AgentDoor, openAgentDoor } from './agent-port.ts'
import { createAgentDesk } from './agents.ts'
import { openBuiltinAgent } from './builtin-agent.ts'
import { lastNode, openDataFolder, removeRunning, unshownToken, writeNode, writeRunning } from './data-folder.ts'
import { delivering } from './deliver.ts'
import { createJobDesk } from './jobs.ts'
import { addressText, listenAt } from './listen.ts'
import { currentUser, watchUsers } from './live-users.ts'
import { openMasterKeys } from './master-key.ts'
import type { StoreToOpen } from './open-store.ts'
import { type ReachPoint, reaching } from './points.ts'
import { probesOf } from './probes.ts'
import { Retention } from './retention.ts'
import { createTransferDesk } from './transfers.ts'
import { VERSION } from './version.ts'
import { createWebhookDesk, sealedKinds } from './webhooks.ts'

/** A running server: one node. */
export interface App {
  readonly addresses: { readonly http: string; readonly sftp: string; readonly agents: string }
  /** Only at the first start without a given token, and again until `adminTokenShown` was called: shown once, stored as a hash. */
  readonly adminToken: string | undefined
  /** Somebody has seen the token: no later start has it. */
  adminTokenShown(): Promise<void>
  /** What the engine does, for benchmarks and health. */
  readonly engine: Pick<Engine, 'stats'>
  /** Who is at the agent port, and who was refused. */
  readonly agentPort: Pick<AgentDoor, 'stats'>
  /** No new work; attempts in flight get `stopDeadlineMs`; everything else is durable already. */
  stop(): Promise<void>
}

export interface AppHooks {
  readonly log?: Log
  /** Called at named moments of the flow, for the crash storm. */
  readonly reach?: ReachPoint
}

/**
 * Builds everything and starts it, in the order in which it depends on each other: data folder, store, engine, files and their
 * recovery, accounts, and only then the doors. What was started ends again when a later step fails.
 * @throws AppError what the step that failed says: `setting_invalid`, `data_folder_locked`, `store_newer`, …
 */
export async function runApp(settings: Settings, storeToOpen: StoreToOpen, hooks: AppHooks): Promise<App> {
  const life = new Lifecycle()
  try {
    return await start(settings, storeToOpen, hooks, life)
  } catch (error) {
    await life.stop().catch(() => undefined)
    throw error
  }
}

async function start(settings: Settings, storeToOpen: StoreToOpen, hooks: AppHooks, life: Lifecycle): Promise<App> {
  const clock = systemClock
  const log = hooks.log ?? openLog(settings.logLevel)
  const node = newId('node', clock.now())

  const folder = await openDataFolder(settings.data)
  life.add('the lock of the data folder', lockDataFolder(folder.path))
  const hostKeys = await loadHostKeys(folder.keys)

  let engine: Engine | undefined
  let recovery: Recovery | undefined
  const opened = life.add(
    'the store',
    await storeToOpen.open(folder.database, node, {
      onPlanned: (webhookIds) => engine?.nudge(webhookIds),
      onFailure: endProcess(log),
    }),
  )
  const store = hooks.reach === undefined ? opened : reaching(opened, hooks.reach)

  // The lock of the folder proves that the node before is gone. Its name is replaced only once the store has forgotten it.
  const before = await lastNode(folder)
  if (before !== undefined) await store.forgetNode(before)
  await writeNode(folder, node)

  const masterKeys = await openMasterKeys(folder, settings, () => store.countOtherNodes(node, clock.now() - NODE_SILENT_MS))
  const seal = masterKeys.ring
  if (seal.keys.length > 1) log.warn({}, 'a rotation of the master key has not come to its end: run `landfall master-key rotate`')
  if (settings.masterKeyLost === 'refuse') await checkMasterKey(sealedKinds(store), seal, log)

  const guard = createEgressGuard({ allow: settings.egressAllow, loopback: reachesLoopback(settings) })
  const poster = createPoster({ guard, clock })
  life.add('the poster', { stop: () => poster.close() })
  engine = createEngine({
    store,
    post: poster.post,
    seal,
    clock,
    node,
    log: log.child({ part: 'engine' }),
    limits: { laneConcurrency: settings.laneConcurrency },
  })
  engine.start()
  life.add('the engine', { stop: () => engine!.stop(settings.stopDeadlineMs) })

  const audit = new AuditTrail(store, log)
  life.add('the audit trail', audit)
  const recorder = createRecorder(clock)
  const storage = settings.storage || folder.files
  const files = createFiles({
    storage: createLocalBackend({ folder: storage }),
    store: delivering(store, engine, node, () => recovery?.streams.said()),
    audit,
    recorder,
    clock,
    node,
    log: log.child({ part: 'files' }),
    partialKeepMs: settings.partialKeepMs,
    ...(hooks.reach === undefined ? {} : { reach: hooks.reach }),
  })
  life.add('files', files)
  const recovered = await files.recover()
  log.info({ ...recovered }, 'recovered')

  const passwords = createPasswords()
  const doors: { ssh?: SshServer } = {}
  const accounts = createAccountAdmin({
    store,
    recorder,
    clock,
    passwords,
    checkEgressAllow,
    onUserChanged: (userId) => void doors.ssh?.disconnectUser(userId),
  })
  await accounts.ensureDefaultAccount()
  const localToken = await accounts.renewLocalToken()

  const retention = new Retention({ store, settings, clock, log: log.child({ part: 'retention' }) })
  retention.start()
  life.add('retention', retention)

  const watch = createWatch({ store, settings, clock, log: log.child({ part: 'watch' }) })
  watch.start()
  life.add('the watch over webhooks', watch)

  const desk = createWebhookDesk({
    ...{ store, guard, poster, masterKeys, watch, clock, log, node },
    nudge: (ids) => engine!.nudge(ids),
    pauseLeftMs: (id) => engine!.pauseLeftMs(id),
  })
  const work = createTransferDesk({ store, seal, recorder, clock, node, log: log.child({ part: 'transfers' }) })
  const agents = await createAgentDesk({
    ...{ store, seal, settings, recorder, clock, node },
    log: log.child({ part: 'agents' }),
    onRevoked: () => work.endOfRevoked(),
  })
  agents.start()
  life.add('the watch over agents', agents)
  const jobs = createJobDesk({ store, desk: work, recorder, clock, node, log: log.child({ part: 'jobs' }) })
  work.start()
  life.add('transfers', work)
  jobs.start()
  life.add('jobs', jobs)

  recovery = desk.recovery
  recovery.start()
  life.add('replays and streams', recovery)
  const needs: ApiNeeds = {
    accounts,
    ...desk,
    agents: agents.needs,
    ...work.needs,
    ...jobs.needs,
    events: store,
    audit: store,
    alerts: store,
    health: probesOf({ store, storage, undecided: files.undecided }),
    settings: { keyRateWindowMs: settings.keyRateWindowMs },
    clock,
    log: log.child({ part: 'api' }),
    version: VERSION,
  }
  const agentDoorParts = {
    store,
    folder,
    settings,
    agents,
    work,
    jobs,
    files,
    needs,
    clock,
    log: log.child({ part: 'agent port' }),
  }
  const agentDoor = await listenAt('agentAddress', settings, () => openAgentDoor(agentDoorParts))
  life.add('the agent port', agentDoor)
  const api = createApi(needs)
  const { url } = await listenAt('httpAddress', settings, (address) => api.start(address))
  life.add('the API', api)

  const ssh = createSshServer({
    hostKeys,
    address: settings.sftpAddress,
    limits: settings,
    authenticator: createAuthenticator({ store, passwords }),
    openSession: async (user, address) => files.openSpace({ user: await currentUser(store, user), address, door: 'sftp' }),
    audit,
    clock,
    log: log.child({ part: 'ssh' }),
  })
  const sftp = await listenAt('sftpAddress', settings, () => ssh.start())
  doors.ssh = ssh
  life.add('SFTP', { stop: () => ssh.stop(settings.stopDeadlineMs) })
  life.add('the watch over live users', watchUsers({ store, ssh, clock, log }))

  const addresses = { http: url, sftp: addressText(sftp), agents: addressText(agentDoor.address) }
  await writeRunning(folder, { pid: process.pid, http: url, agents: addresses.agents, token: localToken })
  life.add('the note of the running server', { stop: () => removeRunning(folder) })
  life.add('the built-in agent', await openBuiltinAgent({ folder, settings, addresses, desk: agents, store, clock, log }))
  // Last: it is shown once, by a start that came to its end.
  const unshown = unshownToken(folder)
  const adminToken = await accounts.ensureAdminToken(settings.adminToken, unshown)
  // One that counts no more is nobody's to be shown.
  if (adminToken === undefined) await unshown.forget()
  return { addresses, adminToken, adminTokenShown: unshown.forget, engine, agentPort: agentDoor, stop: () => life.stop() }
}

/** `auto`: loopback is reachable by webhooks while nobody from outside can reach this server. */
function reachesLoopback(settings: Settings): boolean {
  if (settings.egressLoopback !== 'auto') return settings.egressLoopback === 'allow'
  return [settings.httpAddress, settings.sftpAddress, settings.agentAddress].every(
    ({ host }) => host === 'localhost' || host === '::1' || /^127\./.test(host),
  )
}

/** The database is lost for good; whoever runs the process starts it again. */
function endProcess(log: Log): (error: Error) => void {
  return (error) => {
    log.error({ error: String(error) }, 'the database is lost: the process ends; nothing acknowledged is lost')
    process.exit(70)
  }
}
