/** The tables as Kysely sees them; the same names and JavaScript types in both databases. */
export interface Tables {
  account: AccountTable
  account_usage: { account_id: string; bytes: number; files: number }
  user: UserTable
  user_key: UserKeyTable
  api_key: ApiKeyTable
  admin_token: AdminTokenTable
  audit: AuditTable
  webhook: WebhookTable
  webhook_set: { id: number; version: number }
  event: EventTable
  delivery: DeliveryTable
  attempt: AttemptTable
  intent: IntentTable
  intent_path: { path_hash: string; intent_id: string; path_hex: string; is_subtree: number }
  partial: PartialTable
  node: { id: string; started_at: number; beat_at: number }
  tally: TallyTable
  delivery_total: { webhook_id: string; part: number; delivered: number; failed: number; cancelled: number }
  replay: ReplayTable
  alert: AlertTable
  authority: AuthorityTable
  enrolment_token: EnrolmentTokenTable
  agent: AgentTable
  certificate: CertificateTable
  remote: RemoteTable
  transfer: TransferTable
  leftover: LeftoverTable
  job: JobTable
  run: RunTable
  moved_file: MovedFileTable
}

export interface AccountTable {
  id: string
  slug: string
  name: string
  plan: string
  egress_allow: string | null
  quota_bytes: number | null
  created_at: number
  updated_at: number
}

export interface UserTable {
  id: string
  account_id: string
  name: string
  password_hash: string | null
  home: string
  permissions: string
  disabled: number
  created_at: number
  updated_at: number
}

export interface UserKeyTable {
  id: string
  user_id: string
  position: number
  type: string
  blob: string
  comment: string
  fingerprint: string
}

export interface ApiKeyTable {
  id: string
  account_id: string
  name: string
  token_hash: string
  scopes: string
  hourly_limit: number
  created_at: number
  revoked_at: number | null
}

export interface AdminTokenTable {
  id: string
  name: string
  token_hash: string
  created_at: number
  revoked_at: number | null
}

export interface AuditTable {
  id: string
  at: number
  account_id: string | null
  actor: string | null
  address: string | null
  door: string
  action: string
  target: string | null
  result: string
  detail: string | null
}

export interface WebhookTable {
  id: string
  account_id: string | null
  name: string
  url: string
  events: string
  dialect: string
  filter: string | null
  ordering: string
  sealed_secret: string | null
  sealed_secret_before: string | null
  secret_before_until: number | null
  options: string
  sealed_options: string | null
  egress_allow: string | null
  retry_delays_seconds: string | null
  state: string
  failed_reason: string | null
  failed_delivery_id: string | null
  inactive_reason: string | null
  off_since: number | null
  created_at: number
  updated_at: number
  removed_at: number | null
}

export interface EventTable {
  id: string
  type: string
  account_id: string | null
  occurred_at: number
  data: string
  state: string
  is_test: number
  position: number | null
}

export interface DeliveryTable {
  id: string
  event_id: string
  event_type: string
  webhook_id: string
  cause: string
  dialect: string
  body: string
  state: string
  due_at: number | null
  claimed_by: string | null
  attempts: number
  created_at: number
  settled_at: number | null
  last_status_code: number | null
  last_error: string | null
  headers: string | null
  order_key: string | null
  order_position: number | null
  is_blocked: number
  collapse_key: string | null
  replay_id: string | null
}

export interface AttemptTable {
  delivery_id: string
  number: number
  webhook_id: string
  started_at: number
  duration_ms: number
  status_code: number | null
  error: string | null
  response_headers: string | null
  response_body: string | null
}

export interface IntentTable {
  id: string
  node: string
  event_id: string
  account_id: string
  deed: string
  usage_bytes: number
  usage_files: number
  created_at: number
}

export interface PartialTable {
  id: string
  account_id: string
  user_id: string
  node: string | null
  path: string
  folder_hash: string
  temporary: string
  identity: string
  prefix_bytes: number
  started_at: number
  updated_at: number
}

export interface TallyTable extends Record<`took_${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`, number> {
  webhook_id: string
  grain: string
  at: number
  part: number
  attempts: number
  failures: number
  unauthorized: number
  answered: number
  slow: number
  duration_ms: number
  delivered: number
  failed: number
}

export interface ReplayTable {
  id: string
  webhook_id: string
  account_id: string | null
  request: string
  state: string
  is_open: number
  cursor: string | null
  matched: number
  is_counted: number
  planned: number
  node: string | null
  created_at: number
  updated_at: number
  ended_at: number | null
}

export interface AlertTable {
  id: string
  kind: string
  subject_id: string
  account_id: string | null
  message: string
  raised_at: number
  cleared_at: number | null
  mail_raised_at: number | null
  mail_cleared_at: number | null
  mail_tries: number
  mail_due_at: number | null
}

export interface AuthorityTable {
  id: string
  is_current: number
  certificate: string
  sealed_key: string
  created_at: number
}

export interface EnrolmentTokenTable {
  id: string
  name: string
  token_hash: string
  uses_max: number
  uses: number
  created_at: number
  expires_at: number
  revoked_at: number | null
}

export interface AgentTable {
  id: string
  name: string
  hostname: string
  os: string
  version: string | null
  status: string
  is_builtin: number
  key_hash: string
  public_key_hash: string | null
  ip_address: string | null
  last_seen_at: number
  stream_node: string | null
  stream_lost_at: number | null
  concurrency: number
  load: number | null
  memory: number | null
  created_at: number
  updated_at: number
  revoked_at: number | null
}

export interface CertificateTable {
  id: string
  agent_id: string
  serial: string
  fingerprint: string
  issued_at: number
  expires_at: number
  revoked_at: number | null
  replaced_at: number | null
  expiring_said_at: number | null
  expired_said_at: number | null
}

export interface RemoteTable {
  id: string
  name: string
  protocol: string
  host: string
  port: number
  username: string | null
  options: string
  sealed_secrets: string | null
  created_at: number
  updated_at: number
}

export interface LeftoverTable {
  transfer_id: string
  agent_id: string
  lease: string | null
  tries: number
  due_at: number
}

export interface TransferTable {
  id: string
  agent_id: string
  run_id: string | null
  remote_id: string | null
  source_url: string
  destination_path: string
  direction: string
  protocol: string
  is_foreign: number
  policy: string
  status: string
  size: number | null
  bytes_transferred: number
  progress: number
  speed: number | null
  said_tenth: number
  error: string | null
  error_code: string | null
  retry_count: number
  losses: number
  sha256: string | null
  lease: string | null
  due_at: number
  cancel_asked_at: number | null
  arrived_at: number | null
  created_at: number
  started_at: number | null
  completed_at: number | null
}

export interface JobTable {
  id: string
  agent_id: string
  name: string
  remote_id: string | null
  source_path: string
  destination_path: string
  schedule: string
  protocol: string
  direction: string
  is_enabled: number
  options: string
  next_run_at: number | null
  last_run_at: number | null
  created_at: number
  updated_at: number
  removed_at: number | null
}

export interface RunTable {
  id: string
  job_id: string
  agent_id: string
  cause: string
  scheduled_for: number | null
  status: string
  phase: string | null
  lease: string | null
  listings: number
  due_at: number
  cancel_asked_at: number | null
  transfers_total: number
  transfers_completed: number
  transfers_failed: number
  bytes_transferred: number
  error_message: string | null
  started_at: number
  completed_at: number | null
}

export interface MovedFileTable {
  job_id: string
  path_hash: string
  size: number
  modified_at: number | null
  sha256: string | null
  transfer_id: string
  moved_at: number
}
