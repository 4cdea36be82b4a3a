import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../base/error.ts'
import { loadSettings } from './load.ts'

test('defaults are loopback and whole', () => {
  const settings = loadSettings({}, { PATH: '/bin' })
  assert.deepEqual(settings.httpAddress, { host: '127.0.0.1', port: 8080 })
  assert.deepEqual(settings.egressAllow, [])
  assert.equal(settings.egressLoopback, 'auto')
})

test('a flag wins over the variable, an empty variable is the default', () => {
  const settings = loadSettings(
    { '--http-address': '[::1]:0' },
    { LANDFALL_HTTP_ADDRESS: '127.0.0.1:1', LANDFALL_SFTP_ADDRESS: '' },
  )
  assert.deepEqual(settings.httpAddress, { host: '::1', port: 0 })
  assert.equal(settings.sftpAddress.port, 2022)
})

const refusals = [
  {
    name: 'a storage that is not offered',
    flags: { '--storage': 's3://bucket/x' },
    says: /LANDFALL_STORAGE is a folder; .* not "s3:\/\/bucket\/x"/,
  },
  {
    name: 'a database that is none of ours',
    flags: { '--database': 'mysql://u:hunter2@h/db' },
    says: /^LANDFALL_DATABASE is a postgres:\/\/ address, or empty for SQLite$/,
  },
  {
    name: 'unknown flag',
    flags: { '--htp-address': 'x' },
    says: /--htp-address is not a setting: did you mean --http-address\?/,
  },
  { name: 'unknown variable', environment: { LANDFALL_STORAGES: 'x' }, says: /LANDFALL_STORAGES .* LANDFALL_STORAGE\?/ },
  { name: 'address without port', flags: { '--sftp-address': 'localhost' }, says: /--sftp-address is host:port/ },
  { name: 'port out of bounds', flags: { '--sftp-address': '127.0.0.1:65536' }, says: /0 to 65535, not "127.0.0.1:65536"/ },
  {
    name: 'choice',
    environment: { LANDFALL_LOG_LEVEL: 'loud' },
    says: /LANDFALL_LOG_LEVEL is one of debug, info, .* not "loud"/,
  },
  {
    name: 'span over its bound',
    flags: { '--idle-ms': '999999999999' },
    says: /--idle-ms is a whole number from 10000 to 86400000 ms/,
  },
] as const
for (const refusal of refusals) {
  test(`refuses: ${refusal.name}`, () => {
    const flags = 'flags' in refusal ? refusal.flags : {}
    const environment = 'environment' in refusal ? refusal.environment : {}
    assert.throws(
      () => loadSettings(flags as Record<string, string>, environment),
      (error) => error instanceof AppError && error.code === 'setting_invalid' && refusal.says.test(error.message),
    )
  })
}
