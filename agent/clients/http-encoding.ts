import type { Dispatcher } from 'undici'
import { TransferFailure } from '../../src/wire/agent/failure.ts'

/**
 * What is stored is what the server has, so compressing is refused in the request (`accept-encoding: identity`). A server that does it all the same would have
 * something else stored than the file, and tells lengths, parts and hashes of that (RFC 9110 §8.4). A file that is compressed itself, and says so by its name, is often
 * sent with its compression as the encoding, by Apache's `AddEncoding` for one: that is the file, byte for byte.
 */
export function checkPlain(answer: Dispatcher.ResponseData, path: string, doing: string): void {
  const encoding = encodingOf(answer)
  if (encoding === undefined || ENDINGS[encoding]?.test(path.replace(/\?.*$/s, ''))) return
  throw new TransferFailure(
    'UNSUPPORTED',
    `${doing} failed: the server sends it compressed (Content-Encoding: ${encoding.slice(0, 40)}) though asked not to; have it send the file as it is.`,
  )
}

/** Undefined: none. `aws-chunked` is how something was brought to S3, and stays in what some servers tell of it. */
export function encodingOf({ headers }: Dispatcher.ResponseData): string | undefined {
  const all = String(headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
  const encodings = all.map((each) => each.trim()).filter((each) => !['', 'identity', 'aws-chunked'].includes(each))
  return encodings.length === 0 ? undefined : encodings.join(', ')
}

/** Names of files that are compressed so themselves. */
const ENDINGS: Readonly<Record<string, RegExp>> = {
  gzip: /\.(gz|tgz|svgz)$/i,
  'x-gzip': /\.(gz|tgz|svgz)$/i,
  compress: /\.(z|taz)$/i,
  'x-compress': /\.(z|taz)$/i,
  br: /\.br$/i,
  zstd: /\.(zst|tzst)$/i,
}
