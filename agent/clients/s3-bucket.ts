import { S3Client } from '@aws-sdk/client-s3'
import { MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import type { S3Endpoint } from '../../src/wire/agent/work.ts'
import { s3Failure } from './s3-failure.ts'

/** From dialling to being connected, ms. */
const CONNECT_MS = 30 * SECOND_MS
/** From a request to the headers of its answer, ms, beside the time that its body takes: putting thousands of parts together takes a server minutes. */
const ANSWER_MS = 5 * MINUTE_MS
/** A line that is slower than this is taken for a dead one, bytes a ms. */
const SLOWEST_BYTES_PER_MS = 16
/** A connection that nobody uses is closed after this, ms: sooner than servers close theirs, who would reset the next request. */
const UNUSED_MS = 4 * SECOND_MS
interface AskOptions {
  /** Without one it ends by its answer or its time only. */
  readonly signal?: AbortSignal | undefined
  /** Bytes of its body. */
  readonly bytes?: number
}

/** For `S3Client.send`. */
interface SendOptions {
  readonly requestTimeout: number
  readonly abortSignal?: AbortSignal
}

/** A bucket with the credentials for it. */
export class S3Bucket {
  /** Nothing of a request outlives its client, so it can always serve the next one. */
  readonly isQuiet = true
  readonly name: string
  readonly #client: S3Client

  constructor({ endpoint, region, bucket, accessKeyId, secretAccessKey, pathStyle, ca }: S3Endpoint) {
    this.name = bucket
    const agent = { keepAlive: true, timeout: UNUSED_MS }
    this.#client = new S3Client({
      region,
      forcePathStyle: pathStyle,
      credentials: { accessKeyId, secretAccessKey },
      ...(endpoint !== undefined && { endpoint }),
      // The transfer is what is tried again, and goes on where it was.
      maxAttempts: 1,
      // Servers other than AWS do not know the trailers of the SDK's own checksums; writing gives those that all know.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // With it the SDK would dial anew for every part, and without our CA.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: ANSWER_MS,
        throwOnRequestTimeout: true,
        // Bodies are watched by those who read them.
        socketTimeout: 0,
        httpAgent: agent,
        httpsAgent: { ...agent, ...(ca !== undefined && { ca }) },
      },
    })
  }

  /** The answer to one command; what it throws is a `TransferFailure`. `doing`: `Reading “/a”`. */
  async ask<Output>(
    doing: string,
    { signal, bytes = 0 }: AskOptions,
    call: (client: S3Client, options: SendOptions) => Promise<Output>,
  ): Promise<Output> {
    try {
      const requestTimeout = ANSWER_MS + bytes / SLOWEST_BYTES_PER_MS
      return await call(this.#client, { requestTimeout, ...(signal && { abortSignal: signal }) })
    } catch (error) {
      throw s3Failure(error, doing, signal)
    }
  }

  close(): void {
    this.#client.destroy()
  }
}
