CREATE TABLE account (
  id         text    primary key,
  slug       text    not null unique,
  name       text    not null,
  plan       text    not null,
  created_at integer not null,
  updated_at integer not null
, egress_allow text check (json_valid(egress_allow)), quota_bytes integer check (quota_bytes >= 0)) strict;

CREATE TABLE account_usage (
  account_id text    primary key,
  bytes      integer not null,
  files      integer not null
) strict;

CREATE TABLE admin_token (
  id         text    primary key,
  name       text    not null,
  token_hash text    not null unique,
  created_at integer not null,
  revoked_at integer
) strict;

CREATE TABLE agent (
  id               text    primary key,
  name             text    not null,
  hostname         text    not null,
  os               text    not null check (os in ('linux', 'windows', 'darwin')),
  version          text,
  status           text    not null check (status in ('online', 'offline', 'busy', 'error')),
  is_builtin       integer not null check (is_builtin in (0, 1)),
  key_hash         text    not null unique,
  public_key_hash  text,
  ip_address       text,
  last_seen_at     integer not null,
  stream_node      text,
  stream_lost_at   integer,
  concurrency      integer not null,
  load             real,
  memory           integer,
  created_at       integer not null,
  updated_at       integer not null,
  revoked_at       integer
) strict;

CREATE TABLE alert (
  id              text    primary key,
  kind            text    not null,
  subject_id      text    not null,
  account_id      text,
  message         text    not null,
  raised_at       integer not null,
  cleared_at      integer,
  mail_raised_at  integer,
  mail_cleared_at integer,
  mail_tries      integer not null default 0,
  mail_due_at     integer
) strict;

CREATE TABLE api_key (
  id           text    primary key,
  account_id   text    not null references account (id),
  name         text    not null,
  token_hash   text    not null unique,
  scopes       text    not null check (json_valid(scopes)),
  hourly_limit integer not null check (hourly_limit > 0),
  created_at   integer not null,
  revoked_at   integer
) strict;

CREATE TABLE attempt (
  delivery_id      text    not null,
  number           integer not null check (number > 0),
  webhook_id       text    not null,
  started_at       integer not null,
  duration_ms      real    not null check (duration_ms >= 0),
  status_code      integer,
  error            text,
  response_headers text    check (json_valid(response_headers)),
  response_body    text,
  primary key (delivery_id, number),
  check (status_code is not null or error is not null)
) strict;

CREATE TABLE audit (
  id         text    primary key,
  at         integer not null,
  account_id text,
  actor      text,
  address    text,
  door       text    not null check (door = 'sftp' or door = 'ftp' or door = 'api' or door = 'cli' or door = 'server'),
  action     text    not null,
  target     text,
  result     text    not null,
  detail     text
) strict;

CREATE TABLE authority (
  id           text    primary key,
  is_current   integer not null check (is_current = 1),
  certificate  text    not null,
  sealed_key   text    not null,
  created_at   integer not null
) strict;

CREATE TABLE certificate (
  id                text    primary key,
  agent_id          text    not null,
  serial            text    not null unique,
  fingerprint       text    not null unique,
  issued_at         integer not null,
  expires_at        integer not null,
  revoked_at        integer,
  replaced_at       integer,
  expiring_said_at  integer,
  expired_said_at   integer
) strict;

CREATE TABLE delivery (
  id               text    primary key,
  event_id         text    not null,
  event_type       text    not null,
  webhook_id       text    not null,
  cause            text    not null check (cause = 'event' or cause = 'resend' or cause = 'test'),
  dialect          text    not null,
  body             text    not null,
  state            text    not null
    check (state = 'held' or state = 'waiting' or state = 'delivered' or state = 'failed' or state = 'cancelled'),
  due_at           integer,  -- while it waits, also when its webhook is off: it resumes with this
  claimed_by       text,     -- the node whose lane has it
  attempts         integer not null check (attempts >= 0),
  created_at       integer not null,
  settled_at       integer,
  last_status_code integer,
  last_error       text, headers text check (json_valid(headers)), order_key text, order_position integer, is_blocked integer not null default 0 check (is_blocked in (0, 1)), collapse_key text, replay_id text,
  check ((state = 'waiting') = (due_at is not null)),
  check (claimed_by is null or state = 'waiting'),
  check ((state in ('held', 'waiting')) = (settled_at is null)),
  check (state <> 'held' or attempts = 0),
  check (state <> 'delivered' or (attempts > 0 and last_error is null))
) strict;

CREATE TABLE delivery_total (
  webhook_id text    not null,
  part       integer not null,
  delivered  integer not null,
  failed     integer not null,
  cancelled  integer not null,
  primary key (webhook_id, part)
) strict, without rowid;

CREATE TABLE enrolment_token (
  id          text    primary key,
  name        text    not null,
  token_hash  text    not null unique,
  uses_max    integer not null,
  uses        integer not null,
  created_at  integer not null,
  expires_at  integer not null,
  revoked_at  integer
) strict;

CREATE TABLE event (
  id          text    primary key,
  type        text    not null,
  account_id  text,
  occurred_at integer not null,
  data        text    not null check (json_valid(data)),
  state       text    not null check (state = 'held' or state = 'said' or state = 'void'),
  is_test     integer not null check (is_test in (0, 1)), position integer,
  check (is_test = 0 or state = 'said')
) strict;

CREATE TABLE intent (
  id          text    primary key,
  node        text    not null,
  event_id    text    not null unique,
  account_id  text    not null,
  deed        text    not null check (json_valid(deed)),
  usage_bytes integer not null,
  usage_files integer not null,
  created_at  integer not null
) strict;

CREATE TABLE intent_path (
  path_hash  text    primary key,
  intent_id  text    not null,
  path_hex   text    not null,  -- the bytes in hexadecimal, to find what lies below a folder
  is_subtree integer not null check (is_subtree in (0, 1))
) strict;

CREATE TABLE job (
  id                text    primary key,
  agent_id          text    not null,
  name              text    not null,
  remote_id         text,
  source_path       text    not null,
  destination_path  text    not null,
  schedule          text    not null,
  protocol          text    not null,
  direction         text    not null check (direction in ('pull', 'push')),
  is_enabled        integer not null check (is_enabled in (0, 1)),
  options           text    not null check (json_valid(options)),
  next_run_at       integer,
  last_run_at       integer,
  created_at        integer not null,
  updated_at        integer not null,
  removed_at        integer
) strict;

CREATE TABLE leftover (
  transfer_id  text    primary key,
  agent_id     text    not null,
  lease        text,
  tries        integer not null,
  due_at       integer not null
) strict;

CREATE TABLE moved_file (
  job_id       text    not null,
  path_hash    text    not null,  -- SHA-256 of the path, hex: paths may be longer than an index takes
  size         integer not null,
  modified_at  integer,
  sha256       text,
  transfer_id  text    not null,
  moved_at     integer not null,
  primary key (job_id, path_hash)
) strict;

CREATE TABLE node (
  id         text    primary key,
  started_at integer not null,
  beat_at    integer not null
) strict;

CREATE TABLE partial (
  id           text    primary key,
  account_id   text    not null,
  user_id      text    not null,
  node         text,
  path         text    not null,
  folder_hash  text    not null,  -- SHA-256 of the folder's bytes
  "temporary"  text    not null,
  identity     text    not null,
  prefix_bytes integer not null check (prefix_bytes >= 0),
  started_at   integer not null,
  updated_at   integer not null
) strict;

CREATE TABLE remote (
  id              text    primary key,
  name            text    not null unique,
  protocol        text    not null check (protocol in ('sftp', 'ftp', 'ftps', 'http', 'https', 's3')),
  host            text    not null,
  port            integer not null,
  username        text,
  options         text    not null check (json_valid(options)),
  sealed_secrets  text,
  created_at      integer not null,
  updated_at      integer not null
) strict;

CREATE TABLE replay (
  id          text    primary key,
  webhook_id  text    not null,
  account_id  text,
  request     text    not null check (json_valid(request)),
  state       text    not null check (state in ('running', 'done', 'cancelled')),
  is_open     integer not null check (is_open in (0, 1)),  -- running, or cancelled with deliveries that are still under way
  cursor      text,
  matched     integer not null,  -- events that it asks for, counted when it was made
  is_counted  integer not null check (is_counted in (0, 1)),  -- whether those are all, or more than the count went through
  planned     integer not null,
  node        text,
  created_at  integer not null,
  updated_at  integer not null,
  ended_at    integer
) strict;

CREATE TABLE run (
  id                   text    primary key,
  job_id               text    not null,
  agent_id             text    not null,
  cause                text    not null check (cause in ('schedule', 'missed', 'manual', 'agent')),
  scheduled_for        integer,
  status               text    not null check (status in ('running', 'completed', 'failed', 'cancelled', 'skipped')),
  phase                text    check (phase in ('listing', 'moving')),
  lease                text,
  listings             integer not null,
  due_at               integer not null,
  cancel_asked_at      integer,
  transfers_total      integer not null,
  transfers_completed  integer not null,
  transfers_failed     integer not null,
  bytes_transferred    integer not null,
  error_message        text,
  started_at           integer not null,
  completed_at         integer
) strict;

CREATE TABLE said_position (
  id       integer primary key check (id = 1),
  position integer not null
) strict;

CREATE TABLE schema_version (version integer primary key, applied_at bigint not null);

CREATE TABLE tally (
  webhook_id   text    not null,
  grain        text    not null check (grain = 'minute' or grain = 'hour'),
  at           integer not null,  -- when the minute or hour begins
  part         integer not null,
  attempts     integer not null,
  failures     integer not null,  -- attempts that did not count as delivered
  unauthorized integer not null,  -- answered 401
  answered     integer not null,
  slow         integer not null,  -- answered after more than 5 s
  duration_ms  real    not null,  -- of all answered, together
  -- Answered attempts by duration; see TOOK_BOUNDS_MS.
  took_0       integer not null,
  took_1       integer not null,
  took_2       integer not null,
  took_3       integer not null,
  took_4       integer not null,
  took_5       integer not null,
  took_6       integer not null,
  took_7       integer not null,
  took_8       integer not null,
  took_9       integer not null,
  took_10      integer not null,
  delivered    integer not null,  -- deliveries that ended
  failed       integer not null,
  primary key (webhook_id, grain, at, part)
) strict, without rowid;

CREATE TABLE transfer (
  id                 text    primary key,
  agent_id           text    not null,
  run_id             text,
  remote_id          text,
  source_url         text    not null,
  destination_path   text    not null,
  direction          text    not null check (direction in ('pull', 'push')),
  protocol           text    not null,
  is_foreign         integer not null check (is_foreign in (0, 1)),
  policy             text    not null check (json_valid(policy)),
  status             text    not null check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  size               integer,
  bytes_transferred  integer not null,
  progress           integer not null check (progress between 0 and 100),
  speed              integer,
  said_tenth         integer not null check (said_tenth between 0 and 10),
  error              text,
  error_code         text,
  retry_count        integer not null,
  losses             integer not null,
  sha256             text,
  lease              text,
  due_at             integer not null,
  cancel_asked_at    integer,
  arrived_at         integer,
  created_at         integer not null,
  started_at         integer,
  completed_at       integer
) strict;

CREATE TABLE "user" (
  id            text    primary key,
  account_id    text    not null references account (id),
  name          text    not null,
  password_hash text,
  home          text    not null,
  permissions   text    not null check (json_valid(permissions)),
  disabled      integer not null check (disabled in (0, 1)),
  created_at    integer not null,
  updated_at    integer not null,
  unique (account_id, name)
) strict;

CREATE TABLE user_key (
  id          text    primary key,
  user_id     text    not null references "user" (id) on delete cascade,
  position    integer not null,
  type        text    not null,
  blob        text    not null,
  comment     text    not null,
  fingerprint text    not null,
  unique (user_id, position)
) strict;

CREATE TABLE webhook (
  id                   text    primary key,
  account_id           text    references account (id),
  name                 text    not null,
  url                  text    not null,
  events               text    not null check (json_valid(events)),
  dialect              text    not null,
  sealed_secret        text,
  retry_delays_seconds text    check (json_valid(retry_delays_seconds)),
  state                text    not null check (state in ('active', 'inactive', 'failed')),
  failed_reason        text,
  created_at           integer not null,
  updated_at           integer not null,
  removed_at           integer, filter text check (json_valid(filter)), ordering text not null default 'none' check (ordering in ('none', 'webhook', 'key')), options text not null default '{}' check (json_valid(options)), sealed_options text, sealed_secret_before text, secret_before_until integer, egress_allow text check (json_valid(egress_allow)), off_since integer, failed_delivery_id text, inactive_reason text check (inactive_reason is null or state = 'inactive'),
  check ((state = 'failed') = (failed_reason is not null))
) strict;

CREATE TABLE webhook_set (
  id      integer primary key check (id = 1),
  version integer not null
) strict;

CREATE INDEX agent_builtin on agent (id) where is_builtin = 1;

CREATE UNIQUE INDEX agent_public_key on agent (public_key_hash) where public_key_hash is not null;

CREATE INDEX agent_silent on agent (last_seen_at) where status <> 'offline' and revoked_at is null;

CREATE INDEX alert_mail on alert (mail_due_at) where mail_due_at is not null;

CREATE INDEX alert_of_account on alert (account_id, id);

CREATE INDEX alert_of_subject on alert (subject_id, id);

CREATE UNIQUE INDEX alert_open on alert (subject_id, kind) where cleared_at is null;

CREATE INDEX api_key_of_account on api_key (account_id, id);

CREATE INDEX attempt_of_webhook on attempt (webhook_id, started_at);

CREATE INDEX audit_of_account on audit (account_id, id);

CREATE UNIQUE INDEX authority_current on authority (is_current);

CREATE INDEX certificate_ending on certificate (expires_at) where revoked_at is null and replaced_at is null and expired_said_at is null;

CREATE INDEX certificate_of_agent on certificate (agent_id, id);

CREATE INDEX delivery_cancelled on delivery (webhook_id, id) where state = 'cancelled';

CREATE INDEX delivery_claimed on delivery (claimed_by) where claimed_by is not null;

CREATE INDEX delivery_collapsible on delivery (webhook_id, collapse_key) where collapse_key is not null and state = 'waiting';

CREATE INDEX delivery_due on delivery (webhook_id, due_at) where state = 'waiting' and claimed_by is null and is_blocked = 0;

CREATE INDEX delivery_failed on delivery (webhook_id, id) where state = 'failed';

CREATE INDEX delivery_of_replay on delivery (replay_id, state) where replay_id is not null;

CREATE INDEX delivery_of_webhook on delivery (webhook_id, id, event_type);

CREATE INDEX delivery_ordered on delivery (webhook_id, order_key, order_position) where order_key is not null and state = 'waiting';

CREATE UNIQUE INDEX delivery_planned_once on delivery (event_id, webhook_id) where cause = 'event';

CREATE INDEX delivery_resent on delivery (event_id, webhook_id) where cause = 'resend';

CREATE INDEX delivery_tested on delivery (event_id) where cause = 'test';

CREATE INDEX delivery_waiting on delivery (webhook_id, id) where state = 'waiting';

CREATE INDEX event_said on event (position, id) where state = 'said' and is_test = 0;

CREATE INDEX event_shown on event (account_id, id) where state = 'said' and is_test = 0;

CREATE INDEX intent_path_of_intent on intent_path (intent_id);

CREATE INDEX job_due on job (next_run_at) where next_run_at is not null and removed_at is null;

CREATE INDEX job_of_agent on job (agent_id, id) where removed_at is null;

CREATE INDEX leftover_due on leftover (agent_id, due_at);

CREATE UNIQUE INDEX leftover_lease on leftover (lease) where lease is not null;

CREATE INDEX moved_file_content on moved_file (job_id, sha256) where sha256 is not null;

CREATE INDEX partial_of_user on partial (user_id, folder_hash);

CREATE INDEX replay_of_webhook on replay (webhook_id, id);

CREATE INDEX replay_open on replay (id) where is_open = 1;

CREATE UNIQUE INDEX replay_running on replay (webhook_id) where state = 'running';

CREATE UNIQUE INDEX run_lease on run (lease) where lease is not null;

CREATE INDEX run_listing on run (agent_id, due_at) where status = 'running' and phase = 'listing';

CREATE INDEX run_of_job on run (job_id, id);

CREATE INDEX run_open on run (id) where status = 'running';

CREATE UNIQUE INDEX run_scheduled on run (job_id, scheduled_for) where scheduled_for is not null;

CREATE INDEX tally_by_age on tally (grain, at);

CREATE INDEX transfer_due on transfer (agent_id, due_at, id) where status = 'queued' and is_foreign = 0;

CREATE INDEX transfer_held on transfer (agent_id, id) where status = 'running';

CREATE UNIQUE INDEX transfer_lease on transfer (lease) where lease is not null;

CREATE INDEX transfer_of_agent on transfer (agent_id, id);

CREATE INDEX transfer_of_run on transfer (run_id, status) where run_id is not null;

CREATE INDEX transfer_of_status on transfer (status, id);

CREATE INDEX transfer_stopping on transfer (agent_id) where status = 'running' and cancel_asked_at is not null;

CREATE INDEX webhook_of_account on webhook (account_id, id) where removed_at is null;

CREATE INDEX webhook_removed on webhook (id) where removed_at is not null;
