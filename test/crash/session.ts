import ssh2, { type Client, type SFTPWrapper, type Stats } from 'ssh2'

/** The connection ended before the answer came: what was asked may have happened or not. */
export class Cut extends Error {}
/** The server answered that it will not. */
export class Refused extends Error {
  readonly status: number
  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** No answer of a living server takes this long, ms, also on a machine with other work. */
const ANSWER_MS = 60_000

export const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp

export interface Login {
  username: string
  privateKey: string
}

type Callback<Value> = (error: Error | null | undefined, value: Value) => void

/** One SFTP session of a real SSH client. Every call resolves with the answer or rejects with `Cut` or `Refused`. */
export class Session {
  readonly #client: Client
  readonly #gone: Promise<never>
  #sftp!: SFTPWrapper

  /** `address` is host:port. Rejects with `Cut` where no session comes about. */
  static async open(address: string, login: Login): Promise<Session> {
    const colon = address.lastIndexOf(':')
    const session = new Session()
    const ready = new Promise<void>((resolve) => session.#client.once('ready', resolve))
    session.#client.connect({
      host: address.slice(0, colon),
      port: Number(address.slice(colon + 1)),
      ...login,
      readyTimeout: ANSWER_MS,
      // ssh2's own ChaCha20 is the slowest of its ciphers in JavaScript.
      algorithms: { cipher: ['aes128-gcm@openssh.com', 'aes128-ctr'] },
    })
    await Promise.race([ready, session.#gone])
    // Without this every small request waits 40 ms for an acknowledgement of the one before.
    session.#client.setNoDelay(true)
    session.#sftp = await session.#call('the SFTP subsystem', (back: Callback<SFTPWrapper>) => session.#client.sftp(back))
    session.#sftp.on('error', () => session.cut())
    return session
  }

  private constructor() {
    this.#client = new ssh2.Client()
    this.#gone = new Promise((_, reject) => {
      this.#client.on('error', (error) => reject(new Cut(error.message)))
      this.#client.on('close', () => reject(new Cut('the connection is closed')))
    })
    this.#gone.catch(() => {})
  }

  open(path: string, flags: number): Promise<Buffer> {
    return this.#call(`open ${path}`, (back: Callback<Buffer>) => this.#sftp.open(path, flags, {}, back))
  }

  write(handle: Buffer, chunk: Buffer, offset: number): Promise<void> {
    if (chunk.length === 0) return Promise.resolve()
    return this.#call('write', (back: Callback<void>) => this.#sftp.write(handle, chunk, 0, chunk.length, offset, back as never))
  }

  close(handle: Buffer): Promise<void> {
    return this.#call('close', (back: Callback<void>) => this.#sftp.close(handle, back as never))
  }

  /** The whole file, or undefined where none is. */
  read(path: string): Promise<Buffer | undefined> {
    return unlessMissing(this.#call(`read ${path}`, (back: Callback<Buffer>) => this.#sftp.readFile(path, back as never)))
  }

  /** What shows at the path, or undefined where nothing does. */
  async look(path: string): Promise<{ bytes: number; isFolder: boolean } | undefined> {
    const found = await unlessMissing(this.#call(`stat ${path}`, (back: Callback<Stats>) => this.#sftp.stat(path, back as never)))
    return found && { bytes: found.size, isFolder: found.isDirectory() }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(`rename ${from}`, (back: Callback<void>) => this.#sftp.rename(from, to, back as never))
  }

  /** As rename, but an existing file at `to` gives way. */
  replace(from: string, to: string): Promise<void> {
    return this.#call(`posix-rename ${from}`, (back: Callback<void>) => this.#sftp.ext_openssh_rename(from, to, back as never))
  }

  remove(path: string): Promise<void> {
    return this.#call(`remove ${path}`, (back: Callback<void>) => this.#sftp.unlink(path, back as never))
  }

  makeFolder(path: string): Promise<void> {
    return this.#call(`mkdir ${path}`, (back: Callback<void>) => this.#sftp.mkdir(path, back as never))
  }

  removeFolder(path: string): Promise<void> {
    return this.#call(`rmdir ${path}`, (back: Callback<void>) => this.#sftp.rmdir(path, back as never))
  }

  /** Ends the connection at once, as a pulled cable would look to the server. */
  cut(): void {
    this.#client.destroy()
  }

  async #call<Value>(what: string, ask: (back: Callback<Value>) => void): Promise<Value> {
    let timer: NodeJS.Timeout | undefined
    const answer = new Promise<Value>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ANSWER_MS} ms`)), ANSWER_MS)
      const back: Callback<Value> = (error, value) => {
        if (error === null || error === undefined) return resolve(value)
        const status = (error as { code?: unknown }).code
        // ssh2 gives its own errors, of a connection that ended, no number.
        reject(typeof status === 'number' ? new Refused(`${what}: ${error.message}`, status) : new Cut(error.message))
      }
      try {
        ask(back)
      } catch (error) {
        reject(new Cut((error as Error).message))
      }
    })
    try {
      return await Promise.race([answer, this.#gone])
    } finally {
      clearTimeout(timer)
      answer.catch(() => {})
    }
  }
}

async function unlessMissing<Value>(asked: Promise<Value>): Promise<Value | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Refused && error.status === STATUS_CODE.NO_SUCH_FILE) return undefined
    throw error
  }
}
