import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent } from '../../agents/agent.ts'
import { newId } from '../../base/id.ts'
import type { EventDraft } from '../../events/event.ts'
import { jobOf, runOf } from '../../jobs/testing.ts'
import type { TransferChange } from '../../transfers/port.ts'
import { decide, lost } from '../../transfers/settle.ts'
import { anAgent, aRunning, aTransfer, POLICY } from '../../transfers/testing.ts'
import type { Transfer } from '../../transfers/transfer.ts'
import type { World } from '../conformance.ts'
import { anAudit, anEvent, taker, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const NODE = 'node_a'

export function transferCases(world: World): void {
  async function registered(more: Partial<Agent> = {}): Promise<Agent> {
    const agent = anAgent(tick(), more)
    await world.store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
    return agent
  }

  const created = ({ id }: Transfer) => anEvent(null, { type: 'transfer.created', data: { transferId: id } })
  const ended = (): EventDraft => anEvent(null, { type: 'transfer.completed' })

  async function stored(transfer: Transfer): Promise<Transfer> {
    await world.store.createTransfers([transfer], [created(transfer)], anAudit('transfer.create'))
    return transfer
  }

  const find = async (id: string) => (await world.store.findTransfer(id))!
  const change = (before: Transfer, more: Partial<Transfer>, events: EventDraft[] = []): TransferChange => {
    return { basis: before, after: { ...before, ...more }, events, entry: null }
  }
  const leases = (count: number) => Array.from({ length: count }, () => `lease ${tick()}`)
  const take = (agent: Agent, count: number, now = tick()) => world.store.takeTransfers(taker(agent.id, NODE), leases(count), now)
  const isSaid = async (event: EventDraft) => (await world.store.findEvent(event.id)) !== undefined

  test('a transfer comes back as it was made, with its event; making it again does nothing', async () => {
    const agent = await registered()
    const every: Partial<Transfer> = {
      ...{ runId: 'run_x', remoteId: 'rmt_x', size: 3, bytesTransferred: 2, progress: 66, speed: 12, saidTenth: 6 },
      ...{ error: 'lost', errorCode: 'TIMEOUT', retryCount: 1, losses: 2, sha256: 'ab', cancelAskedAt: 5, arrivedAt: 6 },
      ...{ policy: { ...POLICY, postAction: { kind: 'move', to: '/done/x' }, expected: { size: 3, modifiedAt: null } } },
    }
    const transfer = aRunning(tick(), { agentId: agent.id, ...every, completedAt: 7, isForeign: true })
    const event = created(transfer)
    await world.store.createTransfers([transfer], [event], anAudit('transfer.create'))
    assert.deepEqual(await find(transfer.id), transfer)
    assert.deepEqual(await world.store.findTransferByLease(transfer.lease!), transfer)
    assert.equal(await isSaid(event), true)

    const again = created(transfer)
    const other = aTransfer(tick(), { agentId: agent.id })
    const otherEvent = created(other)
    await world.store.createTransfers([{ ...transfer, size: 99 }, other], [again, otherEvent], null)
    assert.deepEqual(await find(transfer.id), transfer)
    assert.deepEqual([await isSaid(again), await isSaid(otherEvent)], [false, true])
    assert.equal(await world.store.findTransfer('trf_none'), undefined)
    assert.equal(await world.store.findTransferByLease('none'), undefined)
  })

  test('lists are newest first, by agent, run and state, page by page', async () => {
    const agent = await registered()
    const run = `run_${tick()}`
    const all = []
    for (const runId of [null, run, run]) all.push(await stored(aTransfer(tick(), { agentId: agent.id, runId })))
    const ids = async (filter: Parameters<typeof world.store.listTransfers>[0], page = PAGE) => {
      const { rows, total } = await world.store.listTransfers(filter, page)
      return [rows.map(({ id }) => id), total]
    }
    const [first, second, third] = all.map(({ id }) => id)
    assert.deepEqual(await ids({ agentId: agent.id }), [[third, second, first], 3])
    assert.deepEqual(await ids({ agentId: agent.id }, { limit: 1, offset: 1 }), [[second], 3])
    assert.deepEqual(await ids({ runId: run }), [[third, second], 2])
    const after = { limit: 5, offset: 0, after: third! }
    assert.deepEqual(await ids({ agentId: agent.id }, after), [[second, first], 3])
    await take(agent, 1)
    assert.deepEqual(await ids({ agentId: agent.id, status: 'running' }), [[first], 1])
  })

  test('what is due is handed out once, first come first, and never a foreign one', async () => {
    const agent = await registered()
    const other = await registered()
    const now = tick()
    const late = await stored(aTransfer(now, { agentId: agent.id, dueAt: now + 1_000 }))
    const second = await stored(aTransfer(now, { agentId: agent.id, dueAt: now }))
    const first = await stored(aTransfer(now, { agentId: agent.id, dueAt: now - 5 }))
    await stored(aTransfer(now, { agentId: agent.id, isForeign: true }))
    await stored(aTransfer(now, { agentId: other.id }))
    assert.equal(await world.store.nextTransferDue([agent.id]), now - 5)
    const taken = await world.store.takeTransfers(taker(agent.id, NODE), ['l-1', 'l-2', 'l-3'], now)
    assert.deepEqual(
      taken,
      [first, second].map((each, at) => ({ ...each, status: 'running', lease: `l-${at + 1}`, startedAt: now })),
    )
    assert.deepEqual(await take(agent, 5, now), [])
    assert.equal(await world.store.nextTransferDue([agent.id]), late.dueAt)
    assert.equal(await world.store.nextTransferDue([]), null)
    const held = await world.store.heldTransfers(agent.id, 10)
    assert.deepEqual(held.map(({ id }) => id).sort(), [first.id, second.id].sort())
    assert.deepEqual((await take(agent, 5, late.dueAt)).map(({ id }) => id), [late.id]) // biome-ignore format: one line
  })

  test('of takers at the same time each transfer has one', async () => {
    const agent = await registered()
    const all = Array.from({ length: 20 }, () => aTransfer(tick(), { agentId: agent.id }))
    await world.store.createTransfers(all, [], null)
    const taken = (await Promise.all([take(agent, 8), take(agent, 8), take(agent, 8)])).flat()
    assert.equal(taken.length, 20)
    assert.equal(new Set(taken.map(({ id }) => id)).size, 20)
    assert.equal(new Set(taken.map(({ lease }) => lease)).size, 20)
  })

  test('a run has no more under way than its parallelism, whoever takes, and does not keep others back', async () => {
    const agent = await registered()
    const run = `run_${tick()}`
    const policy = { ...POLICY, parallelism: 2 }
    const ofRun = Array.from({ length: 10 }, () => aTransfer(tick(), { agentId: agent.id, runId: run, policy }))
    const single = aTransfer(tick(), { agentId: agent.id })
    await world.store.createTransfers([...ofRun, single], [], null)
    const taken = (await Promise.all([take(agent, 4), take(agent, 4)])).flat()
    assert.deepEqual(taken.map(({ id }) => id).sort(), [ofRun[0]!.id, ofRun[1]!.id, single.id].sort())
    await world.store.changeTransfers([change(await find(ofRun[0]!.id), { status: 'completed', lease: null })])
    assert.deepEqual((await take(agent, 4)).map(({ id }) => id), [ofRun[2]!.id]) // biome-ignore format: one line
  })

  test('nothing for an agent that is revoked or unknown, nor by a node that does not hold its stream', async () => {
    const revoked = await registered()
    const elsewhere = await registered({ streamNode: 'node_b' })
    for (const { id } of [revoked, elsewhere]) await stored(aTransfer(tick(), { agentId: id }))
    await world.store.revokeAgent(revoked.id, tick(), anEvent(null, { type: 'agent.disconnected' }), anAudit('agent.revoke'))
    assert.deepEqual(await take(revoked, 1), [])
    assert.deepEqual(await world.store.takeTransfers(taker('agent_none', NODE), ['l'], tick()), [])
    const { lastSeenAt } = (await world.store.findAgent(elsewhere.id))!
    const silent = taker(elsewhere.id, 'node_b', lastSeenAt + 1)
    assert.deepEqual(await world.store.takeTransfers(silent, leases(1), tick()), [], 'it was not heard of since')
    assert.deepEqual(await take(elsewhere, 1), [])
    assert.equal((await world.store.takeTransfers(taker(elsewhere.id, 'node_b'), leases(1), tick())).length, 1)
    assert.deepEqual(
      (await world.store.strandedTransfers(0, 1_000)).map(({ agentId }) => agentId).filter((id) => id === revoked.id),
      [revoked.id],
    )
  })

  test('a change is carried out only while the transfer is as it was judged; its events belong to it', async () => {
    const agent = await registered()
    await stored(aTransfer(tick(), { agentId: agent.id }))
    const [running] = await take(agent, 1)
    const stale: Partial<Transfer>[] = [
      ...[{ status: 'queued' as const }, { lease: 'another' }, { lease: null }, { cancelAskedAt: 1 }, { arrivedAt: 1 }],
      { saidTenth: 3 },
    ]
    for (const other of stale) {
      const event = ended()
      const wrong = { ...change(running!, { status: 'failed' }, [event]), basis: { ...running!, ...other } }
      assert.deepEqual(await world.store.changeTransfers([wrong]), [false], JSON.stringify(other))
      assert.equal(await isSaid(event), false)
    }
    assert.deepEqual(await find(running!.id), running)
    const event = ended()
    const over = change(running!, { status: 'completed', lease: null, completedAt: tick() }, [event])
    const missing = { ...over, after: { ...over.after, id: 'trf_none' }, events: [ended()] }
    assert.deepEqual(await world.store.changeTransfers([missing, over, over]), [false, true, false])
    assert.deepEqual(await find(running!.id), over.after)
    assert.equal(await isSaid(event), true)
    const { rows } = await world.store.listEvents({ type: 'transfer.completed' } as never, PAGE)
    assert.equal(rows.filter(({ id }) => id === event.id).length, 1)
  })

  test('completion and cancellation at the same time make one end', async () => {
    const agent = await registered()
    for (let round = 0; round < 10; round += 1) {
      await stored(aTransfer(tick(), { agentId: agent.id }))
      const [running] = await take(agent, 1)
      const [done, gone] = [ended(), anEvent(null, { type: 'transfer.cancelled' })]
      const [completes, cancels] = await Promise.all([
        world.store.changeTransfers([change(running!, { status: 'completed', lease: null }, [done])]),
        world.store.changeTransfers([change(running!, { status: 'cancelled', lease: null }, [gone])]),
      ])
      assert.deepEqual([completes[0], cancels[0]].sort(), [false, true])
      assert.deepEqual([await isSaid(done), await isSaid(gone)], [completes[0], cancels[0]])
      assert.equal((await find(running!.id)).status, completes[0] ? 'completed' : 'cancelled')
    }
  })

  test('put back and reported at the same time: one of them counts, and the lease is over either way', async () => {
    const agent = await registered()
    for (let round = 0; round < 10; round += 1) {
      await stored(aTransfer(tick(), { agentId: agent.id }))
      const [running] = await take(agent, 1)
      const arrival = { size: 1, bytesTransferred: 1, speed: 1, sha256: 'ab' }
      const report = decide(running!, { state: 'completed', ...arrival }, tick())
      const back = lost(running!, tick())
      const results = await Promise.all([
        world.store.changeTransfers([change(running!, report.after)]),
        world.store.changeTransfers([change(running!, back.after)]),
      ])
      assert.deepEqual(results.flat().sort(), [false, true])
      assert.equal(await world.store.findTransferByLease(running!.lease!), undefined)
      if (results[1]![0]) assert.equal((await take(agent, 1))[0]?.id, running!.id)
    }
  })

  test('many changes that name the same transfers in another order do not wait for each other for ever', async () => {
    const agent = await registered()
    const all = Array.from({ length: 10 }, () => aTransfer(tick(), { agentId: agent.id }))
    await world.store.createTransfers(all, [], null)
    const cancel = (each: Transfer) => change(each, { status: 'cancelled' as const }, [ended()])
    const results = await Promise.all([
      world.store.changeTransfers(all.map(cancel)),
      world.store.changeTransfers([...all].reverse().map(cancel)),
    ])
    assert.equal(results.flat().filter(Boolean).length, all.length)
  })

  test('agents that were silent while they hold something, and foreign transfers of silent agents', async () => {
    const seenAt = tick()
    const holder = await registered({ lastSeenAt: seenAt })
    const idle = await registered({ lastSeenAt: seenAt })
    const foreigner = await registered({ lastSeenAt: seenAt })
    await stored(aTransfer(tick(), { agentId: holder.id }))
    await take(holder, 1)
    await stored(aTransfer(tick(), { agentId: idle.id }))
    const foreign = await stored(aRunning(tick(), { agentId: foreigner.id, isForeign: true, lease: null }))
    const waiting = await stored(aTransfer(tick(), { agentId: foreigner.id, isForeign: true }))
    const silent = async (before: number) => {
      const found = await world.store.silentHolders(before, 1_000)
      return [holder, idle, foreigner].map(({ id }) => found.includes(id))
    }
    assert.deepEqual(await silent(seenAt), [false, false, false])
    assert.deepEqual(await silent(seenAt + 1), [true, false, false])
    const stranded = async (before: number) =>
      (await world.store.strandedTransfers(before, 1_000)).filter(({ agentId }) => agentId === foreigner.id).map(({ id }) => id)
    assert.deepEqual(await stranded(seenAt), [])
    assert.deepEqual((await stranded(seenAt + 1)).sort(), [foreign.id, waiting.id].sort())
    assert.ok((await world.store.countOpenTransfers()) >= 4)
  })

  test('what an ended transfer has left is recorded with its end, handed out once, and gone when it is discarded', async () => {
    const agent = await registered()
    const [leaving, clean] = [
      await stored(aTransfer(tick(), { agentId: agent.id })),
      await stored(aTransfer(tick(), { agentId: agent.id })),
    ]
    assert.equal(await world.store.nextLeftoverDue(agent.id), null)
    const completedAt = tick()
    const end = { status: 'cancelled', completedAt } as const
    const ending = { ...change(leaving, end), leavesPart: true }
    // Somebody is first: then this one is not done, and leaves nothing behind.
    assert.deepEqual(await world.store.changeTransfers([{ ...ending, basis: { ...leaving, lease: 'other' } }]), [false])
    assert.equal(await world.store.nextLeftoverDue(agent.id), null)
    assert.deepEqual(await world.store.changeTransfers([ending, change(clean, end)]), [true, true])
    assert.equal(await world.store.nextLeftoverDue(agent.id), completedAt)

    const lapsesAt = completedAt + 1_000
    const both = await Promise.all(
      ['x', 'y'].map((lease) =>
        world.store.takeLeftovers(taker(agent.id, NODE), [`${leaving.id}${lease}`], completedAt, lapsesAt),
      ),
    )
    const [taken, ...others] = both.flat()
    const { lease } = taken!
    assert.deepEqual([taken, others], [{ transferId: leaving.id, agentId: agent.id, lease, tries: 1, dueAt: lapsesAt }, []])
    assert.deepEqual(await world.store.findLeftoverByLease(lease!), taken)
    assert.deepEqual(await world.store.heldLeftovers(agent.id, 10), [taken])

    await world.store.changeLeftover(taken!, { ...taken!, lease: null, dueAt: completedAt + 5 })
    assert.deepEqual(await world.store.heldLeftovers(agent.id, 10), [])
    await world.store.changeLeftover(taken!, null)
    assert.equal(await world.store.nextLeftoverDue(agent.id), completedAt + 5, 'the lease was no longer that one')
    const again = (leaseOf: string, now: number) => world.store.takeLeftovers(taker(agent.id, NODE), [leaseOf], now, now + 1_000)
    const [second] = await again(`${leaving.id}2`, completedAt + 5)
    const [lapsed] = await again(`${leaving.id}3`, second!.dueAt)
    assert.equal(lapsed!.tries, 3, 'one that is not heard of is handed out again')
    await world.store.changeLeftover(lapsed!, null)
    assert.equal(await world.store.nextLeftoverDue(agent.id), null)
  })

  test('whoever holds what is to stop is known, be it a transfer or a listing', async () => {
    const [moving, listing, others] = [await registered(), await registered(), await registered()]
    const [one, other] = [moving, others].map((agent) => aRunning(tick(), { agentId: agent!.id }))
    await stored(one!)
    await stored(other!)
    await world.store.changeTransfers([change(one!, { cancelAskedAt: tick() })])
    const run = runOf({ id: newId('run', tick()), agentId: listing.id, jobId: `job_${tick()}` })
    await world.store.createJob(jobOf({ id: run.jobId, agentId: listing.id }), anAudit('job.create'))
    await world.store.beginRun(run, { nextRunAt: null, isAlone: false }, null, anEvent(null, { type: 'job.started' }), null)
    const [held] = await world.store.takeListings(taker(listing.id, NODE), [`lease of ${run.id}`], tick())
    await world.store.changeRun({ ...held!, cancelAskedAt: tick() }, held!, [])
    const stopping = await world.store.stoppingAgents(1_000)
    assert.deepEqual(
      [moving, listing, others].map(({ id }) => stopping.includes(id)),
      [true, true, false],
    )
    await world.store.changeTransfers([change((await find(one!.id))!, { status: 'cancelled', lease: null })])
    assert.equal((await world.store.stoppingAgents(1_000)).includes(moving.id), false)
  })

  test('leftovers are handed out where the stream of their agent is, and go with their transfer', async () => {
    const agent = await registered({ streamNode: 'node_b' })
    const transfer = await stored(aTransfer(tick(), { agentId: agent.id }))
    await world.store.openStream(agent.id, 'node_b', tick())
    await world.store.changeTransfers([{ ...change(transfer, { status: 'failed', completedAt: 1 }), leavesPart: true }])
    const take = (node: string) => world.store.takeLeftovers(taker(agent.id, node), [`${transfer.id}${node}`], tick(), tick())
    assert.deepEqual([(await take('node_a')).length, (await take('node_b')).length], [0, 1])
    const before = tick()
    for (let after: string | null = ''; after !== null; )
      after = (await world.store.purge({ kind: 'transfers', before, after, limit: 100 })).next
    assert.equal(await world.store.nextLeftoverDue(agent.id), null)
  })
}
