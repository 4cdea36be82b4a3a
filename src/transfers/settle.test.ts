import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { PAYLOADS } from '../events/payloads.ts'
import { dataOf } from './say.ts'
import {
  cancelledWaiting,
  type Decision,
  decide,
  ERROR_CHARACTERS_MAX,
  isLastAttempt,
  lost,
  type TransferReport,
  told,
} from './settle.ts'
import { aRunning, aTransfer, POLICY } from './testing.ts'
import { LOSSES_MAX, type Transfer } from './transfer.ts'

const NOW = 1_800_000_100_000
const STARTED = NOW - 45_400
const running = (more: Partial<Transfer> = {}) => aRunning(STARTED, more)
const ARRIVAL = { size: 1_000, bytesTransferred: 400, speed: 23_303.4, sha256: 'ab'.repeat(32) }
const failed = (errorCode: string, error = 'it broke'): TransferReport => ({
  state: 'failed',
  error,
  errorCode,
  bytesTransferred: 7,
})
const noRetries = { ...POLICY, retryDelaysMs: [] }

/** What is told of a case: only these members are compared. */
type Facts = Partial<Transfer>

const cases: { name: string; transfer?: Facts; report: TransferReport; after: Facts; says: string[] }[] = [
  {
    name: 'completed is the end, all of it there whatever the last attempt moved',
    report: { state: 'completed', ...ARRIVAL },
    after: {
      status: 'completed',
      size: 1_000,
      bytesTransferred: 1_000,
      progress: 100,
      speed: 23_303,
      completedAt: NOW,
      lease: null,
    },
    says: ['transfer.completed'],
  },
  {
    name: 'completed forgets why an earlier attempt failed',
    transfer: { error: 'lost', errorCode: 'TIMEOUT', retryCount: 1 },
    report: { state: 'completed', ...ARRIVAL },
    after: { error: null, errorCode: null, retryCount: 1, arrivedAt: NOW },
    says: ['transfer.completed'],
  },
  {
    name: 'failed is told by progress and bytes alike: as far as the attempt came',
    transfer: { size: 20, bytesTransferred: 4, progress: 20, saidTenth: 2 },
    report: failed('TIMEOUT'),
    after: { status: 'queued', bytesTransferred: 7, progress: 35, saidTenth: 2 },
    says: [],
  },
  {
    name: 'stopped is, too',
    transfer: { size: 20, bytesTransferred: 4, progress: 20, saidTenth: 2, cancelAskedAt: 5 },
    report: { state: 'cancelled', bytesTransferred: 7 },
    after: { status: 'cancelled', bytesTransferred: 7, progress: 35 },
    says: ['transfer.cancelled'],
  },
  {
    name: 'failed with what has arrived: all of it is there',
    transfer: { size: 20, bytesTransferred: 20, progress: 90, arrivedAt: 5 },
    report: failed('TIMEOUT'),
    after: { status: 'queued', bytesTransferred: 20, progress: 90 },
    says: [],
  },
  {
    name: 'completed wins over stopping that came too late',
    transfer: { cancelAskedAt: 5 },
    report: { state: 'completed', ...ARRIVAL },
    after: { status: 'completed' },
    says: ['transfer.completed'],
  },
  {
    name: 'arrived is kept, and the agent goes on with the source',
    report: { state: 'arrived', ...ARRIVAL },
    after: { status: 'running', arrivedAt: NOW, size: 1_000, sha256: ARRIVAL.sha256, completedAt: null },
    says: [],
  },
  {
    name: 'what was found at arrival counts, not what a later attempt did not look at again',
    transfer: { arrivedAt: 5, size: 1_000, bytesTransferred: 1_000, sha256: 'cd' },
    report: { state: 'completed', size: 0, bytesTransferred: 0, speed: 0 },
    after: { status: 'completed', size: 1_000, bytesTransferred: 1_000, sha256: 'cd', arrivedAt: 5 },
    says: ['transfer.completed'],
  },
  {
    name: 'a failure that may pass is tried again after the first delay',
    report: failed('CONNECTION_LOST'),
    after: { status: 'queued', dueAt: NOW + 30_000, retryCount: 1, lease: null, error: 'it broke', errorCode: 'CONNECTION_LOST' },
    says: [],
  },
  {
    name: 'then after the second',
    transfer: { retryCount: 1 },
    report: failed('TIMEOUT'),
    after: { status: 'queued', dueAt: NOW + 120_000, retryCount: 2 },
    says: [],
  },
  {
    name: 'then after the third',
    transfer: { retryCount: 2 },
    report: failed('TIMEOUT'),
    after: { status: 'queued', dueAt: NOW + 480_000, retryCount: 3 },
    says: [],
  },
  {
    name: 'and then it has failed',
    transfer: { retryCount: 3 },
    report: failed('TIMEOUT'),
    after: { status: 'failed', errorCode: 'TIMEOUT', retryCount: 3, lease: null, completedAt: NOW },
    says: ['transfer.failed'],
  },
  {
    name: 'wrong credentials fail at once',
    report: failed('AUTH_FAILED'),
    after: { status: 'failed', errorCode: 'AUTH_FAILED', retryCount: 0, bytesTransferred: 7 },
    says: ['transfer.failed'],
  },
  {
    name: 'a code that nobody knows is not tried again',
    report: failed('NEWER_THAN_US'),
    after: { status: 'failed', errorCode: 'NEWER_THAN_US' },
    says: ['transfer.failed'],
  },
  {
    name: 'what is no code is a fault of the agent',
    transfer: { policy: noRetries },
    report: failed('such a pity'),
    after: { status: 'failed', errorCode: 'INTERNAL' },
    says: ['transfer.failed'],
  },
  {
    name: 'a failure while it is being stopped is the stop',
    transfer: { cancelAskedAt: 5 },
    report: failed('CONNECTION_LOST'),
    after: { status: 'cancelled', errorCode: 'CANCELLED', lease: null },
    says: ['transfer.cancelled'],
  },
  {
    name: 'stopped as asked',
    transfer: { cancelAskedAt: 5 },
    report: { state: 'cancelled', bytesTransferred: 12 },
    after: { status: 'cancelled', bytesTransferred: 12, completedAt: NOW },
    says: ['transfer.cancelled'],
  },
  {
    name: 'stopped though nobody asked: it is handed out again',
    report: { state: 'cancelled', bytesTransferred: 12 },
    after: { status: 'queued', dueAt: NOW, losses: 1, retryCount: 0, lease: null },
    says: [],
  },
  {
    name: 'progress says each tenth once, with the real percentage',
    transfer: { size: 1_000 },
    report: { state: 'running', size: null, bytesTransferred: 379, speed: 10 },
    after: { progress: 37, saidTenth: 3, bytesTransferred: 379, size: 1_000 },
    says: ['transfer.progress'],
  },
  {
    name: 'and nothing of the same tenth again',
    transfer: { size: 1_000, saidTenth: 3 },
    report: { state: 'running', size: 1_000, bytesTransferred: 399, speed: 10 },
    after: { progress: 39, saidTenth: 3 },
    says: [],
  },
  {
    name: 'an attempt that begins anew says nothing that was said before',
    transfer: { size: 1_000, saidTenth: 8, progress: 85, bytesTransferred: 850 },
    report: { state: 'running', size: 1_000, bytesTransferred: 300, speed: 10 },
    after: { progress: 30, saidTenth: 8, bytesTransferred: 300 },
    says: [],
  },
  {
    name: 'nothing at the begin',
    report: { state: 'running', size: 1_000, bytesTransferred: 99, speed: 10 },
    after: { progress: 9, saidTenth: 0 },
    says: [],
  },
  {
    name: 'all bytes moved are not verified yet',
    report: { state: 'running', size: 1_000, bytesTransferred: 1_000, speed: 10 },
    after: { progress: 99, saidTenth: 9 },
    says: ['transfer.progress'],
  },
  {
    name: 'an unknown size makes no percentage',
    report: { state: 'running', size: null, bytesTransferred: 1_000, speed: 10 },
    after: { progress: 0, saidTenth: 0, bytesTransferred: 1_000 },
    says: [],
  },
  {
    name: 'a late word about bytes changes nothing of what has arrived',
    transfer: { arrivedAt: 5, size: 1_000, bytesTransferred: 1_000 },
    report: { state: 'running', size: 1_000, bytesTransferred: 3, speed: 1 },
    after: { bytesTransferred: 1_000 },
    says: [],
  },
]

function check({ after, says }: Decision, expected: Facts, said: readonly string[]): void {
  const told = Object.fromEntries(Object.keys(expected).map((name) => [name, after[name as keyof Transfer]]))
  assert.deepEqual([told, says], [expected, said])
  for (const type of says) assert.deepEqual([...Value.Errors(PAYLOADS[type], dataOf(type, after, 'an agent'))], [], type)
}

for (const { name, transfer, report, after, says } of cases) {
  test(`decide: ${name}`, () => check(decide(running(transfer), report, NOW), after, says))
}

const ENDED_WITH_PART = { ...failed('AUTH_FAILED'), leavesPart: true } as TransferReport
const STOPPED: TransferReport = { state: 'cancelled', bytesTransferred: 7 }
const rests: { name: string; decision: () => Decision; leavesPart: boolean }[] = [
  { name: 'a failure of which the agent says so', decision: () => decide(running(), ENDED_WITH_PART, NOW), leavesPart: true },
  { name: 'a failure otherwise', decision: () => decide(running(), failed('AUTH_FAILED'), NOW), leavesPart: false },
  {
    name: 'a failure after an attempt of which nothing was heard',
    decision: () => decide(running({ losses: 1 }), failed('AUTH_FAILED'), NOW),
    leavesPart: true,
  },
  {
    name: 'a failure that is tried again',
    decision: () => decide(running(), { ...failed('TIMEOUT'), leavesPart: true } as TransferReport, NOW),
    leavesPart: false,
  },
  { name: 'stopped as asked', decision: () => decide(running({ cancelAskedAt: 5 }), STOPPED, NOW), leavesPart: false },
  {
    name: 'stopped as asked, and not put away in time',
    decision: () => decide(running({ cancelAskedAt: 5 }), { ...STOPPED, leavesPart: true }, NOW),
    leavesPart: true,
  },
  { name: 'stopped by the loss of its agent', decision: () => lost(running({ cancelAskedAt: 5 }), NOW), leavesPart: true },
  {
    name: 'failed by the loss of its agent',
    decision: () => lost(running({ policy: { ...POLICY, onAgentLost: 'fail' } }), NOW),
    leavesPart: true,
  },
  {
    name: 'lost with its file arrived',
    decision: () => lost(running({ arrivedAt: 5, policy: { ...POLICY, onAgentLost: 'fail' } }), NOW),
    leavesPart: false,
  },
  { name: 'stopped before it was begun', decision: () => cancelledWaiting(aTransfer(NOW), NOW), leavesPart: false },
  {
    name: 'stopped while it waited for its next attempt',
    decision: () => cancelledWaiting(aTransfer(NOW, { retryCount: 1 }), NOW),
    leavesPart: true,
  },
  {
    name: 'one that its agent moves by itself',
    decision: () => lost(running({ cancelAskedAt: 5, isForeign: true }), NOW),
    leavesPart: false,
  },
]
for (const { name, decision, leavesPart } of rests) {
  test(`what is left is ${leavesPart ? '' : 'not '}to be discarded: ${name}`, () => {
    assert.equal(decision().leavesPart ?? false, leavesPart)
  })
}

test('the attempt after the last delay is the last', () => {
  const policy = { ...POLICY, retryDelaysMs: [1, 1] }
  assert.deepEqual(
    [0, 1, 2].map((retryCount) => isLastAttempt({ policy, retryCount })),
    [false, false, true],
  )
})

const losses: { name: string; transfer?: Facts; after: Facts; says: string[] }[] = [
  {
    name: 'is handed out again at once',
    after: { status: 'queued', dueAt: NOW, losses: 1, retryCount: 0, lease: null },
    says: [],
  },
  {
    name: 'fails where its policy says so',
    transfer: { policy: { ...POLICY, onAgentLost: 'fail' } },
    after: { status: 'failed', errorCode: 'AGENT_LOST' },
    says: ['transfer.failed'],
  },
  {
    name: 'fails when it may be what ends the agent',
    transfer: { losses: LOSSES_MAX },
    after: { status: 'failed', errorCode: 'AGENT_LOST' },
    says: ['transfer.failed'],
  },
  {
    name: 'is cancelled where that was asked for',
    transfer: { cancelAskedAt: 5, policy: { ...POLICY, onAgentLost: 'fail' } },
    after: { status: 'cancelled', cancelAskedAt: 5 },
    says: ['transfer.cancelled'],
  },
  { name: 'keeps that it has arrived', transfer: { arrivedAt: 5 }, after: { status: 'queued', arrivedAt: 5 }, says: [] },
]
for (const { name, transfer, after, says } of losses) {
  test(`a transfer whose agent is lost ${name}`, () => check(lost(running(transfer), NOW), after, says))
}

test('payloads have exactly the documented members, in their order', () => {
  const transfer = running({ id: 'trf_1a2b3c4d5e6f', agentId: 'agent_1a2b3c4d', size: 1_000 })
  const { after } = decide(transfer, { state: 'completed', ...ARRIVAL }, NOW)
  assert.equal(
    JSON.stringify(dataOf('transfer.completed', after, 'production-server-1')),
    '{"transferId":"trf_1a2b3c4d5e6f","agentId":"agent_1a2b3c4d","agentName":"production-server-1",' +
      '"sourceUrl":"sftp://ftp.example.com/files/data.csv","destinationPath":"/local/data.csv","direction":"pull","protocol":"sftp",' +
      '"size":1000,"bytesTransferred":1000,"duration":45,"speed":23303,"status":"completed"}',
  )
  const end = decide({ ...transfer, retryCount: 3, losses: 1 }, failed('AUTH_FAILED', 'Authentication failed'), NOW).after
  assert.equal(
    JSON.stringify(dataOf('transfer.failed', end, 'production-server-1')),
    '{"transferId":"trf_1a2b3c4d5e6f","agentId":"agent_1a2b3c4d","agentName":"production-server-1",' +
      '"sourceUrl":"sftp://ftp.example.com/files/data.csv","error":"Authentication failed","errorCode":"AUTH_FAILED","retryCount":4,' +
      '"status":"failed"}',
  )
  assert.deepEqual([...Value.Errors(PAYLOADS['transfer.created'], dataOf('transfer.created', transfer, 'x'))], [])
})

test('a long error is cut between characters', () => {
  assert.equal(told('x'.repeat(ERROR_CHARACTERS_MAX)).length, ERROR_CHARACTERS_MAX)
  const cut = told('😀'.repeat(ERROR_CHARACTERS_MAX + 1))
  assert.deepEqual([[...cut].length, cut.isWellFormed(), cut.endsWith('…')], [ERROR_CHARACTERS_MAX, true, true])
})
