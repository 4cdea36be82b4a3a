import { Client, type SFTPWrapper } from 'ssh2'

/** Uploads over real SFTP, each on its own connection, as a partner's script would. */
export async function upload(
  server: { sftp: string },
  login: { username: string; password: string },
  path: string,
  content: Buffer,
): Promise<{ closedAt: number; acknowledgedAt: number }> {
  const colon = server.sftp.lastIndexOf(':')
  const client = new Client()
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject)
    // Without this, Nagle's algorithm holds each small request back for 40 ms, and the demo would show that.
    client.once('ready', () => client.setNoDelay(true))
    client.connect({ host: server.sftp.slice(0, colon), port: Number(server.sftp.slice(colon + 1)), ...login })
  })
  try {
    const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, opened) => (error ? reject(error) : resolve(opened)))
    })
    const handle = await new Promise<Buffer>((resolve, reject) => {
      sftp.open(path, 'w', (error, opened) => (error ? reject(error) : resolve(opened)))
    })
    await new Promise<void>((resolve, reject) => {
      sftp.write(handle, content, 0, content.length, 0, (error) => (error ? reject(error) : resolve()))
    })
    const closedAt = performance.now()
    await new Promise<void>((resolve, reject) => {
      sftp.close(handle, (error) => (error ? reject(error) : resolve()))
    })
    return { closedAt, acknowledgedAt: performance.now() }
  } finally {
    client.end()
  }
}
