import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ServerRefused } from './client.ts'
import { instantOf, recoveryCommands } from './replay.ts'

test('--since is a time, or a duration before now', () => {
  assert.equal(instantOf('since', '2026-06-08T14:00:00+02:00'), Date.UTC(2026, 5, 8, 12))
  const before = Date.now()
  const at = instantOf('since', '2h')
  assert.ok(at >= before - 7_200_000 && at <= Date.now() - 7_200_000)
  assert.equal(instantOf('since', '999999999d'), 0)
})

for (const text of ['2026-02-30T00:00:00Z', '2026-06-08', '2026-06-08T12:00:00', 'soon', '']) {
  test(`--since '${text}' is refused`, () => {
    const message = `--since is a time such as 2026-06-08T12:00:00Z, or a duration before now such as 2h, not "${text}"`
    assert.throws(() => instantOf('since', text), { name: 'CommandError', message })
  })
}

const SINCE = '2026-06-08T12:00:00.000Z'
const LATER = `landfall webhook replay wh_1 --since ${SINCE} --only missing`
const row = (id: string, state: string) => ({
  id,
  state,
  matched: 2,
  isCounted: true,
  planned: 2,
  waiting: 0,
  delivered: 2,
  failed: 0,
  cancelled: 0,
})

/** `resume --replay` against a server that gives these answers, to each request the next one; answers what it asked for and said. */
async function resume(t: TestContext, answers: readonly { status?: number; error?: string; data?: object }[]) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { status = 200, error, data } = answers[asked.length] ?? { status: 500, error: 'nothing is left to say' }
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(status).end(JSON.stringify({ success: error === undefined, error, data }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  process.env.LANDFALL_ADMIN_TOKEN = 'token-of-a-test'
  const [out, notes]: [string[], string[]] = [[], []]
  const terminal = { out: (text: string) => out.push(text), note: (text: string) => notes.push(text), colours: false }
  const command = recoveryCommands.find(({ name }) => name === 'webhook resume')!
  const flags = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, replay: true }
  const outcome = await command.run({ words: ['wh_1'], flags, json: false, terminal }).catch((error: Error) => error)
  return { outcome, asked, out, notes }
}

const missed = {
  since: SINCE,
  events: 3,
  isCounted: true,
  replay: { method: 'POST', path: '/api/webhooks/wh_1/replay', body: { since: SINCE } },
}
const turnedOn = { data: { webhook: { id: 'wh_1', state: 'active' }, missed } }
const made = { status: 201, data: { planned: 1, isCounted: true, replay: row('rpl_2', 'running') } }
const conflict = { status: 409, error: 'replay rpl_1 is running' }

test('resume: what was missed is sent at once where no other replay runs', async (t) => {
  const { outcome, asked, out, notes } = await resume(t, [turnedOn, made])
  assert.deepEqual([outcome, notes, asked.length], [0, [], 2])
  assert.equal(out.at(-1), 'replay rpl_2 sends the 1 events that it missed')
})

test('resume: a replay that runs is waited for, and how to do without waiting is said before', async (t) => {
  const running = { data: { replays: [row('rpl_1', 'running')] } }
  const { outcome, asked, out, notes } = await resume(t, [
    turnedOn,
    conflict,
    running,
    { data: { replay: row('rpl_1', 'done') } },
    made,
  ])
  assert.equal(outcome, 0)
  assert.deepEqual(asked, [
    'PATCH /api/webhooks/wh_1',
    'POST /api/webhooks/wh_1/replay',
    'GET /api/webhooks/wh_1/replays?limit=1',
    'GET /api/webhooks/wh_1/replays/rpl_1',
    'POST /api/webhooks/wh_1/replay',
  ])
  assert.equal(notes[0], `waiting for the end of replay rpl_1; what webhook wh_1 missed is not sent yet; \`${LATER}\` sends it`)
  assert.deepEqual(out, ['webhook wh_1 is active; what waited for it goes on', 'replay rpl_2 sends the 1 events that it missed'])
})

test('resume: one that has ended meanwhile is not waited for', async (t) => {
  const ended = { data: { replays: [row('rpl_1', 'done')] } }
  const { outcome, asked } = await resume(t, [turnedOn, conflict, ended, made])
  assert.deepEqual([outcome, asked.length], [0, 4])
})

test('resume: where it cannot be sent, the command that sends it later is said', async (t) => {
  const { outcome, notes } = await resume(t, [turnedOn, { status: 503, error: 'the server is stopping' }])
  assert.ok(outcome instanceof ServerRefused && outcome.status === 503)
  assert.deepEqual(notes, [`what webhook wh_1 missed is not sent yet; \`${LATER}\` sends it`])
})
