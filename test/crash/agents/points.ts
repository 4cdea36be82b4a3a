/** Moments at which an agent ends itself in the storm: those of its files, and those of what it does. */
export const ENROLMENT_POINTS = ['key.saved', 'certificate.saved', 'enrolment.saved'] as const
export const WORKING_POINTS = [
  'listing.reporting',
  'part.written',
  'file.committing',
  'file.committed',
  'arrival.reporting',
  'arrival.answered',
  'source.seen_to',
  'completion.reporting',
  'completion.answered',
  'cancellation.answered',
] as const
export type AgentPoint = (typeof ENROLMENT_POINTS)[number] | (typeof WORKING_POINTS)[number]

/** Files of the agent's folder, and what has been reached once they are there. */
export const SAVED: Readonly<Record<string, AgentPoint>> = {
  'key.next.pem': 'key.saved',
  'certificate.pem': 'certificate.saved',
  'agent.json': 'enrolment.saved',
}
