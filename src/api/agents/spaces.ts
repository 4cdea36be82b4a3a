import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Running } from '../../base/lifecycle.ts'
import type { Log } from '../../base/log.ts'
import { Type } from '../../base/type.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import type { Space } from '../../files/space.ts'
import type { SpaceGrant } from '../../transfers/space-grant.ts'
import { SPACE_PIECE_BYTES_MAX } from '../../wire/agent/work.ts'
import { addressOf, agentOf } from '../auth.ts'
import type { Api } from '../needs.ts'
import { nullable } from '../schema.ts'
import { SpaceSession } from './space-session.ts'

/** Spaces that agents have open at the same time. */
const SESSIONS_MAX = 1_000
/** A space that its work does not use for this long is closed, ms: longer than hashing what an earlier attempt left takes. */
export const SPACE_IDLE_MS = 600 * SECOND_MS
/** How often open spaces are looked at: those that are idle, and those whose lease was lost, are closed, ms. */
export const SPACE_LOOK_MS = 15 * SECOND_MS

export interface SpacesNeeds {
  /** What the work of this lease may do in spaces; undefined: this agent does not hold it. */
  grantsOf(agentId: string, lease: string): Promise<readonly SpaceGrant[] | undefined>
  /** Whether somebody may still go on with this transfer. */
  isOpen(transferId: string): Promise<boolean>
  /** @throws AppError `permission_denied` for a user that is gone or disabled */
  openSpace(who: { readonly account: string; readonly user: string; readonly address: string }): Promise<OpenedSpace>
  readonly clock: Clock
  readonly log: Log
}

export interface OpenedSpace {
  readonly space: Space
  /** Looks at the user again: permissions change, and users go, while an agent is at work. Throws as at the opening. */
  refresh(): Promise<void>
  /** @throws AppError `quota_exceeded` where the files of the account may not take so many bytes more. */
  checkRoom(more: number): Promise<void>
}

interface OpenSession {
  readonly agentId: string
  readonly lease: string
  /** Whose file may be written in it. */
  readonly transferId: string | null
  readonly opened: Promise<SpaceSession>
}

/** The spaces of users, for agents whose work is in them. */
export interface Spaces extends Running {
  addRoutes(api: Api): void
  /**
   * The agent certainly does none of its work but `kept`: what it had open is closed. Resolves when whoever does the work next finds what it left, and nothing
   * where nobody does. Never rejects.
   */
  release(agentId: string, kept: readonly string[]): Promise<void>
}

/**
 * A lease lets its agent into the spaces that its work names, and there to the paths that it names. What it writes is an upload of that user like
 * any other: recorded before it is answered, resumable when the agent or this server dies.
 */
export function createSpaces({ grantsOf, isOpen, openSpace, clock, log }: SpacesNeeds): Spaces {
  const sessions = new Map<string, OpenSession>()
  let cancelLook = clock.after(SPACE_LOOK_MS, look)
  let looking: Promise<void> = Promise.resolve()

  function look(): void {
    looking = closeUnused()
      .catch((error: unknown) => log.warn({ err: error }, 'open spaces could not be looked at; tried again'))
      .then(() => {
        cancelLook = clock.after(SPACE_LOOK_MS, look)
      })
  }

  async function closeUnused(): Promise<void> {
    for (const [key, { agentId, lease, opened }] of sessions) {
      const session = await opened.catch(() => undefined)
      const isIdle = session === undefined || (session.busy === 0 && clock.monotonic() - session.usedAt >= SPACE_IDLE_MS)
      if (isIdle || (session.busy === 0 && (await grantsOf(agentId, lease)) === undefined)) await closeLost(key)
    }
  }

  /** What there is of a file is kept for as long as somebody may go on with it. */
  async function closeLost(key: string): Promise<void> {
    const transferId = sessions.get(key)?.transferId ?? null
    const keeps = transferId === null || (await isOpen(transferId).catch(() => true))
    await close(key, { keeps })
  }

  async function close(key: string, { keeps = true } = {}): Promise<void> {
    const open = sessions.get(key)
    sessions.delete(key)
    const session = await open?.opened.catch(() => undefined)
    await session?.close({ keeps }).catch((error: unknown) => log.warn({ err: error }, 'a space could not be closed'))
  }

  async function sessionOf(request: FastifyRequest): Promise<SpaceSession> {
    const { lease } = request.params as { lease: string }
    const { account, user } = request.query as { account: string; user: string }
    const agentId = agentOf(request).id
    const grants = await grantsOf(agentId, lease)
    if (grants === undefined) throw new AppError('conflict', 'this agent does not hold that lease any more')
    const inIt = grants.filter((each) => each.account === account && each.user === user)
    if (inIt.length === 0) throw new AppError('forbidden', `the work of this lease is not in the space of ${account}/${user}`)
    const key = JSON.stringify([lease, account, user])
    const there = sessions.get(key)
    if (there !== undefined) {
      const session = await there.opened
      await session.refresh()
      return session
    }
    if (sessions.size >= SESSIONS_MAX)
      throw new AppError('limit_reached', `agents have ${SESSIONS_MAX} spaces open already; try again in a moment`)
    const opened = openSpace({ account, user, address: addressOf(request) }).then(
      (space) => new SpaceSession(space, united(inIt), clock),
    )
    sessions.set(key, { agentId, lease, transferId: inIt[0]!.transferId, opened })
    opened.catch(() => sessions.delete(key))
    return opened
  }

  /** Carries out one call in the space that the request names. */
  async function inSpace<Answer>(request: FastifyRequest, act: (session: SpaceSession) => Promise<Answer>): Promise<Answer> {
    const session = await sessionOf(request)
    return session.use(() => act(session))
  }

  /** The end of a file, or of all work, waits for nothing: neither for a user who may have been disabled, nor for a lease that may be lost. */
  async function end(request: FastifyRequest, act: (session: SpaceSession) => Promise<void>): Promise<boolean> {
    const open = sessions.get(keyOf(request))
    if (open?.agentId !== agentOf(request).id) return false
    const session = await open.opened
    await session.use(() => act(session))
    return true
  }

  const routes: SpaceRoutes = {
    inSpace,
    async abandon(request, keeps) {
      const isDone = await end(request, (session) => session.abandon('the agent gave it up', { keeps }))
      // Whether anything is left is known to nobody here.
      if (!isDone) throw new AppError('conflict', 'no space is open on this lease')
    },
    async close(request) {
      await end(request, () => close(keyOf(request)))
    },
  }

  return {
    addRoutes(api) {
      api.register(async (plain) => addSpaceRoutes(plain as Api, routes), { prefix: '/agent/v1/work/:lease/space' })
    },
    async release(agentId, kept) {
      const lost = [...sessions].filter(([, open]) => open.agentId === agentId && !kept.includes(open.lease))
      for (const [key] of lost) await closeLost(key)
    },
    async stop() {
      cancelLook()
      await looking
      cancelLook()
      for (const key of [...sessions.keys()]) await close(key)
    },
  }
}

/** Both sides of a transfer may be in one space. */
function united(grants: readonly SpaceGrant[]): Pick<SpaceGrant, 'may'> {
  return { may: (action, path) => grants.some((each) => each.may(action, path)) }
}

function keyOf(request: FastifyRequest): string {
  const { lease } = request.params as { lease: string }
  const { account, user } = request.query as { account: string; user: string }
  return JSON.stringify([lease, account, user])
}

const PATH_CHARS_MAX = 4_096
const params = Type.Object({ lease: Type.String({ minLength: 1, maxLength: 64 }) })
const where = { account: Type.String({ minLength: 1, maxLength: 64 }), user: Type.String({ minLength: 1, maxLength: 64 }) }
const Path = Type.String({ minLength: 1, maxLength: PATH_CHARS_MAX })
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Lower-case hex; another text is that of no file. */
const sha256 = Type.String({ minLength: 64, maxLength: 64 })
const inPlace = { params, querystring: Type.Object({ ...where, path: Path }) }
const inWhole = { params, querystring: Type.Object(where) }

interface SpaceRoutes {
  inSpace<Answer>(request: FastifyRequest, act: (session: SpaceSession) => Promise<Answer>): Promise<Answer>
  abandon(request: FastifyRequest, keeps: boolean): Promise<void>
  close(request: FastifyRequest): Promise<void>
}

function addSpaceRoutes(api: Api, { inSpace, abandon, close }: SpaceRoutes): void {
  api.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))

  api.get('/facts', { schema: inPlace }, async (request) =>
    inSpace(request, async (session) => ({ facts: await session.facts(request.query.path) })),
  )

  // A line for each entry: a folder may have any number of them.
  api.get('/entries', { schema: inPlace }, async (request, reply) =>
    inSpace(request, async (session) => {
      const lines = linesOf(session.entries(request.query.path))
      // What cannot be listed at all is refused as such.
      const first = await lines.next()
      reply.type('application/x-ndjson')
      return Readable.from(withFirst(first, lines))
    }),
  )

  api.get(
    '/bytes',
    { schema: { params, querystring: Type.Object({ ...where, path: Path, offset: Type.Optional(bytes) }) } },
    async (request, reply) =>
      inSpace(request, async (session) => {
        const { path, offset = 0 } = request.query
        reply.type('application/octet-stream')
        return Readable.from(await session.read(path, offset), { objectMode: false, highWaterMark: MIB })
      }),
  )

  api.post('/remove', { schema: inPlace }, async (request) =>
    inSpace(request, async (session) => {
      await session.remove(request.query.path)
      return {}
    }),
  )

  api.post('/move', { schema: { ...inPlace, body: Type.Object({ to: Path }) } }, async (request) =>
    inSpace(request, async (session) => ({ isMoved: await session.move(request.query.path, request.body.to) })),
  )

  api.post('/time', { schema: { ...inPlace, body: Type.Object({ modifiedAt: Type.Integer() }) } }, async (request) =>
    inSpace(request, async (session) => {
      await session.setModifiedAt(request.query.path, request.body.modifiedAt)
      return {}
    }),
  )

  api.post(
    '/part',
    { schema: { ...inPlace, body: Type.Object({ resumes: Type.Boolean(), size: nullable(bytes) }) } },
    async (request) => inSpace(request, async (session) => ({ bytes: await session.open(request.query.path, request.body) })),
  )

  api.get('/part/hash', { schema: inWhole }, async (request) =>
    inSpace(request, async (session) => ({ sha256: await session.hashPart() })),
  )

  api.put(
    '/part',
    { schema: { params, querystring: Type.Object({ ...where, offset: bytes }) }, bodyLimit: SPACE_PIECE_BYTES_MAX },
    async (request) =>
      inSpace(request, async (session) => ({ bytes: await session.append(request.query.offset, piecesOf(request.body)) })),
  )

  api.post(
    '/part/commit',
    { schema: { ...inWhole, body: Type.Object({ size: bytes, sha256, modifiedAt: nullable(Type.Integer()) }) } },
    async (request) =>
      inSpace(request, async (session) => {
        const { size, sha256, modifiedAt } = request.body
        await session.commit(size, sha256, modifiedAt)
        return {}
      }),
  )

  api.post('/part/abandon', { schema: { ...inWhole, body: Type.Object({ keeps: Type.Boolean() }) } }, async (request) => {
    await abandon(request, request.body.keeps)
    return {}
  })

  api.post('/close', { schema: inWhole }, async (request) => {
    await close(request)
    return {}
  })
}

/** The body as it arrives, never more than a piece may have. */
async function* piecesOf(body: unknown): AsyncGenerator<Buffer> {
  if (!(body instanceof Readable)) throw new AppError('invalid', 'the body is the bytes themselves, as application/octet-stream')
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > SPACE_PIECE_BYTES_MAX)
      throw new AppError('invalid', `the body has more than ${SPACE_PIECE_BYTES_MAX} bytes; send them in several`)
    yield chunk
  }
}

async function* linesOf(entries: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const entry of entries) yield `${JSON.stringify(entry)}\n`
}

async function* withFirst<Item>(first: IteratorResult<Item>, rest: AsyncGenerator<Item>): AsyncGenerator<Item> {
  if (first.done) return
  yield first.value
  yield* rest
}
