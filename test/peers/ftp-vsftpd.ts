import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FtpEndpoint } from '../../src/wire/agent/work.ts'
import { makeCertificate, type SelfMadeCertificate } from './certificate.ts'
import { mountSmallDisk, onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'
import { type Relay, startRelay } from './relay.ts'

const PROGRAM = '/usr/sbin/vsftpd'
/** The relay listens here: on the ports that vsftpd has for data, too, since it names nothing but their numbers. */
const RELAY_HOST = '127.0.0.2'
const PASSWORD = 'correct horse battery staple'
/** Data connections at the same time. */
const DATA_PORTS = 8

const missing = existsSync(PROGRAM) ? undefined : 'needs vsftpd: install the Debian package vsftpd'

export const kinds: readonly PeerKind[] = [
  vsftpd('ftp (vsftpd)', 'none'),
  vsftpd('ftps (vsftpd)', 'explicit'),
  vsftpd('ftps, implicit TLS (vsftpd)', 'implicit'),
]

function vsftpd(name: string, tls: FtpEndpoint['tls']): PeerKind {
  return {
    name,
    missing,
    resumes: { pull: true, push: true },
    async start() {
      const root = await mkdtemp(join(tmpdir(), 'landfall-vsftpd-'))
      const folder = join(root, 'files')
      await mkdir(folder)
      const [own, other] = await Promise.all([makeCertificate({ address: RELAY_HOST }), makeCertificate()])
      // Whoever looks for ports meanwhile finds those of the relay taken, and with them those that vsftpd will have.
      const [ports, relay] = await relayToFreePorts()
      const server = await startVsftpd(root, tls, own, ports)
      const small = await mountSmallDisk(join(root, 'small'))
      const endpoint: FtpEndpoint = {
        protocol: tls === 'none' ? 'ftp' : 'ftps',
        host: RELAY_HOST,
        port: relay.port,
        username: 'anonymous',
        password: PASSWORD,
        tls,
        ...(tls !== 'none' && { ca: own.certificate }),
      }
      return {
        endpoint,
        folder,
        wrongPassword: { ...endpoint, password: 'not that' },
        wrongIdentity: tls === 'none' ? undefined : { ...endpoint, certificates: [other.fingerprint] },
        fullFolder: small && { endpoint, folder: join(root, 'small') },
        ...onDisk((path) => path),
        cutAfter: (bytes) => relay.cutAfter(bytes),
        async stop() {
          await relay.stop()
          const exited = once(server, 'exit')
          server.kill()
          await exited
          await small?.stop()
          await rm(root, { recursive: true, force: true })
        },
      }
    },
  }
}

/** As the user who runs the tests: `anonymous` is the one login that vsftpd checks against a file of passwords, and not against the system's. */
async function startVsftpd(
  root: string,
  tls: FtpEndpoint['tls'],
  own: SelfMadeCertificate,
  ports: readonly number[],
): Promise<ChildProcess> {
  const file = async (name: string, content: string) => {
    await writeFile(join(root, name), content, { mode: 0o600 })
    return join(root, name)
  }
  const settings = {
    listen: 'YES',
    background: 'NO',
    listen_address: '127.0.0.1',
    listen_port: ports[0],
    pasv_min_port: ports[1],
    pasv_max_port: ports.at(-1),
    run_as_launching_user: 'YES',
    seccomp_sandbox: 'NO',
    anonymous_enable: 'YES',
    secure_email_list_enable: 'YES',
    email_password_file: await file('passwords', `${PASSWORD}\n`),
    anon_root: root,
    anon_umask: '022',
    anon_upload_enable: 'YES',
    anon_mkdir_write_enable: 'YES',
    anon_other_write_enable: 'YES',
    anon_world_readable_only: 'NO',
    allow_writeable_chroot: 'YES',
    write_enable: 'YES',
    xferlog_enable: 'NO',
    ...(tls !== 'none' && {
      ssl_enable: 'YES',
      implicit_ssl: tls === 'implicit' ? 'YES' : 'NO',
      allow_anon_ssl: 'YES',
      force_anon_logins_ssl: 'YES',
      force_anon_data_ssl: 'YES',
      require_ssl_reuse: 'YES',
      ssl_ciphers: 'HIGH',
      rsa_cert_file: await file('certificate.pem', own.certificate),
      rsa_private_key_file: await file('key.pem', own.privateKey),
    }),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  // It says on stdout why it will not start; its children must hold nothing that this process is waited for by.
  const child = spawn(PROGRAM, [await file('vsftpd.conf', lines.join(''))], { stdio: ['ignore', 'pipe', 'ignore'] })
  const said = once(child.stdout!, 'data').then(([text]) => String(text))
  await Promise.race([accepts(ports[0]!, child), said.then((text) => Promise.reject(new Error(`vsftpd: ${text}`)))])
  return child
}

async function accepts(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch((error) => error as Error & { cause?: { code?: string } })
    if (!(answer instanceof Error) || answer.cause?.code !== 'ECONNREFUSED') return
  }
  throw new Error(`vsftpd ended with status ${child.exitCode}`)
}

async function relayToFreePorts(): Promise<[ports: number[], Relay]> {
  for (;;) {
    const ports = await freePorts(DATA_PORTS + 1)
    try {
      return [ports, await startRelay(ports[0]!, '127.0.0.1', { host: RELAY_HOST, also: ports.slice(1) })]
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** So many ports in a row that are free on both addresses, below those that the system gives out by itself. */
async function freePorts(count: number): Promise<number[]> {
  for (;;) {
    const first = randomInt(20_000, 32_000)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(ports.flatMap((port) => ['127.0.0.1', RELAY_HOST].map((host) => isFree(port, host))))
    if (free.every(Boolean)) return ports
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}
