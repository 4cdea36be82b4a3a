import { resolve } from 'node:path'
import { readRunning } from '../src/app/data-folder.ts'
import { type Call, CommandError, optional } from './command.ts'

/** Time for one answer of the server. */
const ANSWER_MS = 30_000

/** Calls the MFTPlus face of a running server as administrator. Answers the `data` of the envelope. */
export interface Client {
  readonly url: string
  /** What stays when the server starts anew with other addresses: its data folder, else its url. */
  readonly place: string
  /** `answerMs` for what takes its time. */
  call<Data>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object, answerMs?: number): Promise<Data>
  /** An answer whose body goes on until the signal; its status may be any. */
  open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response>
}

/** In the words of the server. */
export class ServerRefused extends CommandError {
  readonly status: number

  constructor(status: number, message: string, field?: string) {
    super(message, { field })
    this.status = status
  }
}

/** A refusal as the API says it. */
export interface RefusedEnvelope {
  readonly error?: string
  readonly details?: { readonly field?: string } | null
}

/** The server that `--server` names, else the one that runs on the data folder. */
export async function connect(call: Call): Promise<Client> {
  const named = optional(call, 'server')
  if (named !== undefined) {
    checkUrl(named)
    const token = process.env.LANDFALL_ADMIN_TOKEN
    if (!token) throw new CommandError('--server needs LANDFALL_ADMIN_TOKEN in the environment')
    return createClient(named.replace(/\/$/, ''), token)
  }
  const folder = optional(call, 'data') ?? process.env.LANDFALL_DATA ?? './landfall-data'
  const running = await readRunning(folder).catch((cause) => {
    throw new CommandError(`cannot read ${folder}/running.json: ${(cause as Error).message}`)
  })
  if (running === undefined) {
    throw new CommandError(`no server runs on ${folder}: start one with \`npm start\`, or name it with --data or --server`)
  }
  return createClient(running.http, process.env.LANDFALL_ADMIN_TOKEN || running.token, resolve(folder))
}

/** An address without its scheme is a url to the eye only: `localhost:8080` has the scheme `localhost`. */
function checkUrl(text: string): void {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username + url.password + url.search + url.hash !== '')
    throw new CommandError(
      '--server begins with http:// or https:// and has no user, query or fragment, such as https://files.example.com; ' +
        `not ${JSON.stringify(text)}`,
    )
}

/** Throws where there is no such account, with how to find the right one. */
export async function accountIdOf(client: Client, slug: string): Promise<string> {
  const path = `/api/accounts/${encodeURIComponent(slug)}`
  try {
    return (await client.call<{ account: { id: string } }>('GET', path)).account.id
  } catch (cause) {
    if (!(cause instanceof ServerRefused) || cause.status !== 404) throw cause
    throw new CommandError(`there is no account ${slug}: \`landfall account list\` shows those that there are`)
  }
}

export function createClient(url: string, token: string, place = url): Client {
  const authorization = `Bearer ${token}`
  const asked = (path: string, request: RequestInit) =>
    fetch(`${url}${path}`, request).catch((cause) => {
      throw new CommandError(`${url} does not answer (${reasonOf(cause)}): is the server running?`)
    })
  return {
    url,
    place,
    open: (path, headers, signal) => asked(path, { headers: { ...headers, authorization }, signal }),
    async call(method, path, body, answerMs = ANSWER_MS) {
      const headers: Record<string, string> = { authorization }
      if (body !== undefined) headers['content-type'] = 'application/json'
      const request: RequestInit = { method, headers, signal: AbortSignal.timeout(answerMs) }
      if (body !== undefined) request.body = JSON.stringify(body)
      const answer = await asked(path, request)
      const envelope = (await answer.json().catch(() => undefined)) as
        | ({ success?: boolean; data?: unknown } & RefusedEnvelope)
        | undefined
      if (envelope?.success !== true) {
        const message = envelope?.error ?? `${method} ${path} was answered with status ${answer.status}`
        throw new ServerRefused(answer.status, message, envelope?.details?.field)
      }
      return envelope.data as never
    },
  }
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string } }).cause
  return cause?.code ?? (error as Error).message
}
