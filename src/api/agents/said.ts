import type { Static } from 'typebox'
import { MEMORY_MIB_MAX, VERSION_CHARS_MAX } from '../../agents/check.ts'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { LISTED_FILES_MAX, type WorkReport } from '../../wire/agent/work.ts'
import { type Fault, faultIn, type Schema } from '../check.ts'
import { nullable } from '../schema.ts'

/**
 * What agents say, as it is checked before anybody acts on it. Members that are not known are passed over: an agent may be newer than the server
 * that it works for, and must be able to say that it failed.
 */

/** Work that an agent may name in its hello: more than it ever holds. */
const LEASES_MAX = 1_000
const LEASE_CHARS_MAX = 64
const PATH_CHARS_MAX = 4_096
/** What an agent says went wrong; it is cut to what is kept by who keeps it. */
const ERROR_CHARS_MAX = 8_192

/** SHA-256 in hex; `reportOf` looks at its digits. */
const hash = Type.String({ minLength: 64, maxLength: 64 })
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const speed = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** ms since 1970 UTC, as far as a `Date` goes either way. */
const moment = Type.Integer({ minimum: -8_640_000_000_000_000, maximum: 8_640_000_000_000_000 })
const text = (maxLength: number, minLength = 0) => Type.String({ minLength, maxLength })

export const HelloBody = Type.Object({
  instance: text(64, 1),
  leases: Type.Array(text(LEASE_CHARS_MAX, 1), { maxItems: LEASES_MAX }),
  version: text(VERSION_CHARS_MAX, 1),
  hostname: text(255),
  os: Type.Enum(['linux', 'windows', 'darwin']),
})

export const HeartbeatBody = Type.Object({
  status: Type.Enum(['online', 'busy', 'error']),
  load: Type.Number({ minimum: 0, maximum: 1 }),
  memory: Type.Integer({ minimum: 0, maximum: MEMORY_MIB_MAX }),
})

export const CsrBody = Type.Object({ csr: text(8_192, 1) })

export const LeaseParams = Type.Object({ lease: text(LEASE_CHARS_MAX, 1) })

const arrival = { size: bytes, bytesTransferred: bytes, speed, sha256: hash }
const file = Type.Object({
  path: text(PATH_CHARS_MAX, 1),
  relativePath: text(PATH_CHARS_MAX, 1),
  size: bytes,
  modifiedAt: nullable(moment),
  sha256: Type.Optional(hash),
})
const STATES = {
  running: Type.Object({ size: nullable(bytes), bytesTransferred: bytes, speed }),
  arrived: Type.Object(arrival),
  completed: Type.Object({ ...arrival, sha256: Type.Optional(hash) }),
  failed: Type.Object({
    ...{ error: text(ERROR_CHARS_MAX), errorCode: text(64, 1), bytesTransferred: bytes },
    leavesPart: Type.Optional(Type.Boolean()),
  }),
  cancelled: Type.Object({ bytesTransferred: bytes, leavesPart: Type.Optional(Type.Boolean()) }),
  discarded: Type.Object({}),
  listed: Type.Object({
    files: Type.Array(file, { maxItems: LISTED_FILES_MAX }),
    notQuiet: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    isTruncated: Type.Boolean(),
  }),
  host_key: Type.Object({ hostKey: text(256, 1) }),
} satisfies Record<WorkReport['state'], object>

/** Which members a report has, its state says: `reportOf` checks them. */
export const ReportBody = Type.Object(
  { state: Type.Enum(Object.keys(STATES) as WorkReport['state'][]) },
  { additionalProperties: true },
)

/** @throws what the check of a route throws, or AppError `invalid`. */
export function reportOf(said: Static<typeof ReportBody>): WorkReport {
  const fault = faultIn(STATES[said.state] as Schema, said)
  if (fault !== undefined) throw Object.assign(new Error('invalid report'), { fault } satisfies { fault: Fault })
  const report = said as unknown as WorkReport
  if ('sha256' in report) checkHash('sha256', report.sha256)
  if (report.state === 'listed') for (const [at, { sha256 }] of report.files.entries()) checkHash(`files[${at}].sha256`, sha256)
  return report
}

function checkHash(field: string, hash: string | undefined): void {
  if (hash !== undefined && !/^[0-9a-f]{64}$/.test(hash))
    throw new AppError('invalid', `${field} is not 64 lower-case hex digits`, { field })
}
