import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { type Call, type Command, CommandError } from './command.ts'
import { inFlags } from './in-flags.ts'
import { find } from './main.ts'

const job: Command = {
  ...{ name: 'job add', summary: '', usage: '', run: async () => 0 },
  options: {
    retry: { type: 'string', member: 'retryDelaysSeconds', meaning: '' },
    from: { type: 'string', member: 'sourcePath', meaning: '' },
    remote: { type: 'string', member: 'remoteId', meaning: '' },
    host: { type: 'string', meaning: '' },
    'depends-on': { type: 'string', meaning: '' },
    header: { type: 'string', multiple: true, member: 'headers', meaning: '' },
    'secret-header': { type: 'string', multiple: true, member: 'headers', meaning: '' },
    'client-key': { type: 'string', member: 'tls.key', meaning: '' },
    ca: { type: 'string', member: 'tls.ca', meaning: '' },
    data: { type: 'string', meaning: '' },
  },
}

const cases: { field: string; says: string; flags?: Call['flags']; said: string }[] = [
  { field: 'dependsOn', says: "dependsOn 'x' is the id of no job", said: "--depends-on 'x' is the id of no job" },
  { field: 'retryDelaysSeconds[1]', says: 'retryDelaysSeconds[1] is 0, not 1 to 9', said: '--retry is 0, not 1 to 9' },
  { field: 'retryDelaysSeconds', says: 'retryDelaysSeconds[1] is 0, not 1 to 9', said: '--retry is 0, not 1 to 9' },
  { field: 'host', says: 'host: hosts are names', said: '--host: hosts are names' },
  { field: 'host', says: 'hosts are names', said: '--host: hosts are names' },
  { field: 'remoteId', says: 'The server is gone.', said: '--remote: The server is gone.' },
  { field: 'sourcePath', says: 'sourcePath needs a remoteId', said: '--from needs a --remote' },
  {
    field: 'sourcePath',
    says: 'sourcePath \'/a remoteId\' or "remoteId", and /in/remoteId, remoteId/in',
    said: '--from \'/a remoteId\' or "remoteId", and /in/remoteId, remoteId/in',
  },
  { field: 'headers', says: 'headers: X is twice', said: '--header or --secret-header: X is twice' },
  {
    field: 'headers',
    says: 'headers: X is twice',
    flags: { 'secret-header': ['X: stdin'] },
    said: '--secret-header: X is twice',
  },
  {
    field: 'tls',
    says: 'tls: certificate is missing',
    flags: { 'client-key': 'k' },
    said: '--client-key: certificate is missing',
  },
  { field: 'tls.ca', says: 'tls.ca is no PEM', said: '--ca is no PEM' },
  { field: 'schedule', says: 'schedule is missing', said: 'schedule is missing' },
  { field: 'data', says: 'data is missing', said: 'data is missing' },
]
for (const { field, says, flags = {}, said } of cases) {
  test(`in flags: ${says} (${field})`, () => {
    const error = inFlags(new CommandError(says, { field }), job, flags)
    assert.ok(error instanceof CommandError)
    assert.equal(error.message, said)
  })
}

test('what names no member of the API stays as it is', () => {
  for (const error of [new CommandError('remoteId'), new Error('remoteId')]) assert.equal(inFlags(error, job, {}), error)
})

/** What a command sends: every member has its flag, so that no refusal names what nobody typed. `others`: a word of the line, or not sent by it. */
const SENT: { command: string; path: string; method: 'post' | 'patch'; others: string[] }[] = [
  { command: 'job add', path: '/api/jobs', method: 'post', others: ['name', 'protocol'] },
  { command: 'job update', path: '/api/jobs/{id}', method: 'patch', others: ['enabled'] },
  { command: 'transfer start', path: '/api/transfers', method: 'post', others: ['runId', 'protocol', 'size'] },
  { command: 'remote add', path: '/api/remotes', method: 'post', others: ['name'] },
  { command: 'remote update', path: '/api/remotes/{id}', method: 'patch', others: ['protocol'] },
  { command: 'webhook create', path: '/api/webhooks', method: 'post', others: ['enabled'] },
  { command: 'webhook update', path: '/api/webhooks/{id}', method: 'patch', others: ['active', 'enabled'] },
  { command: 'webhook rotate-secret', path: '/api/webhooks/{id}/rotate-secret', method: 'post', others: [] },
  { command: 'webhook replay', path: '/api/webhooks/{id}/replay', method: 'post', others: ['eventIds'] },
  { command: 'account create', path: '/api/accounts', method: 'post', others: ['slug', 'egressAllow', 'quotaBytes'] },
  { command: 'account update', path: '/api/accounts/{account}', method: 'patch', others: [] },
  { command: 'user add', path: '/api/accounts/{account}/users', method: 'post', others: ['name', 'disabled'] },
  { command: 'key create', path: '/api/accounts/{account}/keys', method: 'post', others: [] },
  { command: 'token create', path: '/api/admin-tokens', method: 'post', others: [] },
  { command: 'agent rename', path: '/api/agents/{id}', method: 'patch', others: ['name'] },
  { command: 'agent token', path: '/api/enrollment-tokens', method: 'post', others: [] },
]
describe('every member that a command sends is refused by its flag', async () => {
  const { paths } = JSON.parse(await readFile(new URL('../docs/openapi.json', import.meta.url), 'utf8'))
  for (const { command: name, path, method, others } of SENT) {
    test(name, async () => {
      const { command } = await find(name.split(' '))
      const members = Object.keys(paths[path][method].requestBody.content['application/json'].schema.properties)
      const unsaid = members.filter((field) => {
        const error = inFlags(new CommandError(`${field} is wrong`, { field }), command!, {}) as CommandError
        return !error.message.startsWith('--')
      })
      assert.deepEqual(unsaid.sort(), others.sort())
    })
  }
})
