import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../base/error.ts'

/** Makes and checks password hashes: argon2id in PHC string form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export interface Passwords {
  /** Throws `limit_reached` when too many wait. */
  hash(password: string): Promise<string>
  /**
   * False for a wrong password. A null hash is checked against a dummy, so that a user who does not exist or has no
   * password takes the time of one who has. Throws `limit_reached` when too many wait.
   */
  verify(hash: string | null, password: string): Promise<boolean>
}

export const PASSWORD_BYTES_MIN = 8
/** A longer one is no password; the bound keeps a flood of megabytes away from the hash. */
export const PASSWORD_BYTES_MAX = 1_024

/** 19 MiB, 2 passes, 1 lane: the first choice of the OWASP Password Storage Cheat Sheet for argon2id (RFC 9106). */
const COST: Cost = { memoryKib: 19_456, passes: 2, lanes: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32

/**
 * Hashes computed at the same time, each with 19 MiB for some 30 ms in a thread of Node's pool of four. Two leave
 * room for file operations, which use the same pool.
 */
const HASHES_AT_ONCE = 2
/** Checks that wait for one of those; at 30 ms each, the last waits about 4 s. A login flood beyond it is refused. */
const HASHES_WAITING_MAX = 256

interface Cost {
  memoryKib: number
  passes: number
  lanes: number
}

const derive = promisify(argon2)

export function createPasswords(limits = { atOnce: HASHES_AT_ONCE, waitingMax: HASHES_WAITING_MAX }): Passwords {
  const turns = createTurns(limits.atOnce, limits.waitingMax)
  const nobody = format(COST, randomBytes(SALT_BYTES), randomBytes(HASH_BYTES))

  return {
    hash(password) {
      return turns(async () => {
        const salt = randomBytes(SALT_BYTES)
        return format(COST, salt, await compute(password, salt, COST, HASH_BYTES))
      })
    },
    async verify(hash, password) {
      if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return false
      const { cost, salt, digest } = parse(hash ?? nobody)
      const given = await turns(() => compute(password, salt, cost, digest.length))
      return timingSafeEqual(given, digest) && hash !== null
    },
  }
}

function compute(password: string, salt: Buffer, cost: Cost, tagLength: number): Promise<Buffer> {
  const { memoryKib: memory, passes, lanes: parallelism } = cost
  return derive('argon2id', { message: password, nonce: salt, memory, passes, parallelism, tagLength })
}

/** The PHC string format writes base64 without padding. */
function format(cost: Cost, salt: Buffer, digest: Buffer): string {
  const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${cost.memoryKib},t=${cost.passes},p=${cost.lanes}$${text(salt)}$${text(digest)}`
}

// Digits and lengths are bounded, so that a damaged row cannot ask for gigabytes.
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

function parse(hash: string): { cost: Cost; salt: Buffer; digest: Buffer } {
  const [, memory, passes, lanes, salt, digest] = PHC.exec(hash) ?? []
  if (salt === undefined || digest === undefined) throw new Error('a stored password hash is not argon2id in PHC form')
  return {
    cost: { memoryKib: Number(memory), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    digest: Buffer.from(digest, 'base64'),
  }
}

/** Runs work at most `atOnce` at a time, in order of arrival; refuses when `waitingMax` wait already. */
function createTurns(atOnce: number, waitingMax: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running < atOnce) running += 1
    else if (waiting.length < waitingMax) await new Promise<void>((resolve) => waiting.push(resolve))
    else
      throw new AppError('limit_reached', `${waitingMax} password checks are waiting already; try again in a moment`, {
        retryAfterSeconds: 5,
      })
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      // The turn is handed over: `running` stays as it is.
      if (next === undefined) running -= 1
      else next()
    }
  }
}
