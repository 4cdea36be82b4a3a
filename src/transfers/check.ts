import { AppError } from '../base/error.ts'
import type { PostAction } from '../wire/agent/work.ts'
import { urlOf } from './locate.ts'
import { escapingOf, inFolder, PLAIN } from './names.ts'
import { checkPostAction, foreignRouteOf, type PostActionInput, routeOf, type Side } from './route.ts'
import { newTransfer, RETRY_DELAYS_MS, type Remote, type Transfer, type TransferPolicy } from './transfer.ts'

/** A transfer that an administrator asks for; the far side is the remote, the other one a path of the agent's machine or a space. */
export interface TransferInput {
  readonly agentId: string
  /** None: both sides are paths of the agent's machine, or spaces. */
  readonly remoteId?: string
  readonly sourceUrl: string
  /** Ending in `/`: the folder that the file goes into under its own name. */
  readonly destinationPath: string
  readonly direction: string
  /** Follows from the rest; where given it must agree. */
  readonly protocol?: string
  readonly size?: number
  readonly retryDelaysSeconds?: readonly number[]
  readonly bytesPerSecond?: number
  readonly postAction?: PostActionInput
  readonly onAgentLost?: string
}

/** A transfer that a foreign agent makes by itself. */
export interface ForeignInput {
  readonly agentId: string
  readonly sourceUrl: string
  readonly destinationPath: string
  readonly direction: string
  readonly protocol: string
  readonly size?: number
  readonly runId?: string
}

export const RETRIES_MAX = 20
export const RETRY_DELAY_SECONDS_MAX = 86_400

/** The transfer, and which of its sides are spaces, whose users are still to be looked up. @throws AppError `invalid`, naming the member */
export function transferOf(
  input: TransferInput,
  remote: Remote | null,
  now: number,
): { readonly transfer: Transfer; readonly spaces: readonly Side[] } {
  const { source, destination, direction, protocol, spaces } = routeOf({ ...input, ...sidesOf(input) }, remote)
  const farSource = direction === 'pull' ? remote : null
  const transfer = newTransfer(
    {
      ...{ agentId: input.agentId, remoteId: remote?.id ?? null, isForeign: false, size: input.size ?? null },
      ...{ direction, protocol },
      sourceUrl: farSource === null ? source : urlOf(farSource, source),
      destinationPath: inFolder('destinationPath', destination, source, escapingOf({ protocol, direction })),
      policy: policyOf(input, inItsFolder(checkPostAction(input.postAction ?? { kind: 'keep' }, farSource), source)),
    },
    now,
  )
  return { transfer, spaces }
}

function sidesOf({ sourceUrl, destinationPath }: Pick<TransferInput, 'sourceUrl' | 'destinationPath'>) {
  return {
    source: { field: 'sourceUrl', location: sourceUrl },
    destination: { field: 'destinationPath', location: destinationPath },
  }
}

/** `to` may be a folder, as a destination may. */
function inItsFolder(postAction: PostAction, source: string): PostAction {
  return postAction.kind === 'move' ? { ...postAction, to: inFolder('postAction.to', postAction.to, source, PLAIN) } : postAction
}

function policyOf(
  input: Pick<TransferInput, 'retryDelaysSeconds' | 'bytesPerSecond' | 'onAgentLost'>,
  postAction: PostAction,
): TransferPolicy {
  return {
    retryDelaysMs: input.retryDelaysSeconds?.map(checkDelay) ?? RETRY_DELAYS_MS,
    bytesPerSecond: input.bytesPerSecond ?? null,
    ...{ postAction, expected: null, deadlineMs: null, parallelism: null },
    onAgentLost: checkOnAgentLost(input.onAgentLost ?? 'retry'),
  }
}

function checkDelay(seconds: number): number {
  if (seconds >= 0 && seconds <= RETRY_DELAY_SECONDS_MAX) return Math.round(seconds * 1000)
  throw wrong('retryDelaysSeconds', `retryDelaysSeconds are between 0 and ${RETRY_DELAY_SECONDS_MAX}, not ${seconds}`)
}

function checkOnAgentLost(text: string): 'retry' | 'fail' {
  if (text === 'retry' || text === 'fail') return text
  throw wrong('onAgentLost', `onAgentLost is retry or fail, not ${text}`)
}

/** @throws AppError `invalid`, naming the member */
export function foreignTransfer(input: ForeignInput, now: number): Transfer {
  const { source, destination, direction, protocol } = foreignRouteOf({ ...input, ...sidesOf(input) })
  return newTransfer(
    {
      ...{ agentId: input.agentId, runId: input.runId ?? null, isForeign: true, size: input.size ?? null },
      ...{ sourceUrl: source, destinationPath: destination, direction, protocol },
      policy: { ...policyOf({}, { kind: 'keep' }), retryDelaysMs: [] },
    },
    now,
  )
}

function wrong(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}
