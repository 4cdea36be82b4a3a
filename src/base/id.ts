import { randomFillSync } from 'node:crypto'

/** Fills an array with random bytes; the simulation passes a seeded one. */
export type RandomBytes = (into: Uint8Array<ArrayBuffer>) => void

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'
const TIME_CHARACTERS = 8
const RANDOM_CHARACTERS = 8

/** Prefix of each kind of id. Both contracts show ids as a prefix and characters of [0-9a-z]. */
export const ID_PREFIX = {
  account: 'acc_',
  user: 'usr_',
  userKey: 'ukey_',
  apiKey: 'key_',
  adminToken: 'adm_',
  event: 'whevt_',
  webhook: 'wh_',
  delivery: 'dlv_',
  replay: 'rpl_',
  alert: 'alr_',
  intent: 'int_',
  upload: 'upl_',
  audit: 'aud_',
  agent: 'agent_',
  certificate: 'cert_',
  enrolment: 'enr_',
  authority: 'ca_',
  remote: 'rmt_',
  transfer: 'trf_',
  job: 'job_',
  run: 'run_',
  node: 'node_',
} as const
export type IdKind = keyof typeof ID_PREFIX

/**
 * A new id: prefix, 8 characters of time (ms, base 36), 8 random ones. Ids made later sort later, which keeps
 * indexes dense (measured: 1.5 times the life-cycle rate of random ids). Outside, an id is opaque.
 */
export function newId(kind: IdKind, now: number, random: RandomBytes = fromPool): string {
  return (
    ID_PREFIX[kind] +
    timeText(now) +
    (kind === 'transfer' ? nextTransferText(now, random) : randomText(RANDOM_CHARACTERS, random))
  )
}

/**
 * The contract shows transfers with 12 characters after the prefix, which leaves 4 beside the time: too few to be drawn by lot when a run makes
 * thousands of transfers in one ms. So they are counted on from a random start, anew in each ms.
 */
const TRANSFER_CHARACTERS = 4
const TRANSFER_NUMBERS = ALPHABET.length ** TRANSFER_CHARACTERS
const lastTransfer = { at: -1, number: 0 }

function nextTransferText(now: number, random: RandomBytes): string {
  lastTransfer.number =
    now === lastTransfer.at
      ? (lastTransfer.number + 1) % TRANSFER_NUMBERS
      : Number.parseInt(randomText(TRANSFER_CHARACTERS, random), 36)
  lastTransfer.at = now
  return lastTransfer.number.toString(36).padStart(TRANSFER_CHARACTERS, '0')
}

/** The text between the ids that were made before `at` and those made then or later. */
export function idBound(kind: IdKind, at: number): string {
  return ID_PREFIX[kind] + timeText(at)
}

/** When an id was made, ms since 1970 UTC. */
export function idTime(kind: IdKind, id: string): number {
  const begin = ID_PREFIX[kind].length
  return Number.parseInt(id.slice(begin, begin + TIME_CHARACTERS), 36)
}

function timeText(at: number): string {
  return at.toString(36).padStart(TIME_CHARACTERS, '0')
}

/** `length` characters of [0-9a-z], each equally likely. */
export function randomText(length: number, random: RandomBytes = fromPool): string {
  let text = ''
  const bytes = new Uint8Array(length * 2)
  while (text.length < length) {
    random(bytes)
    for (const byte of bytes) {
      // 252 is the largest multiple of 36 below 256; bytes above it would favour the first letters.
      if (byte < 252 && text.length < length) text += ALPHABET[byte % 36]
    }
  }
  return text
}

/** Asking the system for a few bytes costs 4 µs, seven times as much as making the id; asked for many at once, it is nothing. */
const POOL = new Uint8Array(4096)
let poolUsed = POOL.length

function fromPool(into: Uint8Array): void {
  if (into.length > POOL.length) {
    randomFillSync(into)
    return
  }
  if (into.length > POOL.length - poolUsed) {
    randomFillSync(POOL)
    poolUsed = 0
  }
  const taken = POOL.subarray(poolUsed, poolUsed + into.length)
  into.set(taken)
  // Tokens are made of these bytes too: no copy stays here.
  taken.fill(0)
  poolUsed += into.length
}
