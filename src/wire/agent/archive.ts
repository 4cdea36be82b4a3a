import { posix } from 'node:path'

/** Names have at most 255 bytes nearly everywhere: of longer parts of one, so many bytes are kept, and its id keeps it apart. */
const STEM_BYTES_MAX = 180
/** What is longer behind the last dot is no extension. */
const EXTENSION_BYTES_MAX = 20

/**
 * Where the post action of a transfer puts a source whose own name is taken there: beside it, with the transfer's id before the extension. Always the same name
 * for one transfer, and no other transfer's: `/done/data.csv` → `/done/data.trf_….csv`.
 */
export function besideTaken(to: string, transferId: string): string {
  const { dir, base } = posix.parse(to)
  const last = posix.extname(base)
  const extension = Buffer.byteLength(last) > EXTENSION_BYTES_MAX ? '' : last
  const stem = Buffer.from(base.slice(0, base.length - extension.length))
    .subarray(0, STEM_BYTES_MAX)
    .toString()
    .replace(/\uFFFD+$/, '')
  return posix.join(dir, `${stem}.${transferId}${extension}`)
}
