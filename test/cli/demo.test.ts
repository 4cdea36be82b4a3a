import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))

interface Line {
  kind: string
  dialect?: string
  event?: string
  status?: number | null
  verified?: boolean
  deliveryId?: string
}

test('the demo shows an upload, a recovery, a crash and an agent, and everything verifies', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [ENTRY, 'demo', '--exit', '--json'])
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const kinds = lines.map(({ kind }) => kind)
  for (const kind of ['server', 'user', 'webhook', 'upload', 'event', 'delivery', 'killed', 'restarted', 'done']) {
    assert(kinds.includes(kind), `${kind} in ${kinds}`)
  }
  const deliveries = lines.filter(({ kind }) => kind === 'delivery')
  assert(deliveries.every(({ verified }) => verified))
  const failing = deliveries.filter(({ status }) => status === 503)
  assert.equal(failing.length, 2)
  const [recovered] = deliveries.filter(({ deliveryId, status }) => deliveryId === failing[0]!.deliveryId && status === 204)
  assert(recovered, 'the delivery that failed twice arrived at last')
  const [restarted, partner] = [kinds.indexOf('restarted'), kinds.indexOf('partner')]
  const afterTheCrash = lines.slice(restarted, partner).filter(({ kind }) => kind === 'delivery')
  assert.deepEqual(afterTheCrash.map(({ dialect }) => dialect).sort(), ['mftplus', 'trueftp'])
  const ofTheAgent = lines.slice(partner)
  assert(ofTheAgent.some(({ kind }) => kind === 'progress'))
  assert.deepEqual(
    ofTheAgent.filter(({ kind }) => kind === 'delivery').map(({ event }) => event),
    ['transfer.created', 'transfer.progress', 'transfer.completed'],
  )
})
