import { SECOND_MS } from '../../src/base/units.ts'
import type { PostResult } from '../../src/http/exchange.ts'
import type { Post } from '../../src/webhooks/send.ts'
import type { Random } from '../random.ts'
import type { Client } from './database.ts'
import { DELIVERY_HEADER } from './replays.ts'
import type { FakeTime } from './time.ts'

const BEHAVIOURS = [
  'fine',
  'slow',
  'failing',
  'hanging',
  'dripping',
  'unauthorized',
  'throttling',
  'refusing',
  'guarded',
] as const
export type Behaviour = (typeof BEHAVIOURS)[number]

/** What a poisoned receiver cannot take, wherever it is in a body. */
export const POISON = 'poison'

/** What a receiver does, from which time on; the last phase lasts. */
export type Phases = readonly { from: number; behaviour: Behaviour }[]

export interface Posted {
  readonly at: number
  readonly node: string
  readonly url: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly deadlineMs: number
  readonly deliveryId: string
  /** Whether the receiver answered 2xx, or would have had the sender lived. */
  readonly behaviour: Behaviour
}

export const RETRY_AFTER_SECONDS = 7

/** Receivers by url. */
export class Network {
  readonly receivers = new Map<string, Phases>()
  readonly poisoned = new Set<string>()
  readonly posted: Posted[] = []
  /** Called at the start of every POST. */
  onPost: (posted: Posted) => void = () => {}
  /** Called when a living process hears what became of it. */
  onResult: (posted: Posted, result: PostResult) => void = () => {}
  readonly #time: FakeTime
  readonly #dice: Random

  constructor(time: FakeTime, dice: Random) {
    this.#time = time
    this.#dice = dice
  }

  postFor(client: Client): Post {
    return ({ url, headers, body, deadlineMs }) => {
      const text = body.toString()
      const isPoison = this.poisoned.has(url) && text.includes(POISON)
      const behaviour = isPoison ? 'failing' : this.#behaviourOf(url)
      const deliveryId = headers[DELIVERY_HEADER] ?? ''
      const posted = { at: this.#time.now, node: client.node, url, headers, deadlineMs, body: text, deliveryId, behaviour }
      this.posted.push(posted)
      this.onPost(posted)
      const { takesMs, result } = this.#answer(behaviour, deadlineMs)
      return new Promise((resolve) => {
        this.#time.after(takesMs, () => {
          if (!client.isAlive) return
          this.onResult(posted, result)
          resolve(result)
        })
      })
    }
  }

  #behaviourOf(url: string): Behaviour {
    const phases = this.receivers.get(url) ?? []
    return phases.findLast(({ from }) => from <= this.#time.now)?.behaviour ?? 'fine'
  }

  #answer(behaviour: Behaviour, deadlineMs: number): { takesMs: number; result: PostResult } {
    const takesMs = this.#dice.between(0, 60)
    const answered = (status: number, durationMs = takesMs, retryAfter?: string) => ({
      takesMs: durationMs,
      result: {
        kind: 'answered' as const,
        ...{ status, bodyExcerpt: Buffer.alloc(0), durationMs },
        ...(retryAfter === undefined ? { headers: {} } : { headers: { 'retry-after': retryAfter }, retryAfter }),
      },
    })
    switch (behaviour) {
      case 'fine':
        return answered(this.#dice.pick([200, 202, 204]))
      case 'slow':
        return answered(200, this.#dice.between(SECOND_MS, deadlineMs - 1))
      case 'failing':
        return answered(this.#dice.pick([302, 400, 404, 500, 502, 503]))
      case 'unauthorized':
        return answered(401)
      case 'throttling':
        return answered(429, takesMs, `${RETRY_AFTER_SECONDS}`)
      case 'hanging':
        return { takesMs: deadlineMs, result: { kind: 'timed_out', afterMs: deadlineMs, phase: 'headers' } }
      case 'dripping':
        return { takesMs: deadlineMs, result: { kind: 'timed_out', afterMs: deadlineMs, phase: 'body' } }
      case 'refusing':
        return {
          takesMs,
          result: { kind: 'unreachable', code: 'ECONNREFUSED', message: 'connection refused', durationMs: takesMs },
        }
      case 'guarded':
        return { takesMs: 0, result: { kind: 'refused', reason: 'the address is private' } }
    }
  }
}
