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

test('mail: a server and its receivers', () => {
  const { smtpUrl, alertEmail } = loadSettings(
    {},
    { LANDFALL_SMTP_URL: 'smtp://ops%40b.example:p%2Fw@[::1]:2525', LANDFALL_ALERT_EMAIL: 'a@b.example, c+d@e.example' },
  )
  assert.equal(smtpUrl, 'smtp://ops%40b.example:p%2Fw@[::1]:2525')
  assert.deepEqual(alertEmail, ['a@b.example', 'c+d@e.example'])
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
    name: 'a mail server of another kind',
    environment: { LANDFALL_SMTP_URL: 'http://u:hunter2@h', LANDFALL_ALERT_EMAIL: 'a@b.example' },
    says: /^LANDFALL_SMTP_URL is smtp:\/\/user:password@host:port or (?!.*hunter2)/,
  },
  {
    name: 'a mail server with a password that is not written as in an address',
    environment: { LANDFALL_SMTP_URL: 'smtp://u:100%hunter2@h', LANDFALL_ALERT_EMAIL: 'a@b.example' },
    says: /^LANDFALL_SMTP_URL is (?!.*hunter2)/,
  },
  {
    name: 'a mail server without receivers',
    environment: { LANDFALL_SMTP_URL: 'smtp://u:hunter2@mail.example:587' },
    says: /^LANDFALL_SMTP_URL is given without LANDFALL_ALERT_EMAIL: mails about alerts need both$/,
  },
  {
    name: 'receivers without a mail server',
    environment: { LANDFALL_ALERT_EMAIL: 'a@b.example' },
    says: /^LANDFALL_ALERT_EMAIL is given without LANDFALL_SMTP_URL/,
  },
  {
    name: 'a receiver that is no mail address',
    environment: { LANDFALL_SMTP_URL: 'smtps://mail.example', LANDFALL_ALERT_EMAIL: 'a@b.example, Ops <ops@b.example>' },
    says: /^LANDFALL_ALERT_EMAIL is a list of mail addresses, separated by commas, not "Ops <ops@b.example>"$/,
  },
  {
    name: 'a sender that is no mail address',
    environment: { LANDFALL_ALERT_FROM: 'landfall' },
    says: /^LANDFALL_ALERT_FROM is one mail address, not "landfall"$/,
  },
  {
    name: 'a public url of another kind',
    environment: { LANDFALL_PUBLIC_URL: 'mft.example' },
    says: /^LANDFALL_PUBLIC_URL is an http:\/\/ or https:\/\/ address, not "mft.example"$/,
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
