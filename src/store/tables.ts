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
}

export interface AccountTable {
  id: string
  slug: string
  name: string
  plan: string
  egress_allow: string | null
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
