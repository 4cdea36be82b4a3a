import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import { LINE_BYTES_MAX, SPACE_PIECE_BYTES_MAX, type SpaceEndpoint } from '../../src/wire/agent/work.ts'
import type { Client, Entry, FileFacts, PartialFile, WriteOptions } from './client.ts'
import { failureOf } from './fault.ts'
import type { ClientContext, ServerAccess } from './open.ts'

/** How long the server has for an answer, ms: hashing what is there of a large file takes a while. */
const ANSWER_MS = 300_000
/** Bytes of an answer that is no file, at most. */
const ANSWER_BYTES_MAX = 64 * 1024

/** What the server's refusals mean for a transfer; what is not among them is a fault. */
const MEANING: Readonly<Record<string, TransferFailureCode>> = {
  permission_denied: 'PERMISSION_DENIED',
  path_outside_space: 'PERMISSION_DENIED',
  path_invalid: 'UNSUPPORTED',
  file_not_found: 'NOT_FOUND',
  not_a_directory: 'NOT_FOUND',
  not_found: 'NOT_FOUND',
  is_a_directory: 'NOT_A_FILE',
  checksum_mismatch: 'CHECKSUM_MISMATCH',
  storage_full: 'DISK_FULL',
  quota_exceeded: 'QUOTA_EXCEEDED',
  plan_refused: 'QUOTA_EXCEEDED',
  path_busy: 'TIMEOUT',
  stopping: 'CONNECTION_LOST',
  // Not what the work of this lease is about.
  forbidden: 'PERMISSION_DENIED',
  // The lease is lost, or was displaced by another attempt: the server has what arrived.
  conflict: 'CONNECTION_LOST',
}

/** The space of a transfer user on the server, under that user's permissions, by way of the agent port. */
export async function openSpace(
  { account, user }: SpaceEndpoint,
  context: Pick<ClientContext, 'server' | 'lease' | 'signal'>,
): Promise<Client> {
  const calls = callsTo(context.server, `/agent/v1/work/${context.lease}/space`, { account, user }, context.signal)
  return {
    async stat(path) {
      const { facts } = await calls.json<{ facts: FileFacts | null }>('GET', '/facts', { path })
      return facts ?? undefined
    },
    async *list(folder) {
      for await (const line of linesOf(await calls.stream('/entries', { path: folder }))) yield JSON.parse(line) as Entry
    },
    read: (path, offset) => calls.stream('/bytes', { path, offset }),
    write: (path, options) => openPart(calls, path, options),
    async remove(path) {
      await calls.json('POST', '/remove', { path })
    },
    async move(from, to) {
      return (await calls.json<{ isMoved: boolean }>('POST', '/move', { path: from }, { to })).isMoved
    },
    async setModifiedAt(path, modifiedAt) {
      await calls.json('POST', '/time', { path }, { modifiedAt })
    },
    // What is stored was checked before it got its name; reading it again would count as a download.
    hash: async () => undefined,
    async close() {
      // Closed by the server in any case, soon after the lease has ended.
      await calls.json('POST', '/close', {}, undefined, { isAfterEnd: true }).catch(() => undefined)
    },
  }
}

async function openPart(
  calls: Calls,
  path: string,
  { resumes, size, modifiedAt, beforeNamed }: WriteOptions,
): Promise<PartialFile> {
  const { bytes } = await calls.json<{ bytes: number }>('POST', '/part', { path }, { resumes, size })
  const pieces = new Pieces(calls, bytes)
  return {
    bytes,
    async hash() {
      return (await calls.json<{ sha256: string | null }>('GET', '/part/hash')).sha256 ?? undefined
    },
    append: (chunk) => pieces.append(chunk),
    async commit(size, sha256) {
      await pieces.flush()
      if (pieces.sent !== size) throw new TransferFailure('CHECKSUM_MISMATCH', `The space took ${pieces.sent} of ${size} bytes.`)
      await beforeNamed?.()
      await calls.json('POST', '/part/commit', {}, { size, sha256, modifiedAt })
    },
    async suspend() {
      await calls.json('POST', '/part/abandon', {}, { keeps: true }, { isAfterEnd: true }).catch(() => undefined)
    },
    async discard() {
      await calls.json('POST', '/part/abandon', {}, { keeps: false }, { isAfterEnd: true })
    },
  }
}

/** Gathers chunks to pieces of a request each; one is on its way while the next one is gathered. */
class Pieces {
  readonly #calls: Calls
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #sending: Promise<void> = Promise.resolve()
  /** Bytes that the server has, those before this attempt too. */
  sent: number

  constructor(calls: Calls, sent: number) {
    this.#calls = calls
    this.sent = sent
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + SPACE_PIECE_BYTES_MAX - this.#gatheredBytes)
      this.#gathered.push(part)
      this.#gatheredBytes += part.length
      at += part.length
      if (this.#gatheredBytes === SPACE_PIECE_BYTES_MAX) await this.#send()
    }
  }

  async flush(): Promise<void> {
    if (this.#gatheredBytes > 0) await this.#send()
    await this.#sending
  }

  /** Waits for the piece before; the failure of one shows with the next. */
  async #send(): Promise<void> {
    const piece = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    await this.#sending
    this.#sending = this.#calls.put('/part', { offset: this.sent }, piece).then(({ bytes }) => {
      this.sent = bytes
    })
    // Waited for later; until then it is nobody's.
    this.#sending.catch(() => undefined)
  }
}

interface Calls {
  json<Answer>(
    method: 'GET' | 'POST',
    path: string,
    query?: Record<string, string | number>,
    body?: object,
    /** The work may have ended: what is asked for is its end. */
    options?: { readonly isAfterEnd?: boolean },
  ): Promise<Answer>
  put(path: string, query: Record<string, string | number>, bytes: Buffer): Promise<{ bytes: number }>
  stream(path: string, query: Record<string, string | number>): Promise<Readable>
}

function callsTo({ origin, dispatcher }: ServerAccess, base: string, space: Record<string, string>, signal: AbortSignal): Calls {
  async function request(
    method: Dispatcher.HttpMethod,
    path: string,
    query: Record<string, string | number>,
    sent: { body?: Buffer | string; type?: string; isAfterEnd?: boolean } = {},
  ): Promise<Dispatcher.ResponseData> {
    const { body, type, isAfterEnd = false } = sent
    const doing = `Asking the server for the space of ${space.account}/${space.user}`
    try {
      const answer = await dispatcher.request({
        ...{ origin, method, path: base + path, query: { ...space, ...query } },
        headers: type === undefined ? {} : { 'content-type': type },
        body: body ?? null,
        headersTimeout: ANSWER_MS,
        bodyTimeout: ANSWER_MS,
        ...(isAfterEnd ? {} : { signal }),
      })
      if (answer.statusCode < 300) return answer
      throw refusalOf(await answer.body.text().catch(() => ''), answer.statusCode, doing)
    } catch (error) {
      throw failureOf(error, doing, 'CONNECTION_LOST')
    }
  }

  async function parsed<Answer>({ body }: Dispatcher.ResponseData): Promise<Answer> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX)
        throw new TransferFailure('PROTOCOL_ERROR', `The server answered with more than ${ANSWER_BYTES_MAX} bytes.`)
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString()) as Answer
  }

  return {
    async json(method, path, query = {}, body, { isAfterEnd = false } = {}) {
      const sent = body === undefined ? {} : { body: JSON.stringify(body), type: 'application/json' }
      return parsed(await request(method, path, query, { ...sent, isAfterEnd }))
    },
    async put(path, query, bytes) {
      return parsed(await request('PUT', path, query, { body: bytes, type: 'application/octet-stream' }))
    },
    async stream(path, query) {
      const { body } = await request('GET', path, query)
      return body
    },
  }
}

function refusalOf(text: string, status: number, doing: string): TransferFailure {
  const { error, details } = parsedRefusal(text)
  const code = MEANING[details?.code ?? ''] ?? (status >= 500 ? 'CONNECTION_LOST' : 'PROTOCOL_ERROR')
  return new TransferFailure(code, `${doing} failed: ${(error ?? `status ${status}`).replace(/\.$/, '')}.`)
}

function parsedRefusal(text: string): { error?: string; details?: { code?: string } } {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LINE_BYTES_MAX) throw new TransferFailure('PROTOCOL_ERROR', 'The server sent a line that does not end.')
    yield* lines
  }
}
