import { CommandError } from './command.ts'

/** A password is at most 1,024 bytes; what is longer is a mistake, such as a file piped in. */
const LINE_BYTES_MAX = 4_096

/** What stands on standard input, without one line end. */
export async function readPassword(option = '--password-stdin'): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    bytes += chunk.length
    if (bytes > LINE_BYTES_MAX) throw new CommandError(`${option} takes at most ${LINE_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
