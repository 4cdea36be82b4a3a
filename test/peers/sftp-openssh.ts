import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprintOf } from '../../agent/clients/ssh-connection.ts'
import { findSshd, Sshd } from '../../bench/sshd.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { newKeyPair } from '../ssh-key.ts'
import { mountSmallDisk, onDisk } from './on-disk.ts'
import type { PeerKind } from './peer.ts'
import { startRelay } from './relay.ts'

const program = findSshd()

export const kind: PeerKind = {
  name: 'sftp (OpenSSH)',
  missing: program === undefined ? 'needs sshd: install the Debian package openssh-server' : undefined,
  resumes: { pull: true, push: true },
  async start() {
    const root = await mkdtemp(join(tmpdir(), 'landfall-sshd-'))
    const [key, other] = [newKeyPair(), newKeyPair()]
    const authorized = join(root, 'authorized_keys')
    await writeFile(authorized, `${key.public}\n`)
    const sshd = await Sshd.start(program!, root, authorized)
    const relay = await startRelay(sshd.port)
    const hostKey = Buffer.from((await readFile(join(root, 'sshd_host_key.pub'), 'utf8')).split(' ')[1]!, 'base64')
    const folder = join(root, 'files')
    await mkdir(folder)
    const small = await mountSmallDisk(join(root, 'small'))

    const endpoint: SftpEndpoint = {
      protocol: 'sftp',
      host: '127.0.0.1',
      port: relay.port,
      username: sshd.user,
      privateKey: key.private,
      hostKeys: [fingerprintOf(hostKey)],
      trustsFirstKey: false,
    }
    return {
      endpoint,
      folder,
      wrongPassword: { ...endpoint, privateKey: other.private },
      wrongIdentity: { ...endpoint, hostKeys: [fingerprintOf(Buffer.from(other.public.split(' ')[1]!, 'base64'))] },
      fullFolder: small && { endpoint, folder: join(root, 'small') },
      ...onDisk((path) => path),
      cutAfter: (bytes) => relay.cutAfter(bytes),
      async stop() {
        await relay.stop()
        await sshd.stop()
        await small?.stop()
        await rm(root, { recursive: true, force: true })
      },
    }
  },
}
