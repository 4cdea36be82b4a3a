import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib'

const Z = { finishFlush: constants.Z_SYNC_FLUSH }
/** The largest window that RFC 9659 lets a content coding ask for, as a power of two: 8 MiB. */
const ZSTD_WINDOW_LOG_MAX = 23

/** Each takes a body that was cut short as far as it goes. */
const CODINGS: ReadonlyMap<string, (body: Buffer) => Transform> = new Map(
  Object.entries({
    gzip: () => createGunzip(Z),
    'x-gzip': () => createGunzip(Z),
    // RFC 9110 section 8.4.1.2 means the zlib format; some senders leave its two bytes out.
    deflate: (body: Buffer) => ((body[0]! & 0x0f) === 8 ? createInflate(Z) : createInflateRaw(Z)),
    br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
    zstd: () =>
      createZstdDecompress({
        finishFlush: constants.ZSTD_e_flush,
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
      }),
  } satisfies Record<string, (body: Buffer) => Transform>),
)

/**
 * The first `bytesMax` of a body as it was before its content coding, or the body itself where the coding is broken;
 * undefined for a body without a coding, or with one (or several) not known here. What a bomb holds beyond `bytesMax` is
 * never inflated.
 */
export function inflated(body: Buffer, coding: string | string[] | undefined, bytesMax: number): Promise<Buffer> | undefined {
  const open = typeof coding === 'string' ? CODINGS.get(coding.trim().toLowerCase()) : undefined
  return open === undefined || body.length === 0 ? undefined : collect(open(body), body, bytesMax)
}

async function collect(decoder: Transform, body: Buffer, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  decoder.end(body)
  try {
    for await (const piece of decoder) {
      pieces.push(piece)
      bytes += piece.length
      if (bytes >= bytesMax) break
    }
  } catch {
    return body
  }
  return Buffer.concat(pieces).subarray(0, bytesMax)
}
