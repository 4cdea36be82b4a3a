import { Client, type SFTPWrapper } from 'ssh2'
import { systemMs } from './receiver.ts'

/** One upload: when the client sent its CLOSE, and when that was acknowledged; ms on the system's monotonic clock. */
export interface Upload {
  readonly number: number
  readonly closedAt: number
  readonly acknowledgedAt: number
}

/** A partner's client that stays connected and uploads small files over real SFTP. */
export class Uploader {
  readonly #client: Client
  readonly #sftp: SFTPWrapper
  readonly #content: Buffer

  static async connect(
    server: { host: string; port: number },
    login: { username: string; password: string },
    fileBytes: number,
  ): Promise<Uploader> {
    const client = new Client()
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject)
      client.connect({ ...server, ...login })
    })
    client.setNoDelay(true)
    const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, opened) => (error ? reject(error) : resolve(opened)))
    })
    return new Uploader(client, sftp, Buffer.alloc(fileBytes, 'order;amount;date\n'))
  }

  private constructor(client: Client, sftp: SFTPWrapper, content: Buffer) {
    this.#client = client
    this.#sftp = sftp
    this.#content = content
  }

  async upload(number: number): Promise<Upload> {
    const sftp = this.#sftp
    const content = this.#content
    const handle = await new Promise<Buffer>((resolve, reject) => {
      sftp.open(`/file-${number}.bin`, 'w', (error, opened) => (error ? reject(error) : resolve(opened)))
    })
    await new Promise<void>((resolve, reject) => {
      sftp.write(handle, content, 0, content.length, 0, (error) => (error ? reject(error) : resolve()))
    })
    const closedAt = systemMs()
    await new Promise<void>((resolve, reject) => {
      sftp.close(handle, (error) => (error ? reject(error) : resolve()))
    })
    return { number, closedAt, acknowledgedAt: systemMs() }
  }

  end(): void {
    this.#client.end()
  }
}

/**
 * Begins one piece of work at each tick of a fixed rate, whether or not the one before has ended: a server that falls
 * behind shows in the times, not in a lower rate. Returns what they gave, in the order of their beginning.
 */
export async function atRate<T>(perSecond: number, count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const begun: Promise<T>[] = []
  const start = systemMs()
  while (begun.length < count) {
    const waitMs = start + (begun.length * 1000) / perSecond - systemMs()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    else begun.push(work(begun.length))
  }
  return Promise.all(begun)
}
