import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'

/**
 * The one table of settings. A member `httpAddress` is the flag `--http-address` and the variable
 * `LANDFALL_HTTP_ADDRESS`; docs/settings.md is tested against this table.
 */
export const SETTINGS = {
  data: text('./landfall-data', 'Folder of database, keys and files; created with mode 0700.'),
  database: text('', 'A `postgres://…` address; empty: SQLite in the data folder.', { secret: true }),
  storage: text('', 'Folder of the files; empty: `files` in the data folder. `s3://` is not offered yet.'),
  httpAddress: address('127.0.0.1:8080', 'API and its documentation.'),
  sftpAddress: address('127.0.0.1:2022', 'SFTP.'),
  ftpAddress: address('127.0.0.1:2121', 'FTP with explicit TLS. Not built yet.'),
  ftpPassivePorts: text('30000-30099', 'Ports of FTP data connections. Not built yet.'),
  agentAddress: address('127.0.0.1:8443', 'Agents, mutual TLS.'),
  adminToken: text(
    '',
    'Bearer token of the first administrator; empty: made at first start. A given one replaces the stored one.',
    { secret: true },
  ),
  masterKey: text('', '32 bytes in base64 that encrypt secrets at rest; empty: made at first start, a file of mode 0600.', {
    secret: true,
  }),
  masterKeyBefore: text(
    '',
    'Opens secrets sealed under an earlier master key, until `landfall master-key rotate` has sealed them anew.',
    {
      secret: true,
    },
  ),
  masterKeyLost: choice(
    ['refuse', 'accept'],
    'refuse',
    'A master key that opens no stored secret: refuse to start, or accept that webhooks and remotes wait for new ones and agents are enrolled anew.',
  ),
  egressAllow: list(
    'Private networks that webhooks may reach: CIDRs, separated by commas. An account may have a list of its own.',
  ),
  egressLoopback: choice(
    ['auto', 'allow', 'deny'],
    'auto',
    'Webhooks to loopback; `auto` allows them while every listener is on loopback.',
  ),
  agentHost: text(
    '',
    'Host and port under which agents on other machines reach the agent port; empty: the address that it listens on.',
  ),
  agentSilentMs: span(2 * MINUTE_MS, 10 * SECOND_MS, DAY_MS, 'An agent that was not heard of for this long is offline.'),
  agentGraceMs: span(
    10 * SECOND_MS,
    SECOND_MS,
    10 * MINUTE_MS,
    'An agent whose stream closed and that is not back after this is offline.',
  ),
  agentHeartbeatMs: span(15 * SECOND_MS, SECOND_MS, 50 * SECOND_MS, 'Our agents send a heartbeat this often.'),
  agentRenewBeforeMs: span(45 * DAY_MS, DAY_MS, 300 * DAY_MS, 'Our agents renew their certificate this long before its end.'),
  builtinAgent: choice(['on', 'off'], 'on', 'An agent inside this server, so that one machine needs nothing more.'),
  builtinAgentRoots: list(
    'Folders of this machine that the built-in agent may read and write; empty: `agent/files` in the data folder.',
  ),
  publicUrl: text('', 'Address under which people reach the API, in the links of mails; empty: mails have none.'),
  smtpUrl: text(
    '',
    'Mail server for alerts: `smtp://user:password@host:587` (STARTTLS, required unless on loopback) or `smtps://…`.',
    {
      secret: true,
    },
  ),
  alertEmail: list('Who gets alerts by mail: addresses, separated by commas. Goes with the mail server.'),
  alertFrom: text('', 'Sender of these mails; empty: the first of their receivers.'),
  logLevel: choice(['debug', 'info', 'warn', 'error', 'silent'], 'info', 'Least level that is logged to stderr.'),
  loginDeadlineMs: span(30 * SECOND_MS, SECOND_MS, 10 * MINUTE_MS, 'From connecting to being logged in.'),
  handshakeDeadlineMs: span(10 * SECOND_MS, SECOND_MS, 2 * MINUTE_MS, 'From connecting to the end of the SSH key exchange.'),
  idleMs: span(15 * MINUTE_MS, 10 * SECOND_MS, DAY_MS, 'A session without a request or a transfer is closed after this.'),
  loginTries: count(6, 1, 20, 'Tries to log in on one connection.'),
  connectionsMax: count(1_000, 1, 100_000, 'SFTP connections in all.'),
  connectionsPerAddressMax: count(100, 1, 100_000, 'SFTP connections from one address.'),
  connectionsPerUserMax: count(100, 1, 100_000, 'SFTP connections of one user.'),
  handlesMax: count(256, 1, 10_000, 'Open handles of one session.'),
  partialKeepMs: span(7 * DAY_MS, MINUTE_MS, 365 * DAY_MS, 'A cut upload can be resumed for this long; then it is swept.'),
  retentionMs: span(
    30 * DAY_MS,
    HOUR_MS,
    10 * 365 * DAY_MS,
    'Deliveries that have ended, their attempts and their events are kept for this long.',
  ),
  auditRetentionMs: span(400 * DAY_MS, DAY_MS, 10 * 365 * DAY_MS, 'Lines of the audit trail are kept for this long.'),
  retentionBytesMax: count(
    0,
    0,
    Number.MAX_SAFE_INTEGER,
    'Bytes that the database may hold; beyond that the oldest deliveries and events go earlier, but never those of the last hour. 0: no bound.',
  ),
  stopDeadlineMs: span(15 * SECOND_MS, 0, 10 * MINUTE_MS, 'Time that attempts in flight get when the server stops.'),
  laneConcurrency: count(16, 1, 1_000, 'Attempts in flight to one webhook.'),
  keyRateWindowMs: span(HOUR_MS, SECOND_MS, DAY_MS, 'Window in which an account key may make its number of requests.'),
} as const satisfies Record<string, SettingSpec>

export type SettingName = keyof typeof SETTINGS
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> }

export type SettingSpec =
  | { kind: 'text'; fallback: string; meaning: string; secret: boolean }
  | { kind: 'address'; fallback: string; meaning: string }
  | { kind: 'list'; fallback: string; meaning: string }
  | { kind: 'choice'; fallback: string; choices: readonly string[]; meaning: string }
  | { kind: 'count' | 'span'; fallback: number; min: number; max: number; meaning: string }

/** A host and a port; port 0 lets the system choose one. */
export interface Address {
  readonly host: string
  readonly port: number
}

type ValueOf<Spec extends SettingSpec> = Spec extends { kind: 'address' }
  ? Address
  : Spec extends { kind: 'list' }
    ? readonly string[]
    : Spec extends { kind: 'choice'; choices: readonly (infer Choice)[] }
      ? Choice
      : Spec extends { kind: 'count' | 'span' }
        ? number
        : string

function text(fallback: string, meaning: string, { secret = false } = {}) {
  return { kind: 'text', fallback, meaning, secret } as const
}
function address(fallback: string, meaning: string) {
  return { kind: 'address', fallback, meaning } as const
}
function list(meaning: string) {
  return { kind: 'list', fallback: '', meaning } as const
}
function choice<const Choices extends readonly string[]>(choices: Choices, fallback: Choices[number], meaning: string) {
  return { kind: 'choice', fallback, choices, meaning } as const
}
function count(fallback: number, min: number, max: number, meaning: string) {
  return { kind: 'count', fallback, min, max, meaning } as const
}
function span(fallback: number, min: number, max: number, meaning: string) {
  return { kind: 'span', fallback, min, max, meaning } as const
}

/** `httpAddress` → `LANDFALL_HTTP_ADDRESS`. */
export function variableOf(name: string): string {
  return `LANDFALL_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`
}

/** `httpAddress` → `--http-address`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, '-$&').toLowerCase()}`
}
