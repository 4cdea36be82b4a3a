import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ssh2 from 'ssh2'
import { fingerprintOf } from '../../accounts/ssh-key.ts'
import { AppError } from '../../base/error.ts'

/** A private key of this server, by which clients know it. */
export interface HostKey {
  /** `ssh-ed25519` or `ssh-rsa`. */
  readonly type: string
  /** `SHA256:…`, as `ssh-keygen -l` and a client's first question show it. */
  readonly fingerprint: string
  /** The line for a client's known_hosts file, without the host. */
  readonly publicLine: string
  /** In OpenSSH's own format. */
  readonly privateKey: string
}

/** 3,072 bits are 128 bits of security (NIST SP 800-57 part 1), as much as ed25519 has. */
const KINDS = [
  { file: 'ssh_host_ed25519_key', type: 'ed25519', options: {} },
  { file: 'ssh_host_rsa_key', type: 'rsa', options: { bits: 3072 } },
] as const

type Generate = (type: string, options: { bits?: number; comment?: string }) => Promise<{ private: string }>
const generateBySsh2 = promisify(ssh2.utils.generateKeyPair) as unknown as Generate
/** ssh2 1.17.0 writes one ed25519 key in some 270 so that nobody can read it (measured: 11 of 3,000). Ten in a row do not happen. */
const GENERATE_TRIES_MAX = 10

/** A new private key that can be read again, in OpenSSH's format. */
export async function newPrivateKey(type: string, options: { bits?: number }, generate = generateBySsh2): Promise<string> {
  for (let tries = 1; ; tries++) {
    const { private: text } = await generate(type, { ...options, comment: 'landfall' })
    const parsed = ssh2.utils.parseKey(text)
    if (!(parsed instanceof Error)) return text
    if (tries === GENERATE_TRIES_MAX) throw new Error(`no readable ${type} key in ${tries} tries`, { cause: parsed })
  }
}

/**
 * The host keys of a folder, each made at the first start with mode 0600. A key file that others may read, or that is
 * no key, is refused with `setting_invalid`: a new key in its place would look like an attack to every client.
 */
export async function loadHostKeys(folder: string): Promise<HostKey[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const keys: HostKey[] = []
  for (const { file, type, options } of KINDS) {
    const path = join(folder, file)
    const text = (await readKey(path)) ?? (await makeKey(folder, path, type, options))
    keys.push(parse(text, file))
  }
  return keys
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0 && process.platform !== 'win32') {
      const shown = (mode & 0o777).toString(8)
      throw new AppError('setting_invalid', `host key ${path} has mode ${shown}: others may read it; set it to 600`)
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written beside and linked into place, so that a crash leaves no half a key and a second process no second one. */
async function makeKey(folder: string, path: string, type: string, options: { bits?: number }): Promise<string> {
  const text = await newPrivateKey(type, options)
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(beside, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  // The umask may have taken bits away.
  await chmod(beside, 0o600)
  try {
    await link(beside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(beside)
  }
  await syncFolder(folder)
  return readFile(path, 'utf8')
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync().finally(() => handle.close())
}

function parse(text: string, file: string): HostKey {
  const parsed = ssh2.utils.parseKey(text)
  if (parsed instanceof Error) throw new AppError('setting_invalid', `host key ${file} cannot be read: ${parsed.message}`)
  const key = Array.isArray(parsed) ? parsed[0]! : parsed
  if (!key.isPrivateKey()) throw new AppError('setting_invalid', `host key ${file} is not a private key`)
  const blob = key.getPublicSSH()
  return {
    type: key.type,
    fingerprint: fingerprintOf(blob),
    publicLine: `${key.type} ${blob.toString('base64')}`,
    privateKey: text,
  }
}
