import { isoSeconds } from '../base/clock.ts'
import type { Alert, AlertKind } from './alert.ts'
import type { Notice } from './port.ts'

/** What a kind is called in a subject, and what somebody can do about it, in lines that mail programs show whole. `ID` stands for the webhook. */
const TEXTS: Record<AlertKind, { title: string; todo: string }> = {
  webhook_failed: {
    title: 'A webhook was turned off',
    todo: `Find out why its receiver takes no deliveries, mend that, then turn the
webhook on again:
  landfall webhook activate ID
or PATCH /api/webhooks/ID with {"active": true}.
What waits for it is sent then. Events that happened while it was off
are not sent by themselves; they can be replayed.`,
  },
  deliveries_exhausted: {
    title: 'A delivery was given up',
    todo: `The webhook stays on, but this delivery is not tried again. See what
failed, mend the receiver, then send it once more:
  landfall webhook deliveries ID --status failed
  landfall webhook redeliver ID DELIVERY`,
  },
  high_failure_rate: {
    title: 'Too many attempts to a webhook fail',
    todo: `See what its receiver answers:
  landfall webhook deliveries ID
Attempts that failed are made again on the schedule of the webhook. When
they are used up, the delivery is given up or the webhook turned off.`,
  },
  slow_endpoint: {
    title: 'The receiver of a webhook is slow',
    todo: `A receiver should answer at once and work afterwards: an answer that
takes longer than the deadline of the webhook counts as failed.`,
  },
  unauthorized: {
    title: 'The receiver of a webhook answers 401',
    todo: `Check that the receiver has the secret of the webhook, or that the
webhook has the credentials that the receiver asks for, and that the
receiver verifies the raw body. A delivery that was answered 401 may not
be tried again; send it once more when this is mended:
  landfall webhook deliveries ID --status failed
  landfall webhook redeliver ID DELIVERY`,
  },
}

/** Subject and plain text of a mail. `publicUrl`, where it is set, makes a link. */
export function mailText(alert: Alert, notice: Notice, publicUrl: string): { subject: string; text: string } {
  const { id, kind, subjectId, message, raisedAt, clearedAt } = alert
  const { title, todo } = TEXTS[kind]
  const isOver = notice === 'cleared'
  const facts = [
    `Began:    ${isoSeconds(raisedAt)}`,
    ...(isOver && clearedAt !== null ? [`Over:     ${isoSeconds(clearedAt)}`] : []),
    `Webhook:  ${subjectId}`,
    `Alert:    ${id} (${kind})`,
    ...(publicUrl === '' ? [] : [`See:      ${publicUrl.replace(/\/+$/, '')}/api/alerts/${id}`]),
  ]
  const opening = isOver ? `This is over:\n${message}` : message
  const advice = isOver ? [] : ['What to do', todo.replaceAll('ID', subjectId)]
  return {
    subject: `[Landfall] ${isOver ? 'Over: ' : ''}${title} (${subjectId})`,
    text: `${[opening, facts.join('\n'), ...advice].join('\n\n')}\n`,
  }
}
