import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { createMoving, type MovingParts } from './moving.ts'
import { jobOf, runOf } from './testing.ts'

test('the transfers of a run are for the agent that it has, whoever moves the files of its job by now', async () => {
  const named: string[] = []
  const parts = {
    store: { findAgent: async (id: string) => ({ id, name: `name of ${id}` }) },
    transfers: { created: (_transfer: unknown, { name }: { name: string }) => named.push(name) },
    clock: systemClock,
  } as unknown as MovingParts
  const file = { path: '/out/a.csv', relativePath: 'a.csv', size: 5, modifiedAt: 1_000 }
  const run = runOf({ agentId: 'agent_before' })
  const { transfers } = await createMoving(parts).transfersOf(jobOf({ agentId: 'agent_now' }), run, [
    { file, sourceUrl: 'sftp://host/out/a.csv' },
  ])
  assert.deepEqual(
    transfers.map(({ agentId, runId, destinationPath }) => [agentId, runId, destinationPath]),
    [['agent_before', run.id, '/in/a.csv']],
  )
  assert.deepEqual(named, ['name of agent_before'])
})
