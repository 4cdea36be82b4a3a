CREATE TABLE account (
  id         text    primary key,
  slug       text    not null unique,
  name       text    not null,
  plan       text    not null,
  created_at integer not null,
  updated_at integer not null
) strict;

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
  last_error       text,
  check ((state = 'waiting') = (due_at is not null)),
  check (claimed_by is null or state = 'waiting'),
  check ((state in ('held', 'waiting')) = (settled_at is null)),
  check (state <> 'held' or attempts = 0),
  check (state <> 'delivered' or (attempts > 0 and last_error is null))
) strict;

CREATE TABLE event (
  id          text    primary key,
  type        text    not null,
  account_id  text,
  occurred_at integer not null,
  data        text    not null check (json_valid(data)),
  state       text    not null check (state = 'held' or state = 'said' or state = 'void'),
  is_test     integer not null check (is_test in (0, 1)),
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

CREATE TABLE schema_version (version integer primary key, applied_at bigint not null);

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
  removed_at           integer,
  check ((state = 'failed') = (failed_reason is not null))
) strict;

CREATE TABLE webhook_set (
  id      integer primary key check (id = 1),
  version integer not null
) strict;

CREATE INDEX api_key_of_account on api_key (account_id, id);

CREATE INDEX attempt_of_webhook on attempt (webhook_id, started_at);

CREATE INDEX audit_of_account on audit (account_id, id);

CREATE INDEX delivery_claimed on delivery (claimed_by) where claimed_by is not null;

CREATE INDEX delivery_due on delivery (webhook_id, due_at) where state = 'waiting' and claimed_by is null;

CREATE INDEX delivery_failed on delivery (webhook_id, id) where state = 'failed';

CREATE INDEX delivery_of_webhook on delivery (webhook_id, id);

CREATE UNIQUE INDEX delivery_planned_once on delivery (event_id, webhook_id) where cause = 'event';

CREATE INDEX event_shown on event (account_id, id) where state = 'said' and is_test = 0;

CREATE INDEX intent_path_of_intent on intent_path (intent_id);

CREATE INDEX partial_of_user on partial (user_id, folder_hash);

CREATE INDEX webhook_of_account on webhook (account_id, id) where removed_at is null;

CREATE INDEX webhook_removed on webhook (id) where removed_at is not null;
