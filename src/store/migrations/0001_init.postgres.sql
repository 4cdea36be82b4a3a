-- Times are ms since 1970 UTC, sizes bytes, yes/no 0 and 1, lists and records JSON text: the same as in SQLite, so that what is cold
-- is written once. Ids compare by their bytes, whatever the collation of the database.

create table account (
  id         text collate "C" primary key,
  slug       text    not null unique,
  name       text    not null,
  plan       text    not null,
  created_at bigint  not null,
  updated_at bigint  not null
);

-- Apart from the account: every upload writes here.
create table account_usage (
  account_id text collate "C" primary key,
  bytes      bigint  not null,
  files      bigint  not null
);

create table "user" (
  id            text collate "C" primary key,
  account_id    text collate "C" not null references account (id),
  name          text    not null,
  password_hash text,
  home          text    not null,
  permissions   text    not null,
  disabled      integer not null check (disabled in (0, 1)),
  created_at    bigint  not null,
  updated_at    bigint  not null,
  unique (account_id, name)
);

create table user_key (
  id          text collate "C" primary key,
  user_id     text collate "C" not null references "user" (id) on delete cascade,
  position    integer not null,
  type        text    not null,
  blob        text    not null,
  comment     text    not null,
  fingerprint text    not null,
  unique (user_id, position)
);

create table api_key (
  id           text collate "C" primary key,
  account_id   text collate "C" not null references account (id),
  name         text    not null,
  token_hash   text    not null unique,
  scopes       text    not null,
  hourly_limit integer not null check (hourly_limit > 0),
  created_at   bigint  not null,
  revoked_at   bigint
);
-- Which keys has this account, oldest first?
create index api_key_of_account on api_key (account_id, id);

create table admin_token (
  id         text collate "C" primary key,
  name       text    not null,
  token_hash text    not null unique,
  created_at bigint  not null,
  revoked_at bigint
);

create table audit (
  id         text collate "C" primary key,
  at         bigint  not null,
  account_id text,
  actor      text,
  address    text,
  door       text    not null check (door in ('sftp', 'ftp', 'api', 'cli', 'server')),
  action     text    not null,
  target     text,
  result     text    not null,
  detail     text
);
-- What was done in this account, newest first?
create index audit_of_account on audit (account_id, id);

-- A removed webhook keeps its row, hidden from everybody, until its waiting deliveries are cancelled.
create table webhook (
  id                   text collate "C" primary key,
  account_id           text collate "C" references account (id),
  name                 text    not null,
  url                  text    not null,
  events               text    not null,
  dialect              text    not null,
  sealed_secret        text,
  retry_delays_seconds text,
  state                text    not null check (state in ('active', 'inactive', 'failed')),
  failed_reason        text,
  created_at           bigint  not null,
  updated_at           bigint  not null,
  removed_at           bigint ,
  check ((state = 'failed') = (failed_reason is not null))
);
-- Which webhooks has this account?
create index webhook_of_account on webhook (account_id, id) where removed_at is null;
-- Whose waiting deliveries are still to be cancelled?
create index webhook_removed on webhook (id) where removed_at is not null;

-- One row. Whoever changes a webhook raises the version first, so that copies of the set can be checked.
create table webhook_set (
  id      integer primary key check (id = 1),
  version bigint  not null
);
insert into webhook_set (id, version) values (1, 1);

create table event (
  id          text collate "C" primary key,
  type        text    not null,
  account_id  text,
  occurred_at bigint  not null,
  data        text    not null,
  state       text    not null check (state in ('held', 'said', 'void')),
  is_test     integer not null check (is_test in (0, 1)),
  check (is_test = 0 or state = 'said')
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
-- Which events of this account may be shown, newest first? Also counts those of all accounts.
create index event_shown on event (account_id, id) where state = 'said' and is_test = 0;

create table delivery (
  id               text collate "C" primary key,
  event_id         text collate "C" not null,
  event_type       text    not null,
  webhook_id       text collate "C" not null,
  cause            text    not null check (cause in ('event', 'resend', 'test')),
  dialect          text    not null,
  body             text    not null,
  state            text    not null check (state in ('held', 'waiting', 'delivered', 'failed', 'cancelled')),
  due_at           bigint ,  -- while it waits, also when its webhook is off: it resumes with this
  claimed_by       text,     -- the node whose lane has it
  attempts         integer not null check (attempts >= 0),
  created_at       bigint  not null,
  settled_at       bigint ,
  last_status_code integer,
  last_error       text,
  check ((state = 'waiting') = (due_at is not null)),
  check (claimed_by is null or state = 'waiting'),
  check ((state in ('delivered', 'failed', 'cancelled')) = (settled_at is not null)),
  check (state <> 'held' or attempts = 0),
  check (state <> 'delivered' or (attempts > 0 and last_error is null))
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
-- Planning may run twice; it plans once. Resends are free to repeat. Also: which deliveries has this event?
create unique index delivery_planned_once on delivery (event_id, webhook_id) where cause = 'event';
-- What is due at this webhook, oldest due first? And which webhooks have anything that waits?
create index delivery_due on delivery (webhook_id, due_at) where state = 'waiting' and claimed_by is null;
-- What does this node hold?
create index delivery_claimed on delivery (claimed_by) where claimed_by is not null;
-- What was sent to this webhook, newest first?
create index delivery_of_webhook on delivery (webhook_id, id);
-- What failed at this webhook? Few among very many, and the first thing that people ask.
create index delivery_failed on delivery (webhook_id, id) where state = 'failed';

-- One settled POST. Numbers of a delivery are 1, 2, 3 without gaps: settling names the number before.
create table attempt (
  delivery_id      text collate "C" not null,
  number           integer not null check (number > 0),
  webhook_id       text collate "C" not null,
  started_at       bigint  not null,
  duration_ms      double precision    not null check (duration_ms >= 0),
  status_code      integer,
  error            text,
  response_headers text,
  response_body    text,
  primary key (delivery_id, number),
  check (status_code is not null or error is not null)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
-- Which attempts were made at this webhook, newest first?
create index attempt_of_webhook on attempt (webhook_id, started_at);

-- Open intents only: closing or undoing one removes it, and the event's state says what became of it.
create table intent (
  id          text collate "C" primary key,
  node        text    not null,
  event_id    text collate "C" not null unique,
  account_id  text collate "C" not null,
  deed        text    not null,
  usage_bytes bigint  not null,
  usage_files bigint  not null,
  created_at  bigint  not null
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- The paths that open intents hold, by SHA-256: a path may be longer than an index entry. At most one intent a path.
create table intent_path (
  path_hash  text collate "C" primary key,
  intent_id  text collate "C" not null,
  path_hex   text collate "C" not null,  -- the bytes in hexadecimal, to find what lies below a folder
  is_subtree integer not null check (is_subtree in (0, 1))
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
-- Which paths does this intent give free?
create index intent_path_of_intent on intent_path (intent_id);

create table partial (
  id           text collate "C" primary key,
  account_id   text collate "C" not null,
  user_id      text collate "C" not null,
  node         text,
  path         text    not null,
  folder_hash  text    not null,  -- SHA-256 of the folder's bytes
  "temporary"  text    not null,
  identity     text    not null,
  prefix_bytes bigint  not null check (prefix_bytes >= 0),
  started_at   bigint  not null,
  updated_at   bigint  not null
);
-- Which partials has this user in this folder?
create index partial_of_user on partial (user_id, folder_hash);

create table node (
  id         text collate "C" primary key,
  started_at bigint  not null,
  beat_at    bigint  not null
);
