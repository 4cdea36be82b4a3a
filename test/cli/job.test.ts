import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'
import { landfall } from './line.ts'

// `landfall job` as people type it; the agent is the one that is built in.

let server: TestServer
let files: string
before(async () => {
  server = await startTestServer({ '--builtin-agent': 'on' })
  files = join(server.folder, 'agent', 'files')
  await eventually(async () => {
    const { agents } = await server.call<{ agents: { status: string }[] }>('GET', '/api/agents')
    assert.equal(agents[0]?.status, 'online')
  })
})
after(() => server.stop())

const job = (words: readonly string[]) => landfall(['job', ...words, '--data', server.folder])

async function json<Answer>(...words: string[]): Promise<Answer> {
  const { status, out, error } = await job([...words, '--json'])
  assert.equal(status, 0, error)
  return JSON.parse(out) as Answer
}

test('a job is made, looked ahead, run, paused, changed and removed, by its name', async () => {
  await mkdir(join(files, 'out', 'deep'), { recursive: true })
  for (const name of ['a.csv', 'b.txt', 'deep/c.csv']) await writeFile(join(files, 'out', name), name)
  const route = ['--agent', 'builtin', '--from', join(files, 'out/**/*.csv'), '--to', join(files, 'in/')]
  const when = ['--schedule', '0 2 1 1 *', '--time-zone', 'Europe/Berlin', '--skip', 'time']
  const made = await json<{ id: string; nextRunAt: string }>('add', 'yearly', ...route, ...when)
  assert.match(made.nextRunAt, /-01-01T01:00:00.000Z$/)

  const plan = await job(['dry-run', 'yearly'])
  assert.match(plan.out, /out\/deep\/c\.csv → .*in\/deep\/c\.csv/)
  assert.match(plan.error, /^2 files would be moved; 0 were moved before/)
  assert.equal((await job(['run', 'yearly', '--wait'])).out, `run ${(await runs())[0]!.id} is completed: 2 of 2 files\n`)
  assert.deepEqual((await readdir(join(files, 'in'), { recursive: true })).sort(), ['a.csv', 'deep', 'deep/c.csv'])
  assert.match((await job(['dry-run', made.id])).error, /^0 files would be moved; 2 were moved before/)
  const [{ cause, transfersCompleted }] = (await runs()) as [Run]
  assert.deepEqual([cause, transfersCompleted], ['manual', 2])
  assert.match((await job(['cancel', 'yearly', (await runs())[0]!.id])).error, /has ended: it is completed/)

  assert.equal((await job(['pause', 'yearly'])).out, `job ${made.id} is paused; no run begins by itself\n`)
  assert.equal((await json<{ enabled: boolean }>('resume', 'yearly')).enabled, true)
  const next = await json<{ dependsOn: string }>('add', 'after', ...route, ...when, '--depends-on', 'yearly')
  assert.equal(next.dependsOn, made.id)
  assert.match((await job(['update', 'yearly', '--depends-on', 'after'])).error, /would make the job wait for itself/)
  assert.equal((await json<{ dependsOn: null }>('update', 'after', '--depends-on', 'none')).dependsOn, null)
  const dated = ['update', 'after', '--closed', '2026-12-25', '--open', '2026-12-31']
  assert.deepEqual((await json<{ openDates: string[] }>(...dated)).openDates, ['2026-12-31'])
  const { closedDates, openDates } = await json<Record<string, unknown>>('update', 'after', '--closed', '', '--open', '')
  assert.deepEqual([closedDates, openDates], [[], null])
  assert.match(
    (await job(['update', 'after', '--timeout', 'long'])).error,
    /--timeout is a duration such as 90s, 30m, 24h or 7d, not/,
  )
  for (const [flag, value, says] of [
    ['parallel', '65', '--parallel has 65 transfers; it takes 1 to 64'],
    ['timeout', '5s', '--timeout has 5 seconds; it takes 10 to 604800'],
    ['retry', '0,5s', '--retry has 0 seconds; it takes 1 to 86400'],
    ['skip', 'never', '--skip is "never", not one of none, name, size, time, hash'],
    ['to', 'in/*', "--to 'in/*' has a wildcard; it names one file or folder"],
    ['from', '/out/../*', "--from '/out/../*' has a segment '..'; write the path without it"],
  ] as const) {
    const { status, error } = await job(['update', 'yearly', `--${flag}`, value])
    assert.deepEqual([status, error], [2, `landfall: ${says}\n`])
  }
  assert.match((await job(['update', 'yearly', '--agent', 'warehouse'])).error, /there is no agent warehouse/)
  assert.equal((await json<{ agent: { name: string } }>('update', 'yearly', '--agent', 'builtin')).agent.name, 'builtin')
  assert.match((await job(['remove', 'nightly'])).error, /there is no job nightly; `landfall job list` shows them/)
  assert.deepEqual(await json('remove', 'after'), { deleted: true })
  assert.deepEqual(
    (await json<{ name: string }[]>('list', '--agent', 'builtin')).map(({ name }) => name),
    ['yearly'],
  )
})

test('one odd name does not hide what a run would move, and is told; the run moves the others and has failed', async () => {
  await mkdir(join(files, 'odd'))
  for (const name of ['fine', 'new\nline', 'back\\slash']) await writeFile(join(files, 'odd', name), name)
  const add = (name: string, glob: string) =>
    json('add', name, '--agent', 'builtin', '--from', join(files, glob), '--to', join(files, 'even/'), '--schedule', '0 2 1 1 *')
  await add('odd', 'odd/*')
  const { out, error } = await job(['dry-run', 'odd'])
  assert.match(out, /odd\/fine → .*even\/fine$/m)
  assert.match(
    error,
    /^1 files would be moved; .*\na run would fail, leaving out what .* at the destination: "back\\\\slash" and 1 more/,
  )
  assert.deepEqual((await json<{ refused: string[] }>('dry-run', 'odd')).refused, ['back\\slash', 'new\nline'])
  assert.match((await job(['run', 'odd', '--wait'])).out, /is failed: 1 of 1 files; .*: "back\\\\slash" \(and 1 more\)$/m)
  await add('slash', 'odd/back*')
  assert.match((await job(['run', 'slash', '--wait'])).out, /is failed: 0 of 0 files; .*: "back\\\\slash"$/m)
  assert.deepEqual(await readdir(join(files, 'even')), ['fine'])
})

interface Run {
  readonly id: string
  readonly cause: string
  readonly transfersCompleted: number
}

function runs(): Promise<Run[]> {
  return json<Run[]>('runs', 'yearly')
}
