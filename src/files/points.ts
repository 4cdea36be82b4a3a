/**
 * Named moments between two durable steps. The crash storm passes a hook that ends the process at one of them; production
 * passes nothing.
 */
export const FAIL_POINTS = [
  'upload.opened',
  'partial.synced',
  'partial.saved',
  'upload.synced',
  'change.recorded',
  'change.carried_out',
  'change.placed',
  'change.acknowledged',
  'change.closed',
] as const
export type FailPoint = (typeof FAIL_POINTS)[number]

export type Reach = (point: FailPoint) => void
