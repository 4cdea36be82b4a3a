import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { makeCertificate } from './certificate.ts'
import { mountSmallDisk, onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'
import { startRelay } from './relay.ts'

const USERNAME = 'me'
const PASSWORD = 'correct horse, battery: staple'
const AUTHORIZATION = `Basic ${Buffer.from(`${USERNAME}:${PASSWORD}`).toString('base64')}`

export const kinds: readonly PeerKind[] = [http('http'), http('https')]

function http(protocol: 'http' | 'https'): PeerKind {
  return {
    name: protocol,
    missing: undefined,
    resumes: { pull: true, push: false },
    async start() {
      const root = await mkdtemp(join(tmpdir(), 'landfall-http-'))
      const real = (path: string) => join(root, path)
      await Promise.all([mkdir(real('files')), mkdir(real('.parts'))])
      const small = await mountSmallDisk(real('small'))
      const [own, other] = await Promise.all([makeCertificate(), makeCertificate()])
      const serve: RequestListener = (request, response) => void answer(root, request, response)
      const server =
        protocol === 'http' ? createServer(serve) : createTlsServer({ cert: own.certificate, key: own.privateKey }, serve)
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const relay = await startRelay((server.address() as AddressInfo).port)
      const address = { protocol, host: '127.0.0.1', port: relay.port }
      const endpoint = {
        ...address,
        username: USERNAME,
        password: PASSWORD,
        ...(protocol === 'https' && { ca: own.certificate }),
      }
      return {
        endpoint,
        folder: '/files',
        wrongPassword: { ...endpoint, password: 'not that' },
        wrongIdentity: protocol === 'http' ? undefined : { ...endpoint, ca: other.certificate },
        fullFolder: small && { endpoint, folder: '/small' },
        ...onDisk(real),
        cutAfter: (bytes) => relay.cutAfter(bytes),
        async stop() {
          await relay.stop()
          server.closeAllConnections()
          await once(server.close(), 'close')
          await small?.stop()
          await rm(root, { recursive: true, force: true })
        },
      }
    },
  }
}

/** A server of files as RFC 9110 and RFC 9530 have it, with what transfers use of them. */
async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number, headers: Record<string, string> = {}) => response.writeHead(status, headers).end()
  const path = join(root, decodeURIComponent(new URL(request.url!, 'http://peer').pathname))
  if (request.headers.authorization !== AUTHORIZATION) return void end(401, { 'www-authenticate': 'Basic realm="peer"' })
  try {
    if (request.method === 'PUT') return void end(await put(root, path, request))
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return void end(404)
    if (request.method === 'DELETE') {
      await rm(path)
      return void end(204)
    }
    await get(path, request, response)
  } catch (error) {
    if (response.headersSent) response.destroy()
    else end((error as NodeJS.ErrnoException).code === 'ENOSPC' ? 507 : 500, { connection: 'close' })
    request.resume()
  }
}

async function get(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { size, mtimeMs, ino } = await stat(path)
  const etag = `"${ino.toString(36)}-${mtimeMs.toString(36)}-${size}"`
  const { range, 'if-range': condition, 'want-repr-digest': wantsDigest } = request.headers
  const [, first, last] =
    (condition === undefined || condition === etag) && range ? (/^bytes=(\d+)-(\d*)$/.exec(range) ?? []) : []
  const start = Number(first ?? 0)
  const end = Math.min(Number(last || size - 1), size - 1)
  if (first !== undefined && start >= size) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
    return
  }
  response.writeHead(first === undefined ? 200 : 206, {
    etag,
    'accept-ranges': 'bytes',
    'last-modified': new Date(mtimeMs).toUTCString(),
    'content-length': first === undefined ? size : end - start + 1,
    ...(first !== undefined && { 'content-range': `bytes ${start}-${end}/${size}` }),
    ...(wantsDigest !== undefined && { 'repr-digest': `sha-256=:${await digestOf(path)}:` }),
  })
  if (request.method === 'HEAD' || size === 0) response.end()
  else await pipeline(createReadStream(path, { start, end }), response)
}

/** Stored as a whole or not at all: a body that is cut rejects before the renaming. */
async function put(root: string, path: string, request: IncomingMessage): Promise<number> {
  // Beside its final name, so that a full disk is met; out of the way where there is room.
  const part = path.startsWith(join(root, 'small')) ? `${path}.incoming` : join(root, '.parts', String(Math.random()))
  const isNew = (await stat(path).catch(() => undefined)) === undefined
  try {
    await mkdir(dirname(path), { recursive: true })
    await pipeline(request, createWriteStream(part))
    const modifiedAt = request.headers['x-oc-mtime']
    if (modifiedAt !== undefined) await utimes(part, Number(modifiedAt), Number(modifiedAt))
    await rename(part, path)
    return isNew ? 201 : 204
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function digestOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('base64')
}
