import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../src/base/error.ts'
import { LOCK_FILE, lockFolder } from '../src/base/folder-lock.ts'
import type { Running } from '../src/base/lifecycle.ts'
import { ignoreMissing, renameDurably, syncFolder, writePrivately } from '../src/base/private-file.ts'

/**
 * The agent's own folder, readable by its owner only:
 *
 * | File | What it is |
 * |---|---|
 * | `agent.json` | what an enrolment told; there is one exactly while the agent is enrolled |
 * | `key.pem` | the private key, made here; nobody else ever has it |
 * | `key.next.pem` | the key of an enrolment that is not through yet |
 * | `certificate.pem` | what the server's authority issued for the key |
 * | `api-key` | for the documented HTTP calls; the agent itself uses its certificate |
 * | `files` | what transfers may read and write, where no other folders were given |
 *
 * All are written whole or not at all and synced. A process that dies while it enrols leaves the enrolment before it, or none and the key
 * that the server knows, with which the same command goes on.
 */
export interface AgentFolder {
  readonly path: string
  /** Undefined: not enrolled. */
  read(): Promise<Enrolment | undefined>
  /** The key to enrol with: that of an enrolment that was broken off, else a new one, which is durable before this answers. */
  keyToEnrol(): Promise<KeyObject>
  /** The server will not have this key: the next enrolment begins with another. */
  forgetKeyToEnrol(): Promise<void>
  /** In place of the enrolment before, if there was one. */
  keepEnrolment(facts: AgentFacts, certificate: string, apiKey: string): Promise<void>
  /** Of the same enrolment, with another address or other roots. */
  keepFacts(facts: AgentFacts): Promise<void>
  /** A newer certificate of the same key. */
  keepCertificate(certificate: string): Promise<void>
}

/** What `agent.json` holds. */
export interface AgentFacts {
  readonly id: string
  readonly name: string
  /** Url of the HTTP API that it was enrolled at. */
  readonly server: string
  /** `host:port` of the agent port. */
  readonly agents: string
  /** Absolute paths of the folders that transfers may read and write. */
  readonly roots: readonly string[]
  /** PEM of the authority that both sides are checked against, pinned at enrolment. */
  readonly ca: string
  /** SHA-256 of the token that let it in, lower-case hex: a command that is repeated with it has nothing left to do. */
  readonly admittedBy: string
}

export interface Enrolment extends AgentFacts {
  readonly key: KeyObject
  readonly certificate: X509Certificate
}

/** The folder as it is, if it is there. */
export function openAgentFolder(path: string): AgentFolder {
  return new Folder(path)
}

/** One of these is in a folder as soon as an agent has begun to make it its own. */
const MARKS: readonly string[] = ['agent.json', 'key.pem', 'key.next.pem', LOCK_FILE]

/**
 * The folder of an agent, or one that is to become it: made where it is missing. One that holds something else, or that others may
 * look into, stays as it is.
 * @throws AppError `invalid`, saying what is wrong with the folder
 */
export async function makeAgentFolder(path: string): Promise<AgentFolder> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const names = await readdir(path)
    const isAgents = names.some((name) => MARKS.includes(name))
    if (!isAgents) {
      const other = names.find((name) => name !== 'lost+found')
      if (other !== undefined)
        throw new AppError('invalid', `the folder ${path} is not an agent's: it holds ${other}; name another one`)
      const { mode } = await stat(path)
      if (process.platform !== 'win32' && (mode & 0o077) !== 0)
        throw new AppError(
          'invalid',
          `others may look into the folder ${path}: run \`chmod 700\` on it, or name one that is not there yet`,
        )
    }
    await chmod(path, 0o700)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid', `the folder ${path} cannot be made: ${(cause as Error).message}`, { cause })
  }
  return new Folder(path)
}

/** Takes the folder for this process until it ends, however it does; `data_folder_locked` where another one has it. */
export function lockAgentFolder(path: string): Running {
  return lockFolder(path, `another agent process uses ${path}: stop it, or name another folder with --folder`)
}

/** Where files are read and written when no folders are given. */
export function defaultRoot(folder: string): string {
  return join(folder, 'files')
}

class Folder implements AgentFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async read(): Promise<Enrolment | undefined> {
    const text = await this.#text('agent.json')
    if (text === undefined) return undefined
    const [key, certificate] = await Promise.all([this.#text('key.pem'), this.#text('certificate.pem')])
    try {
      const enrolment = {
        ...(JSON.parse(text) as AgentFacts),
        key: createPrivateKey(key ?? ''),
        certificate: new X509Certificate(certificate ?? ''),
      }
      if (!enrolment.certificate.checkPrivateKey(enrolment.key)) throw new Error('the certificate is not one of the key')
      return enrolment
    } catch (cause) {
      const how = 'bring its files back from a backup, or enrol anew with --force'
      throw new AppError('conflict', `the agent folder ${this.path} is damaged (${(cause as Error).message}): ${how}`, { cause })
    }
  }

  async keyToEnrol(): Promise<KeyObject> {
    const isEnrolled = (await this.#text('agent.json')) !== undefined
    // Without `agent.json`, the key is one whose enrolment died just before its last step.
    const begun = (await this.#text('key.next.pem')) ?? (isEnrolled ? undefined : await this.#text('key.pem'))
    if (begun !== undefined) return createPrivateKey(begun)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writePrivately(this.#file('key.next.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    return privateKey
  }

  async forgetKeyToEnrol(): Promise<void> {
    await rm(this.#file('key.next.pem'), { force: true })
    if ((await this.#text('agent.json')) === undefined) await rm(this.#file('key.pem'), { force: true })
  }

  async keepEnrolment(facts: AgentFacts, certificate: string, apiKey: string): Promise<void> {
    // From here until the last step the agent is not enrolled: files of two enrolments never count together.
    await rm(this.#file('agent.json'), { force: true })
    await syncFolder(this.path)
    await writePrivately(this.#file('certificate.pem'), certificate)
    await writePrivately(this.#file('api-key'), `${apiKey}\n`)
    await renameDurably(this.#file('key.next.pem'), this.#file('key.pem')).catch(ignoreMissing)
    await this.keepFacts(facts)
  }

  async keepFacts(facts: AgentFacts): Promise<void> {
    await writePrivately(this.#file('agent.json'), `${JSON.stringify(facts, null, 2)}\n`)
  }

  async keepCertificate(certificate: string): Promise<void> {
    await writePrivately(this.#file('certificate.pem'), certificate)
  }

  #file(name: string): string {
    return join(this.path, name)
  }

  async #text(name: string): Promise<string | undefined> {
    return readFile(this.#file(name), 'utf8').catch(ignoreMissing)
  }
}
