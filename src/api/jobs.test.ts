import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { aRequest } from '../agents/testing.ts'
import { openWorld } from './testing.ts'

type World = Awaited<ReturnType<typeof openWorld>>

interface JobRow {
  id: string
  name: string
  enabled: boolean
  nextRunAt: string | null
  [member: string]: unknown
}

describe('jobs on the MFTPlus face', () => {
  let world: World
  let agentId: string
  let agentKey: string
  let foreignKey: string
  let foreignId: string
  let remoteId: string

  before(async () => {
    world = await openWorld()
    const registered = await world.call('POST', '/api/agents/register', {
      hostname: 'one',
      os: 'linux',
      name: 'one',
      csr: aRequest(),
    })
    agentId = registered.json.data.agent.id
    agentKey = registered.json.data.apiKey
    const other = await world.call('POST', '/api/agents/register', { hostname: 'two', os: 'linux', name: 'two' })
    foreignKey = other.json.data.apiKey
    foreignId = other.json.data.agent.id
    const remote = {
      name: 'partner',
      protocol: 'sftp',
      host: 'sftp.example.com',
      username: 'u',
      password: 'p',
      trustFirstHostKey: true,
    }
    const made = await world.call('POST', '/api/remotes', remote)
    assert.equal(made.status, 201, made.text)
    remoteId = made.json.data.remote.id
  })
  after(() => world.close())

  const DOCUMENTED = () => ({
    agentId,
    name: 'Daily Backup',
    sourcePath: '/out/*.csv',
    destinationPath: '/in/',
    schedule: '0 2 * * *',
    protocol: 'sftp',
    direction: 'pull',
  })

  async function create(more: object = {}): Promise<JobRow> {
    const answer = await world.call('POST', '/api/jobs', { ...DOCUMENTED(), remoteId, ...more })
    assert.equal(answer.status, 201, answer.text)
    return answer.json.data.job
  }

  const asAgent = (method: string, path: string, body?: object, key = agentKey) =>
    world.call(method, path, body, null, { 'x-api-key': key })

  test('the documented members make a job; ours have their defaults', async () => {
    const job = await create()
    assert.deepEqual(
      [job.name, job.source, job.destination, job.schedule, job.protocol, job.direction, job.enabled, job.lastRunAt],
      ['Daily Backup', '/out/*.csv', '/in/', '0 2 * * *', 'sftp', 'pull', true, null],
    )
    assert.equal((await create({ direction: undefined })).direction, 'pull')
    assert.deepEqual(job.agent, { id: agentId, name: 'one', hostname: 'one' })
    assert.deepEqual([job.timeZone, job.skipMoved, job.parallelism, job.missedRuns], ['UTC', 'none', 4, 'once'])
    const listed = await world.call('GET', `/api/jobs?agentId=${agentId}&enabled=true`)
    assert(listed.json.data.jobs.some(({ id }: JobRow) => id === job.id))
    assert.deepEqual((await world.call('GET', `/api/jobs/${job.id}`)).json.data.job, job)
  })

  test('a name that cannot be stored or read is refused with its field', async () => {
    const job = await create()
    for (const name of ['a\0', 'a\nb', '\u202ea']) {
      const made = await world.call('POST', '/api/jobs', { ...DOCUMENTED(), remoteId, name })
      const changed = await world.call('PATCH', `/api/jobs/${job.id}`, { name })
      for (const { status, json } of [made, changed])
        assert.deepEqual([status, json.details.field, /control character \(U\+/.test(json.error)], [400, 'name', true])
    }
  })

  test('the schedule of an agent without a certificate is its own: never due here, and nothing to be run', async () => {
    assert.notEqual((await create()).nextRunAt, null)
    const foreign = await create({ agentId: foreignId })
    assert.equal(foreign.nextRunAt, null)
    for (const path of ['runs', 'dry-run']) {
      const refused = await world.call('POST', `/api/jobs/${foreign.id}/${path}`)
      assert.equal(refused.status, 409)
      assert.match(refused.json.error, /agent of this job, two, has no certificate/)
    }
  })

  test('an agent without a certificate has jobs of whatever protocol, between places that it knows by itself', async () => {
    const asked = { ...DOCUMENTED(), agentId: foreignId }
    for (const protocol of ['sftp', 'ftp', 'ftps', 'local']) {
      const { json, status } = await world.call('POST', '/api/jobs', { ...asked, protocol, sourcePath: '/a' })
      assert.deepEqual([status, json.data.job.protocol, json.data.job.source], [201, protocol, '/a'])
    }
    const job = await create({ agentId: foreignId, remoteId: null, sourcePath: 'sftp://me:s3cret@ftp.example.com/out/' })
    assert.equal(job.source, 'sftp://ftp.example.com/out/', 'no credentials are kept')
    const begun = await asAgent('POST', `/api/jobs/${job.id}/runs`, undefined, foreignKey)
    assert.equal(begun.status, 201, begun.text)
    const changed = await world.call('PATCH', `/api/jobs/${job.id}`, { sourcePath: '/elsewhere/' })
    assert.deepEqual([changed.json.data.job.source, changed.json.data.job.protocol], ['/elsewhere/', 'sftp'])
    const ours = await world.call('PATCH', `/api/jobs/${job.id}`, { agentId, sourcePath: '/out/a.csv' })
    assert.deepEqual(
      [ours.status, ours.json.error],
      [400, 'protocol follows from the rest and is local, not sftp; give the id of a remote as remoteId, or leave it out'],
    )
    const none = await world.call('POST', '/api/jobs', { ...asked, protocol: 's f t p' })
    assert.deepEqual([none.status, none.json.error], [400, 'protocol is "s f t p", not a word such as sftp'])
  })

  const refused: [string, object, RegExp][] = [
    ['no schedule', { schedule: 'every night' }, /schedule 'every night' is no cron expression/],
    ['a moment that never comes', { schedule: '0 0 31 2 *' }, /never comes/],
    ['an unknown time zone', { timeZone: 'Mars/Olympus' }, /timeZone 'Mars\/Olympus'/],
    ['an unknown agent', { agentId: 'agent_x' }, /agentId 'agent_x' is the id of no agent/],
    ['an unknown remote', { remoteId: 'rmt_x' }, /remoteId 'rmt_x' is the id of no remote/],
    ['another protocol than the remote', { protocol: 's3' }, /protocol follows from the rest and is sftp, not s3; leave it out/],
    ['a glob as the destination', { destinationPath: '/in/*' }, /destinationPath '\/in\/\*' has a wildcard/],
    ['a relative source', { sourcePath: 'out/a.csv' }, /^sourcePath is a path that begins with \//],
    ['a folder as the source', { sourcePath: '/out/' }, /^sourcePath is one file, not the folder \/out\//],
    ['a source elsewhere', { sourcePath: 'sftp://other.example/a' }, /^sourcePath is a path .* or a url at the remote/],
    ['credentials in the source', { sourcePath: 'sftp://me:pw@sftp.example.com/a' }, /^sourcePath carries credentials/],
    ['a way out', { sourcePath: '/out/../etc/*' }, /sourcePath '\/out\/\.\.\/etc\/\*' has a segment/],
    ['a move to nowhere', { postAction: { kind: 'move' } }, /^postAction\.to is missing/],
    ['a move to a relative path', { postAction: { kind: 'move', to: 'done/' } }, /^postAction\.to is a path that begins with \//],
    ['a move to a glob', { postAction: { kind: 'move', to: '/done/*' } }, /^postAction\.to '\/done\/\*' has a wildcard/],
    ['a move upwards', { postAction: { kind: 'move', to: '/out/../done/' } }, /^postAction\.to .* has a segment '\.\.'/],
    ['a move to a space', { postAction: { kind: 'move', to: 'space://default/x/' } }, /^postAction\.to is a path/],
    [
      'a move to elsewhere',
      { postAction: { kind: 'move', to: 'sftp://host/x/' } },
      /^postAction\.to .* a url at the remote, sftp:\/\/sftp\.ex/,
    ],
    [
      'a move of local files to elsewhere',
      { direction: 'push', postAction: { kind: 'move', to: 'sftp://sftp.example.com/x/' } },
      /^postAction\.to is a path where the source is, and begins with \/; it is sftp/,
    ],
    [
      'a move to where it looks',
      { sourcePath: '/out/**', postAction: { kind: 'move', to: '/out/done/' } },
      /^postAction\.to \/out\/done\/ is where/,
    ],
    ['a removal to somewhere', { postAction: { kind: 'delete', to: '/x' } }, /^postAction\.to goes with the kind move/],
    ['too many transfers at once', { parallelism: 65 }, /parallelism has 65 transfers; it takes 1 to 64/],
    ['a timeout too short', { timeoutSeconds: 9 }, /timeoutSeconds has 9 seconds; it takes 10 to 604800/],
    ['no time of day', { blackouts: [{ days: ['sat'], from: '24:00', to: '06:00' }] }, /blackouts: '24:00' is no time of day/],
    [
      'a day twice',
      { blackouts: [{ days: ['sat', 'sat'], from: '22:00', to: '06:00' }] },
      /^blackouts: 'sat' is among the days of one twice/,
    ],
    ['more days than there are', { blackouts: [{ days: Array(8).fill('sat'), from: '22:00', to: '06:00' }] }, /blackouts.*7/],
    ['no date at all', { openDates: [] }, /^openDates names no date, so that no run would ever begin; null is for any date/],
    ['no date', { closedDates: ['2026-02-30'] }, /closedDates: '2026-02-30' is no date/],
    ['an unknown dependency', { dependsOn: 'job_x' }, /dependsOn 'job_x' is the id of no job/],
    ['an unknown member', { crontab: 'x' }, /crontab/],
    ['an unknown user of a space', { destinationPath: 'space://default/nobody/in/' }, /destinationPath: there is no user nobody/],
    ['a retry after too long', { retryDelaysSeconds: [86_401] }, /retryDelaysSeconds has 86401 seconds/],
  ]
  for (const [what, more, says] of refused) {
    test(`refused: ${what}`, async () => {
      const before = (await world.call('GET', '/api/jobs')).json.data.pagination.total
      const answer = await world.call('POST', '/api/jobs', { ...DOCUMENTED(), remoteId, ...more })
      assert.equal(answer.status, 400, answer.text)
      assert.match(answer.json.error, says)
      assert.doesNotMatch(answer.text, /sourceUrl/, 'a job has none')
      assert.equal((await world.call('GET', '/api/jobs')).json.data.pagination.total, before, 'nothing is stored')
    })
  }

  test('over HTTP a job names one file: a glob would find nothing at every run', async () => {
    const server = { name: 'web', protocol: 'https', host: 'files.example.com' }
    const { id: webId } = (await world.call('POST', '/api/remotes', server)).json.data.remote
    const asked = { ...DOCUMENTED(), remoteId: webId, protocol: 'https' }
    for (const sourcePath of ['/out/*.csv', '/report?day=1', 'https://files.example.com/out/*.csv']) {
      const answer = await world.call('POST', '/api/jobs', { ...asked, sourcePath })
      assert.equal(answer.status, 400, answer.text)
      assert.match(answer.json.error, /^sourcePath '\/.* has \* or \?, and over HTTP no files can be listed: name one$/)
    }
    const made = await world.call('POST', '/api/jobs', { ...asked, sourcePath: '/out/a.csv' })
    assert.equal(made.status, 201, made.text)
    const moves = { postAction: { kind: 'move', to: '/done/' } }
    const refusals = [
      await world.call('POST', '/api/jobs', { ...asked, sourcePath: '/out/a.csv', ...moves }),
      await world.call('PATCH', `/api/jobs/${made.json.data.job.id}`, moves),
    ]
    for (const { status, json } of refusals)
      assert.deepEqual([status, json.error], [400, 'postAction is keep or delete: over HTTP no file can be moved at its server'])
    assert.equal((await world.call('POST', '/api/jobs', { ...asked, direction: 'push' })).status, 201, 'the glob is ours')
  })

  test('a job that leaves the spaces is one of local files', async () => {
    const user = { name: 'left', password: 'correct horse battery' }
    assert.equal((await world.call('POST', '/api/accounts/default/users', user)).status, 201)
    const job = await create({ remoteId: null, protocol: 'space', destinationPath: 'space://default/left/in/' })
    const changed = await world.call('PATCH', `/api/jobs/${job.id}`, { destinationPath: '/in/' })
    assert.equal(changed.status, 200, changed.text)
    assert.equal(changed.json.data.job.protocol, 'local')
  })

  test('a post action is checked when it is changed, too; a url at the remote is the path there', async () => {
    const job = await create()
    const change = (postAction: object) => world.call('PATCH', `/api/jobs/${job.id}`, { postAction })
    assert.equal((await change({ kind: 'move' })).status, 400)
    const changed = await change({ kind: 'move', to: 'sftp://sftp.example.com/done%20files/' })
    assert.deepEqual(changed.json.data.job.postAction, { kind: 'move', to: '/done files/' })
    assert.deepEqual((await change({ kind: 'keep' })).json.data.job.postAction, { kind: 'keep' })
  })

  test('no job is led to find what it has put somewhere itself, at its making or later', async () => {
    const loop = { remoteId: null, protocol: 'local', sourcePath: '/loop/**/*.csv', destinationPath: '/loop/copy/' }
    const refused = await world.call('POST', '/api/jobs', { ...DOCUMENTED(), ...loop })
    assert.deepEqual([refused.status, refused.json.details.field], [400, 'destinationPath'], refused.text)
    // Where these are, only its own agent knows.
    await create({ ...loop, agentId: foreignId })
    const job = await create({ sourcePath: '/out/**' })
    const change = async (members: object) => {
      const { status, json } = await world.call('PATCH', `/api/jobs/${job.id}`, members)
      return [status, json.details?.field]
    }
    assert.deepEqual(await change({ postAction: { kind: 'move', to: '/out/done/' } }), [400, 'postAction.to'])
    assert.deepEqual(await change({ postAction: { kind: 'move', to: '/done/' } }), [200, undefined])
    assert.deepEqual(await change({ sourcePath: '/**' }), [400, 'postAction.to'])
  })

  test('a job is changed, paused and removed; a change that is none leaves it as it was', async () => {
    const job = await create()
    const changed = await world.call('PATCH', `/api/jobs/${job.id}`, {
      name: 'Nightly',
      schedule: ' 30  2 * * * ',
      enabled: false,
    })
    assert.deepEqual(
      [changed.json.data.job.name, changed.json.data.job.schedule, changed.json.data.job.enabled],
      ['Nightly', '30 2 * * *', false],
    )
    assert.equal((await world.call('PATCH', `/api/jobs/${job.id}`, { schedule: 'x' })).status, 400)
    assert.equal((await world.call('GET', `/api/jobs/${job.id}`)).json.data.job.schedule, '30 2 * * *')
    assert.deepEqual((await world.call('DELETE', `/api/jobs/${job.id}`)).json.data, { deleted: true })
    assert.equal((await world.call('DELETE', `/api/jobs/${job.id}`)).status, 404)
  })

  test('a job goes to another agent: its schedule with it, and a run under way stays with the one that it has', async () => {
    const job = await create()
    const runId = (await asAgent('POST', `/api/jobs/${job.id}/runs`)).json.data.run.id
    const change = (to: string) => world.call('PATCH', `/api/jobs/${job.id}`, { agentId: to })
    const given = (await change(foreignId)).json.data.job
    assert.deepEqual([given.agent.name, given.nextRunAt], ['two', null], 'the other one keeps its schedule by itself')
    const route = { sourceUrl: 'sftp://partner.example/a.csv', destinationPath: '/a.csv', direction: 'pull', protocol: 'sftp' }
    assert.equal((await asAgent('POST', '/api/transfers', { agentId: foreignId, ...route, runId }, foreignKey)).status, 400)
    const end = (key: string) => asAgent('PATCH', `/api/jobs/${job.id}/runs/${runId}`, { status: 'completed' }, key)
    assert.equal((await end(foreignKey)).status, 404, 'it is not its run')
    assert.equal((await end(agentKey)).json.data.run.status, 'completed')
    assert.equal((await asAgent('POST', `/api/jobs/${job.id}/runs`)).status, 404, 'it is not its job any more')
    assert.equal((await change(agentId)).json.data.job.nextRunAt, job.nextRunAt)

    const unknown = await change('agent_x')
    assert.deepEqual([unknown.status, unknown.json.error], [400, "agentId 'agent_x' is the id of no agent"])
    const gone = await world.call('POST', '/api/agents/register', { hostname: 'three', os: 'linux', name: 'three' })
    assert.equal((await world.call('POST', `/api/agents/${gone.json.data.agent.id}/revoke`)).status, 200)
    const revoked = await change(gone.json.data.agent.id)
    assert.equal(revoked.status, 409)
    assert.match(revoked.json.error, /agent three is revoked/)
  })

  test('no job waits for itself, not by way of others either', async () => {
    const first = await create()
    const second = await create({ dependsOn: first.id })
    const answer = await world.call('PATCH', `/api/jobs/${first.id}`, { dependsOn: second.id })
    assert.equal(answer.status, 400)
    assert.match(answer.json.error, /wait for itself/)
  })

  test('what a job refers to is gone: it can still be paused, renamed and repaired', async () => {
    const user = { name: 'gone', password: 'correct horse battery' }
    const { id: userId } = (await world.call('POST', '/api/accounts/default/users', user)).json.data.user
    const [first, second] = [await create(), await create()]
    const job = await create({ destinationPath: 'space://default/gone/in/', dependsOn: first.id })
    assert.equal((await world.call('PATCH', `/api/jobs/${first.id}`, { dependsOn: second.id })).status, 200)
    for (const path of [`/api/jobs/${first.id}`, `/api/accounts/default/users/${userId}`])
      assert.equal((await world.call('DELETE', path)).status, 200)

    const change = (members: object) => world.call('PATCH', `/api/jobs/${job.id}`, members)
    const changed = await change({ enabled: false, name: 'Renamed', schedule: '0 3 * * *', postAction: { kind: 'delete' } })
    assert.equal(changed.status, 200, changed.text)
    assert.match((await change({ dependsOn: first.id })).json.error, /is the id of no job/)
    assert.match((await change({ sourcePath: '/new/*' })).json.error, /destinationPath: there is no user gone/)
    const repaired = await change({ dependsOn: null, destinationPath: '/in/' })
    assert.deepEqual([repaired.json.data.job.dependsOn, repaired.json.data.job.destination], [null, '/in/'])
  })

  test('a job may depend on one that depends on a removed one', async () => {
    const [removed, job] = [await create(), await create()]
    const between = await create({ dependsOn: removed.id })
    assert.equal((await world.call('DELETE', `/api/jobs/${removed.id}`)).status, 200)
    const answer = await world.call('PATCH', `/api/jobs/${job.id}`, { dependsOn: between.id })
    assert.equal(answer.status, 200, answer.text)
  })

  test('run now, once at a time; cancelled by an administrator', async () => {
    const job = await create()
    const run = (await world.call('POST', `/api/jobs/${job.id}/runs`)).json.data.run
    assert.deepEqual([run.status, run.cause, run.phase], ['running', 'manual', 'listing'])
    const second = await world.call('POST', `/api/jobs/${job.id}/runs`)
    assert.deepEqual([second.status, second.json.details.code], [409, 'conflict'])
    const said = await world.call('PATCH', `/api/jobs/${job.id}/runs/${run.id}`, { status: 'completed' })
    assert.equal(said.status, 403, said.text)
    const cancelled = await world.call('PATCH', `/api/jobs/${job.id}/runs/${run.id}`, { status: 'cancelled' })
    assert.equal(cancelled.json.data.run.status, 'cancelled')
    assert.equal((await world.call('PATCH', `/api/jobs/${job.id}/runs/${run.id}`, { status: 'cancelled' })).status, 409)
    const listed = await world.call('GET', `/api/jobs/${job.id}/runs?limit=5&offset=0`)
    assert.deepEqual(Object.keys(listed.json.data), ['runs'], 'no pagination object, as documented')
    assert.deepEqual(
      listed.json.data.runs.map(({ id }: JobRow) => id),
      [run.id],
    )
  })

  const ends: [object, unknown[]][] = [
    [{ status: 'completed' }, ['completed', null, 'job.completed']],
    [{ status: 'failed' }, ['failed', 'the agent says: failed', 'job.failed']],
    [{ status: 'failed', errorMessage: 'disk full' }, ['failed', 'disk full', 'job.failed']],
    [{ status: 'cancelled' }, ['cancelled', 'the run was cancelled', 'job.failed']],
    [{ status: 'cancelled', errorMessage: 'by hand' }, ['cancelled', 'the run was cancelled: by hand', 'job.failed']],
  ]
  for (const [end, recorded] of ends) {
    test(`the end that a foreign agent reports is the one that is recorded: ${Object.values(end).join(', ')}`, async () => {
      const job = await create()
      const { id: runId } = (await asAgent('POST', `/api/jobs/${job.id}/runs`)).json.data.run
      const { run } = (await asAgent('PATCH', `/api/jobs/${job.id}/runs/${runId}`, end)).json.data
      const { events } = (await world.call('GET', '/api/events?limit=100')).json.data
      const said = events.filter(({ data }: { data: { runId?: string } }) => data.runId === runId)
      const last = said.map(({ event }: { event: string }) => event).filter((event: string) => event !== 'job.started')
      assert.deepEqual([run.status, run.errorMessage, ...last], recorded)
    })
  }

  test('a run that completed has no error', async () => {
    const job = await create()
    const { id: runId } = (await asAgent('POST', `/api/jobs/${job.id}/runs`)).json.data.run
    const end = { status: 'completed', errorMessage: 'a warning' }
    const refused = await asAgent('PATCH', `/api/jobs/${job.id}/runs/${runId}`, end)
    assert.deepEqual(
      [refused.status, refused.json.error],
      [400, 'errorMessage says why a run failed or was cancelled; one that completed has none'],
    )
    assert.equal((await world.call('GET', `/api/jobs/${job.id}/runs/${runId}`)).json.data.run.status, 'running')
  })

  test('a foreign agent begins a run, ties transfers to it and ends it; another agent knows nothing of it', async () => {
    const job = await create()
    assert.equal((await asAgent('POST', `/api/jobs/${job.id}/runs`, undefined, foreignKey)).status, 404)
    const begun = await asAgent('POST', `/api/jobs/${job.id}/runs`)
    assert.equal(begun.status, 201, begun.text)
    const runId = begun.json.data.run.id
    const transfer = await asAgent('POST', '/api/transfers', {
      ...{
        agentId,
        sourceUrl: 'sftp://ftp.example.com/a.csv',
        destinationPath: '/a.csv',
        direction: 'pull',
        protocol: 'sftp',
        runId,
      },
    })
    assert.equal(transfer.status, 201, transfer.text)
    const end = (body: object, key = agentKey) => asAgent('PATCH', `/api/jobs/${job.id}/runs/${runId}`, body, key)
    assert.equal((await end({ status: 'completed' })).status, 409, 'a transfer is open')
    const reported = await asAgent('PATCH', `/api/transfers/${transfer.json.data.transfer.id}`, {
      status: 'completed',
      bytesTransferred: 7,
    })
    assert.equal(reported.status, 200, reported.text)
    assert.equal((await end({ status: 'completed' }, foreignKey)).status, 404)
    const runs = await world.call('GET', `/api/jobs/${job.id}/runs`)
    const one = await world.call('GET', `/api/jobs/${job.id}/runs/${runId}`)
    for (const run of [runs.json.data.runs[0], one.json.data.run]) {
      const { status, transfersTotal, transfersCompleted, bytesTransferred } = run
      assert.deepEqual([status, transfersTotal, transfersCompleted, bytesTransferred], ['running', 1, 1, 7])
    }
    const ended = await end({ status: 'completed' })
    assert.deepEqual(
      [ended.json.data.run.status, ended.json.data.run.transfersCompleted, ended.json.data.run.bytesTransferred],
      ['completed', 1, 7],
    )
    assert.equal((await end({ status: 'failed' })).status, 409)
    const { events } = (await world.call('GET', '/api/events?limit=100')).json.data
    const types = events
      .filter(({ data }: { data: { runId?: string } }) => data.runId === runId)
      .map(({ event }: { event: string }) => event)
    assert.deepEqual(types.sort(), ['job.completed', 'job.started'])
  })
})
