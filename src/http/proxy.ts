import { isIPv6, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { AppError } from '../base/error.ts'
import { KIB } from '../base/units.ts'
import { failureOf, ProxyFailure } from './failure.ts'
import type { EgressGuard } from './guard.ts'
import type { HttpProxy } from './route.ts'
import { dial, type Opening, secure, type Target } from './socket.ts'
import { bareHost, isLoopbackHost } from './url.ts'

/** A proxy, and whom to believe where it is spoken to over TLS itself. */
export interface ProxyAccess extends HttpProxy {
  readonly secureContext: SecureContext
}

/** The most of an answer to CONNECT that is read, bytes. */
const ANSWER_BYTES_MAX = 16 * KIB
const HEAD_END = '\r\n\r\n'

/**
 * A socket to the target through an HTTP proxy. The name of the target is resolved and checked here, and the proxy is asked
 * for the address, so that it cannot be led elsewhere by an answer of its own name server; the proxy's own address is
 * subject to the same rules. Its refusals are a ProxyFailure.
 */
export async function tunnel(opening: Opening, guard: EgressGuard, proxy: ProxyAccess, target: Target): Promise<Socket> {
  const addresses = await guard.addressesOf(target.host)
  // One is enough, as the proxy does not try several; every proxy can reach an IPv4 one.
  const { address } = addresses.find(({ family }) => family === 4) ?? addresses[0]!
  const socket = await toProxy(opening, guard, proxy)
  if (isLoopbackHost(address) && !isLoopbackHost(socket.remoteAddress ?? ''))
    throw new AppError('url_refused', `${target.host} is loopback, which behind the proxy would be another machine`)
  await askToConnect(socket, isIPv6(address) ? `[${address}]:${target.port}` : `${address}:${target.port}`, proxy)
  return socket
}

async function toProxy(opening: Opening, guard: EgressGuard, proxy: ProxyAccess): Promise<Socket> {
  const form = guard.checkProxy(proxy.url)
  if (!form.allowed) throw new AppError('url_refused', `proxy: ${form.reason}`)
  const { url } = form
  const host = bareHost(url)
  const isSecure = url.protocol === 'https:'
  try {
    const wire = await dial(opening, guard, { host, port: Number(url.port || (isSecure ? 443 : 80)) })
    return isSecure ? await secure(opening, wire, { host, secureContext: proxy.secureContext }) : wire
  } catch (error) {
    const failure = failureOf(error as Error)
    if (failure.kind === 'refused') throw new AppError('url_refused', `proxy: ${failure.reason}`)
    throw new ProxyFailure(`proxy: ${failure.message}`, { cause: error })
  }
}

/** Throws ProxyFailure unless the proxy says 2xx (RFC 9110 section 9.3.6). */
async function askToConnect(socket: Socket, authority: string, { username, password = '' }: HttpProxy): Promise<void> {
  const credentials = Buffer.from(`${username}:${password}`).toString('base64')
  const authorization = username === undefined ? '' : `Proxy-Authorization: Basic ${credentials}\r\n`
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`)
  const answer = await readHead(socket)
  const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r]/.exec(answer)?.[1])
  if (Number.isNaN(status)) throw new ProxyFailure('proxy: its answer is not valid HTTP')
  if (status === 407) {
    const why = username === undefined ? 'asks for a user name and password' : 'does not take the user name and password'
    throw new ProxyFailure(`proxy: it ${why} (status 407)`)
  }
  if (status < 200 || status > 299) throw new ProxyFailure(`proxy: it did not connect (status ${status})`)
  // Both in TLS and in HTTP the client speaks first. What is more than an answer may end in an empty line too.
  if (answer.indexOf(HEAD_END) + HEAD_END.length < answer.length) throw new ProxyFailure('proxy: it sent more than an answer')
}

/** The answer up to its empty line, and what came with it. */
function readHead(socket: Socket): Promise<string> {
  const head = Promise.withResolvers<string>()
  let text = ''
  const read = () => {
    for (let piece = socket.read(); piece !== null; piece = socket.read()) text += piece.toString('latin1')
    if (text.includes(HEAD_END)) head.resolve(text)
    else if (text.length > ANSWER_BYTES_MAX) head.reject(new ProxyFailure('proxy: its answer is too large'))
  }
  const closed = () => head.reject(new ProxyFailure('proxy: it closed the connection'))
  socket.on('readable', read).on('close', closed)
  return head.promise.finally(() => socket.off('readable', read).off('close', closed))
}
