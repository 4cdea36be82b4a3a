/** One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export interface SseEvent {
  /** `message` where the server names none. */
  readonly event: string
  readonly data: string
}

/** Far more than an event of ours, whose body has at most 1 MiB: a server that sends more is none of ours. Characters. */
export const EVENT_CHARACTERS_MAX = 8 * 1024 * 1024

/**
 * Takes a stream of server-sent events apart, however it is cut into chunks. An event that the end of the stream cuts off is none, as the
 * specification has it.
 */
export class SseParser {
  /** The id of the last event, or of the last block that had an id and nothing else; '' before the first. */
  lastId = ''
  readonly #decoder = new TextDecoder('utf-8')
  #line = ''
  #endedWithReturn = false
  #event = ''
  #data: string[] = []
  #characters = 0
  #id: string | undefined

  /** The events that end in this chunk. Throws where one grows too long. */
  push(chunk: Uint8Array): SseEvent[] {
    const text = this.#decoder.decode(chunk, { stream: true })
    const events: SseEvent[] = []
    let from = 0
    for (const { index, 0: end } of text.matchAll(/\r\n|\n|\r/g)) {
      // A line feed that belongs to the return at the end of the chunk before.
      const isSecondHalf = this.#endedWithReturn && index === 0 && end === '\n'
      if (!isSecondHalf) this.#endLine(text.slice(from, index), events)
      from = index + end.length
    }
    if (text !== '') this.#endedWithReturn = text.endsWith('\r')
    this.#line += text.slice(from)
    this.#bound()
    return events
  }

  #endLine(rest: string, events: SseEvent[]): void {
    const line = this.#line + rest
    this.#line = ''
    if (line === '') this.#endBlock(events)
    else this.#takeField(line)
  }

  #takeField(line: string): void {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') {
      this.#data.push(value)
      this.#characters += value.length + 1
      this.#bound()
    } else if (name === 'event') this.#event = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
  }

  #endBlock(events: SseEvent[]): void {
    if (this.#id !== undefined) this.lastId = this.#id
    if (this.#data.length > 0) events.push({ event: this.#event || 'message', data: this.#data.join('\n') })
    ;[this.#event, this.#data, this.#characters, this.#id] = ['', [], 0, undefined]
  }

  #bound(): void {
    if (this.#line.length + this.#characters > EVENT_CHARACTERS_MAX)
      throw new Error(`the server sent an event of more than ${EVENT_CHARACTERS_MAX} characters`)
  }
}
