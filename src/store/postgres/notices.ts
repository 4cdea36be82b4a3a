import pg from 'pg'
import type { Clock } from '../../base/clock.ts'
import { SECOND_MS } from '../../base/units.ts'

const CHANNEL = 'landfall_planned'

/** PostgreSQL refuses notices of 8,000 bytes; an id has about 20. */
const IDS_PER_NOTICE_MAX = 200

/** Between two notices of a node, ms. A notice makes commits wait for each other, and a nudge may be late. */
const NOTICE_GAP_MS = 20

/** Between two tries to listen again, ms. */
const LISTEN_AGAIN_MS = SECOND_MS

/**
 * Nudges between nodes: which webhooks have got something due. Only a nudge: what is lost costs latency, so nothing here
 * ever fails a caller.
 */
export class Notices {
  #url: string
  #pool: pg.Pool
  #clock: Clock
  #onPlanned: (webhookIds: string[]) => void
  /** Tells our own notices from those of others. */
  #node: string
  #pending = new Set<string>()
  #isSending = false
  #isStopped = false
  #listener: pg.Client | undefined

  constructor(options: { url: string; node: string; pool: pg.Pool; clock: Clock; onPlanned: (webhookIds: string[]) => void }) {
    this.#url = options.url
    this.#pool = options.pool
    this.#clock = options.clock
    this.#onPlanned = options.onPlanned
    this.#node = options.node
  }

  /** Call after the commit. */
  planned(webhookIds: readonly string[]): void {
    if (webhookIds.length === 0) return
    this.#onPlanned([...webhookIds])
    for (const id of webhookIds) this.#pending.add(id)
    if (!this.#isSending) this.#sendSoon()
  }

  async listen(): Promise<void> {
    if (this.#isStopped) return
    const client = new pg.Client({ connectionString: this.#url, application_name: 'landfall notices', keepAlive: true })
    this.#listener = client
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''))
    client.on('error', () => {})
    client.on('end', () => {
      this.#clock.after(LISTEN_AGAIN_MS, () => void this.listen())
    })
    // A failure ends the client, and that tries again.
    await client
      .connect()
      .then(() => client.query(`listen ${CHANNEL}`))
      .catch(() => client.end().catch(() => {}))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#listener?.end().catch(() => {})
  }

  #sendSoon(): void {
    this.#isSending = true
    this.#clock.after(NOTICE_GAP_MS, () => void this.#send())
  }

  async #send(): Promise<void> {
    if (this.#isStopped) return
    const ids = [...this.#pending].slice(0, IDS_PER_NOTICE_MAX)
    for (const id of ids) this.#pending.delete(id)
    await this.#pool.query('select pg_notify($1, $2)', [CHANNEL, [this.#node, ...ids].join(' ')]).catch(() => {})
    this.#isSending = false
    if (this.#pending.size > 0) this.#sendSoon()
  }

  #hear(payload: string): void {
    const [sender, ...webhookIds] = payload.split(' ')
    if (sender !== this.#node && webhookIds.length > 0) this.#onPlanned(webhookIds)
  }
}
