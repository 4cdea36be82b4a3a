import type { Clock } from '../base/clock.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import type { EventType } from './catalogue.ts'
import type { EventData, EventDraft } from './event.ts'

/** Builds events; storing them is part of the unit of work of the change that made them true. */
export interface Recorder {
  draft(type: EventType, accountId: string | null, data: EventData): EventDraft
}

export function createRecorder(clock: Clock, random?: RandomBytes): Recorder {
  return {
    draft(type, accountId, data) {
      const occurredAt = clock.now()
      return { id: newId('event', occurredAt, random), type, accountId, occurredAt, data }
    },
  }
}
