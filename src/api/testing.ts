import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { createAccountAdmin } from '../accounts/administer.ts'
import { createPasswords } from '../accounts/password.ts'
import { createAgentDesk } from '../app/agents.ts'
import { createJobDesk } from '../app/jobs.ts'
import { openStore } from '../app/open-store.ts'
import { createTransferDesk } from '../app/transfers.ts'
import { createWebhookDesk } from '../app/webhooks.ts'
import { type Caller, SERVER_CALLER } from '../audit/caller.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { createSeal, type KeyRing, MASTER_KEY_BYTES } from '../base/seal.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { createRecorder } from '../events/record.ts'
import { checkEgressAllow, createEgressGuard } from '../http/guard.ts'
import { createPoster } from '../http/post.ts'
import type { MasterKeys } from '../webhooks/secrets/reseal.ts'
import type { HealthProbes } from './health.ts'
import { createApi } from './server.ts'

export interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes.
  json: any
}

/** A clock that time can go by on; timers are real. */
function createMovableClock(): Clock & { ahead(ms: number): void } {
  let offset = 0
  return {
    ...systemClock,
    now: () => systemClock.now() + offset,
    monotonic: () => systemClock.monotonic() + offset,
    ahead(ms) {
      offset += ms
    },
  }
}

interface OpenApi {
  components: { schemas: Record<string, object> }
  paths: Record<string, Record<string, { responses: Record<string, { content?: { 'application/json': { schema: object } } }> }>>
}

/** Fails when an answer of a documented route is not what its schema says, to the member. */
function createAnswerCheck(document: object) {
  const { components, paths } = document as OpenApi
  const routes = Object.entries(paths).map(([path, methods]) => ({
    path: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    parameters: path.split('{').length - 1,
    methods,
  }))
  // `/health/ready` before `/health/{part}`.
  routes.sort((one, other) => one.parameters - other.parameters)

  function closed(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(closed)
    if (typeof value !== 'object' || value === null) return value
    const { $ref } = value as { $ref?: string }
    if ($ref !== undefined) return closed(components.schemas[$ref.split('/').at(-1)!])
    const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, closed(member)]))
    return 'properties' in members ? { additionalProperties: false, ...members } : members
  }

  return (method: string, path: string, status: number, json: unknown): void => {
    const route = routes.find((known) => known.path.test(path.split('?')[0]!))
    const operation = route?.methods[method.toLowerCase()]
    if (operation === undefined) return
    const answer = operation.responses[status]
    const what = `${method} ${path} ${status}`
    // Bodies that are too long and faults of the server are answered the same everywhere.
    assert.ok(answer !== undefined || [413, 500].includes(status), `${what} is not documented`)
    const schema = answer?.content?.['application/json'].schema
    if (schema !== undefined)
      assert.deepEqual(Compile(closed(schema) as TSchema).Errors(json), [], `${what} is not as documented`)
  }
}

/** Keys that are kept nowhere. */
function masterKeysOf(ring: KeyRing): MasterKeys {
  return {
    ring,
    async begin() {
      ring.use([randomBytes(MASTER_KEY_BYTES), ...ring.keys])
      return { made: true }
    },
    async finish() {
      ring.use(ring.keys.slice(0, 1))
      return null
    },
  }
}

/** The API over the real embedded store in a fresh folder, with an administrator, an account and a key. */
export async function openWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-api-'))
  const clock = createMovableClock()
  const store = await openStore(join(folder, 'landfall.sqlite'), 'node_api', {})
  const logged: string[] = []
  const line = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const recorder = createRecorder(clock)
  const changedUsers: string[] = []
  const accounts = createAccountAdmin({
    store,
    recorder,
    clock,
    passwords: createPasswords(),
    checkEgressAllow,
    onUserChanged: (id) => changedUsers.push(id),
  })
  const account = await accounts.ensureDefaultAccount()
  const adminToken = (await accounts.ensureAdminToken('', { read: async () => undefined, keep: async () => {} }))!
  const keyOf = async (slug: string, scopes: string[], hourlyLimit = 1_000) =>
    accounts.createApiKey(SERVER_CALLER, slug, { name: 'ci', scopes, hourlyLimit })

  const probes: HealthProbes = {
    database: () => store.ping(),
    disk: async () => ({ totalBytes: 1_000, freeBytes: 900 }),
    memory: () => ({ usedBytes: 100, totalBytes: 1_000 }),
    undecided: () => 0,
    figures: async () => ({ activeAgents: 0, activeTransfers: 0, pendingJobs: 0 }),
  }
  const guard = createEgressGuard({ allow: [], loopback: true }, async () => [{ address: '93.184.215.14', family: 4 }])
  const poster = createPoster({ guard, clock })
  const desk = createWebhookDesk({
    ...{ store, guard, poster, clock, log },
    masterKeys: masterKeysOf(createSeal(new Uint8Array(MASTER_KEY_BYTES))),
    watch: { lookAt: async () => {} },
    nudge: () => {},
    pauseLeftMs: () => 0,
    node: 'node_api',
  })
  const { recovery } = desk
  recovery.start()
  const revokedAgents: string[] = []
  const agents = await createAgentDesk({
    ...{ store, recorder, clock, log, node: 'node_api' },
    seal: createSeal(new Uint8Array(MASTER_KEY_BYTES)),
    settings: { agentHost: '', agentSilentMs: 2 * MINUTE_MS, agentGraceMs: 10 * SECOND_MS, masterKeyLost: 'refuse' },
    async onRevoked(id) {
      revokedAgents.push(id)
      await work.endOfRevoked()
    },
  })
  agents.listens({ host: '0.0.0.0', port: 8443 })
  const work = createTransferDesk({
    ...{ store, recorder, clock, log, node: 'node_api' },
    seal: createSeal(new Uint8Array(MASTER_KEY_BYTES)),
  })
  const jobs = createJobDesk({ store, desk: work, recorder, clock, log, node: 'node_api' })
  const settings = { keyRateWindowMs: HOUR_MS }
  const api = createApi({
    accounts,
    ...desk,
    agents: agents.needs,
    ...work.needs,
    ...jobs.needs,
    events: store,
    audit: store,
    alerts: store,
    health: probes,
    settings,
    clock,
    log,
    version: '0.1.0',
  })
  const { url } = await api.start({ host: '127.0.0.1', port: 0 })
  const assertDocumented = createAnswerCheck(await api.openapi())

  /** `token` null: no credentials. A body that is a text is sent as it is. */
  async function call(
    method: string,
    path: string,
    body?: unknown,
    token: string | null = adminToken,
    more: Record<string, string> = {},
  ): Promise<Answer> {
    // What is made by two calls has an order, which ids of one ms do not have.
    clock.ahead(1)
    const headers: Record<string, string> = { ...(token === null ? {} : { authorization: `Bearer ${token}` }) }
    if (body !== undefined) headers['content-type'] = 'application/json'
    const request: RequestInit = { method, headers: { ...headers, ...more } }
    if (body !== undefined) request.body = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await fetch(url + path, request)
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.startsWith('application/json')
    const json = isJson && text !== '' ? JSON.parse(text) : undefined
    assertDocumented(method, path, answer.status, json)
    return { status: answer.status, headers: answer.headers, text, json }
  }

  async function close() {
    await api.stop()
    await recovery.stop()
    await poster.close(0)
    await store.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const caller: Caller = SERVER_CALLER
  return {
    url,
    api,
    call,
    close,
    store,
    clock,
    accounts,
    account,
    adminToken,
    keyOf,
    changedUsers,
    recorder,
    logged,
    probes,
    agents,
    revokedAgents,
    work,
    caller,
    recovery,
  }
}
