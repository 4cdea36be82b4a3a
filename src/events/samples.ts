import type { EventType } from './catalogue.ts'
import type { Data } from './payloads.ts'

const AGENT = { agentId: 'agent_1a2b3c4d', agentName: 'production-server-1' }
const TRANSFER = { transferId: 'trf_1a2b3c4d5e6f', ...AGENT, sourceUrl: 'sftp://ftp.example.com/files/data.csv' }
const ROUTE = { destinationPath: '/local/data.csv', direction: 'pull', protocol: 'sftp' } as const
const CERTIFICATE = { ...AGENT, certificateId: 'cert_1a2b3c4d', expiresAt: '2026-05-29T00:00:00Z' }
const JOB = { jobId: 'job_1a2b3c4d', jobName: 'Daily Backup', agentId: 'agent_1a2b3c4d', schedule: '0 2 * * *' }
const WHO = { username: 'pipeline', client_ip: '203.0.113.5' }
const FILE = { path: '/incoming/order.csv', size: 20480, ...WHO }
const EXPECTATION = { expectation_id: 'exp_1a2b3c4d5e6f7g8h', expectation_name: 'Nightly orders' }
const WEBHOOK = { webhookId: 'wh_1a2b3c4d5e6f7g8h', webhookName: 'Transfer Alerts', deliveryId: 'dlv_1a2b3c4d5e6f7g8h' }
const ALERT = {
  alertId: 'alr_1a2b3c4d5e6f7g8h',
  kind: 'webhook_failed',
  subjectId: 'wh_1a2b3c4d5e6f7g8h',
  message: 'Webhook "Transfer Alerts" was turned off: its receiver answered 503 to 5 attempts.',
  raisedAt: '2026-04-29T18:06:00Z',
}

/** One `data` of each type: what a test event carries. Those that a contract's page shows are the page's own. */
export const SAMPLES: { readonly [T in EventType]: Data<T> } = {
  'transfer.created': { ...TRANSFER, ...ROUTE, size: 1048576, status: 'queued' },
  'transfer.progress': {
    ...TRANSFER,
    ...ROUTE,
    size: 1048576,
    bytesTransferred: 524288,
    progress: 50,
    speed: 23303,
    status: 'running',
  },
  'transfer.completed': {
    ...TRANSFER,
    ...ROUTE,
    size: 1048576,
    bytesTransferred: 1048576,
    duration: 45,
    speed: 23303,
    status: 'completed',
  },
  'transfer.failed': {
    ...TRANSFER,
    transferId: 'trf_2b3c4d5e6f',
    error: 'Authentication failed: Invalid credentials',
    errorCode: 'AUTH_FAILED',
    retryCount: 3,
    status: 'failed',
  },
  'transfer.cancelled': { ...TRANSFER, ...ROUTE, size: 1048576, bytesTransferred: 524288, status: 'cancelled' },
  'agent.registered': { ...AGENT, hostname: 'server1.example.com', os: 'linux', version: '0.1.0', status: 'online' },
  'agent.connected': { ...AGENT, hostname: 'server1.example.com', lastSeen: '2026-04-29T15:30:00Z', status: 'online' },
  'agent.disconnected': { ...AGENT, hostname: 'server1.example.com', lastSeen: '2026-04-29T15:30:00Z', status: 'offline' },
  'agent.certificate.expiring': { ...CERTIFICATE, daysRemaining: 30 },
  'agent.certificate.expired': CERTIFICATE,
  'job.started': { ...JOB, status: 'running' },
  'job.completed': { ...JOB, transfersTotal: 5, transfersCompleted: 5, transfersFailed: 0, duration: 320, status: 'completed' },
  'job.failed': { ...JOB, transfersTotal: 5, transfersCompleted: 4, transfersFailed: 1, duration: 320, status: 'failed' },
  'job.skipped': { ...JOB, reason: 'The run before is still going.', status: 'skipped' },
  'system.health.degraded': {
    status: 'degraded',
    checks: { database: { status: 'pass' }, memory: { status: 'pass' }, disk: { status: 'warn' } },
  },
  'system.storage.warning': { used: 824633720832, total: 1000000000000, percentage: 82, status: 'warn' },
  'system.error': { error: 'The storage answered with an error.', errorCode: 'STORAGE_FAILED' },

  'file.uploaded': FILE,
  'file.downloaded': FILE,
  'file.deleted': FILE,
  'dir.created': { path: '/incoming/2026', ...WHO },
  'dir.deleted': { path: '/incoming/2026', ...WHO },
  'ftp_user.created': {
    username: 'pipeline',
    user_id: 'usr_1a2b3c4d5e6f7g8h',
    home_directory: '/default/pipeline',
    permissions: ['list', 'read', 'write', 'delete'],
    client_ip: '203.0.113.5',
  },

  'file.renamed': {
    path: '/incoming/order.csv',
    previous_path: '/incoming/order.csv.part',
    kind: 'file',
    overwritten: false,
    ...WHO,
  },
  'file.upload_failed': { ...FILE, error: 'The connection was lost.', resumable: true },
  'file.overdue': { path: '/incoming/order.csv', ...EXPECTATION, due_at: '2026-06-08T11:00:00Z' },
  'file.arrived_late': { ...FILE, ...EXPECTATION, due_at: '2026-06-08T11:00:00Z', late_by: 3600 },
  'file.unexpected_size': { ...FILE, ...EXPECTATION, size_min: 1, size_max: 16384 },
  'file.set_complete': { paths: ['/incoming/order.csv', '/incoming/order.sum'], size: 20545, ...EXPECTATION },
  'webhook.failed': { ...WEBHOOK, attempts: 5, error: 'The receiver answered 503.', status: 'failed' },
  'webhook.recovered': { ...WEBHOOK, failedAt: '2026-04-29T18:06:00Z', status: 'active' },
  'alert.raised': ALERT,
  'alert.cleared': { ...ALERT, clearedAt: '2026-04-29T19:00:00Z' },
}
