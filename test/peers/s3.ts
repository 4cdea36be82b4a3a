import { once } from 'node:events'
import { type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buildApp } from 'fauxqs'
import { makeCertificate } from './certificate.ts'
import type { PeerKind } from './peer.ts'
import { startRelay } from './relay.ts'

const BUCKET = 'in-box'
const ACCESS_KEY = 'AKIAPEER'
/** fauxqs takes no longer bodies. */
const PART_BYTES = 8 * 1024 * 1024

/** fauxqs behind a door with TLS, which knows access keys and, what fauxqs does not, tells the parts of an upload. */
export const kind: PeerKind = {
  name: 's3 (fauxqs)',
  missing: undefined,
  resumes: { pull: true, push: true },
  async start() {
    const app = buildApp({ logger: false })
    const inner = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
    const store = storeAt(inner)
    await store.call('PUT', '')
    const [own, other] = await Promise.all([makeCertificate(), makeCertificate()])
    const uploads = new Map<string, Upload>()
    const door = createServer({ cert: own.certificate, key: own.privateKey }, (request, response) => {
      answer(inner, uploads, request, response).catch(() => response.destroy())
    })
    await once(door.listen(0, '127.0.0.1'), 'listening')
    const relay = await startRelay((door.address() as AddressInfo).port)
    const endpoint = {
      protocol: 's3' as const,
      endpoint: `https://127.0.0.1:${relay.port}`,
      region: 'us-east-1',
      bucket: BUCKET,
      accessKeyId: ACCESS_KEY,
      secretAccessKey: 'correct horse battery staple',
      pathStyle: true,
      ca: own.certificate,
    }
    return {
      endpoint,
      folder: '/files',
      wrongPassword: { ...endpoint, accessKeyId: 'AKIANOBODY' },
      wrongIdentity: { ...endpoint, ca: other.certificate },
      fullFolder: undefined,
      put: (path, bytes) => store.put(path, bytes),
      get: (path) => store.get(path),
      async names(folder) {
        // An upload that nobody ended is what half a file is elsewhere.
        const half = [...uploads.values()].map(({ key }) => `${key}.part`)
        return [...(await store.keys(`${folder.slice(1)}/`)), ...half].map((key) => key.slice(folder.length))
      },
      cutAfter: (bytes) => relay.cutAfter(bytes),
      async stop() {
        await relay.stop()
        door.closeAllConnections()
        await once(door.close(), 'close')
        await app.close()
      },
    }
  },
}

interface Upload {
  readonly key: string
  readonly parts: Map<number, { readonly size: number; readonly etag: string; readonly sha256: string | undefined }>
}

async function answer(
  inner: URL,
  uploads: Map<string, Upload>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, inner)
  const uploadId = searchParams.get('uploadId')
  if (!request.headers.authorization?.includes(`Credential=${ACCESS_KEY}/`)) {
    request.resume()
    const why = '<Error><Code>InvalidAccessKeyId</Code><Message>Who are you?</Message></Error>'
    response.writeHead(403, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? undefined : why)
    return
  }
  if (request.method === 'GET' && uploadId !== null) {
    tellParts(uploads.get(uploadId), Number(searchParams.get('part-number-marker') ?? 0), response)
    return
  }
  const { status, headers, body } = await forward(inner, request)
  if (status < 300) {
    const { key } = /^\/[^/]*\/(?<key>.*)$/.exec(decodeURIComponent(pathname))!.groups as { key: string }
    if (searchParams.has('uploads')) uploads.set(/<UploadId>(.*?)</.exec(String(body))![1]!, { key, parts: new Map() })
    else if (uploadId !== null && request.method === 'PUT') {
      uploads.get(uploadId)!.parts.set(Number(searchParams.get('partNumber')), {
        size: Number(request.headers['content-length']),
        etag: String(headers.etag),
        sha256: request.headers['x-amz-checksum-sha256'] as string | undefined,
      })
    } else if (uploadId !== null) uploads.delete(uploadId)
  }
  response.writeHead(status, headers).end(body)
}

/** ListParts, in pages of two. */
function tellParts(upload: Upload | undefined, after: number, response: ServerResponse): void {
  if (upload === undefined) {
    response.writeHead(404, { 'content-type': 'application/xml' }).end('<Error><Code>NoSuchUpload</Code></Error>')
    return
  }
  const wanted = [...upload.parts].filter(([number]) => number > after).sort(([one], [other]) => one - other)
  const page = wanted.slice(0, 2)
  const parts = page.map(
    ([number, { size, etag, sha256 }]) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${size}</Size>` +
      `${sha256 === undefined ? '' : `<ChecksumSHA256>${sha256}</ChecksumSHA256>`}</Part>`,
  )
  response
    .writeHead(200, { 'content-type': 'application/xml' })
    .end(
      `<ListPartsResult><IsTruncated>${wanted.length > page.length}</IsTruncated>` +
        `<NextPartNumberMarker>${page.at(-1)?.[0] ?? after}</NextPartNumberMarker>${parts.join('')}</ListPartsResult>`,
    )
}

/** The whole request is taken before it is passed on, as fauxqs itself does. */
async function forward(inner: URL, request: IncomingMessage) {
  const sent = await bytesOf(request)
  const { url, method, headers } = request
  const forwarded = requestHttp(new URL(url!, inner), { method: method!, headers, agent: false })
  // fauxqs may answer before it has it all, and then hang up.
  forwarded.on('error', () => {})
  forwarded.end(sent)
  const [answer] = (await once(forwarded, 'response')) as [IncomingMessage]
  return { status: answer.statusCode!, headers: answer.headers, body: await bytesOf(answer) }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  if (!message.complete) throw new Error('The message was cut.')
  return Buffer.concat(chunks)
}

/** The bucket by the back door. */
function storeAt(inner: URL) {
  async function call(method: string, target: string, body?: Uint8Array | string): Promise<Response> {
    const sent =
      body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer>, headers: { 'content-type': 'application/octet-stream' } }
    return await fetch(new URL(`/${BUCKET}${target}`, inner), { method, ...sent })
  }
  return {
    call,
    async put(path: string, bytes: Uint8Array): Promise<void> {
      const target = encodeURI(path)
      if (bytes.length <= PART_BYTES) {
        await call('PUT', target, bytes)
        return
      }
      const id = /<UploadId>(.*?)</.exec(await (await call('POST', `${target}?uploads`)).text())![1]!
      let parts = ''
      for (let number = 1; (number - 1) * PART_BYTES < bytes.length; number++) {
        const part = bytes.subarray((number - 1) * PART_BYTES, number * PART_BYTES)
        const { headers } = await call('PUT', `${target}?uploadId=${id}&partNumber=${number}`, part)
        parts += `<Part><PartNumber>${number}</PartNumber><ETag>${headers.get('etag')}</ETag></Part>`
      }
      await call('POST', `${target}?uploadId=${id}`, `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`)
    },
    async get(path: string): Promise<Uint8Array | undefined> {
      const answer = await call('GET', encodeURI(path))
      return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined
    },
    async keys(prefix: string): Promise<string[]> {
      const listed = await (await call('GET', `?list-type=2&prefix=${encodeURIComponent(prefix)}`)).text()
      return [...listed.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key!)
    },
  }
}
