-- Times are ms since 1970 UTC, sizes bytes, yes/no 0 and 1, lists and records JSON text.
-- Where rows come by the thousand, a check spells out its words with `or`: for `in` with more than two, SQLite builds and
-- drops a table at every row (measured: 3 µs a check, 20 µs of the 75 that a delivery cost the writer).

create table account (
  id         text    primary key,
  slug       text    not null unique,
  name       text    not null,
  plan       text    not null,
  created_at integer not null,
  updated_at integer not null
) strict;

-- Apart from the account: every upload writes here.
create table account_usage (
  account_id text    primary key,
  bytes      integer not null,
  files      integer not null
) strict;

create table "user" (
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

create table user_key (
  id          text    primary key,
  user_id     text    not null references "user" (id) on delete cascade,
  position    integer not null,
  type        text    not null,
  blob        text    not null,
  comment     text    not null,
  fingerprint text    not null,
  unique (user_id, position)
) strict;

create table api_key (
  id           text    primary key,
  account_id   text    not null references account (id),
  name         text    not null,
  token_hash   text    not null unique,
  scopes       text    not null check (json_valid(scopes)),
  hourly_limit integer not null check (hourly_limit > 0),
  created_at   integer not null,
  revoked_at   integer
) strict;
-- Which keys has this account, oldest first?
create index api_key_of_account on api_key (account_id, id);

create table admin_token (
  id         text    primary key,
  name       text    not null,
  token_hash text    not null unique,
  created_at integer not null,
  revoked_at integer
) strict;

create table audit (
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
-- What was done in this account, newest first?
create index audit_of_account on audit (account_id, id);

-- A removed webhook keeps its row, hidden from everybody, until its waiting deliveries are cancelled.
create table webhook (
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
-- Which webhooks has this account?
create index webhook_of_account on webhook (account_id, id) where removed_at is null;
-- Whose waiting deliveries are still to be cancelled?
create index webhook_removed on webhook (id) where removed_at is not null;

-- One row. Whoever changes a webhook raises the version first, so that copies of the set can be checked.
create table webhook_set (
  id      integer primary key check (id = 1),
  version integer not null
) strict;
insert into webhook_set (id, version) values (1, 1);

create table event (
  id          text    primary key,
  type        text    not null,
  account_id  text,
  occurred_at integer not null,
  data        text    not null check (json_valid(data)),
  state       text    not null check (state = 'held' or state = 'said' or state = 'void'),
  is_test     integer not null check (is_test in (0, 1)),
  check (is_test = 0 or state = 'said')
) strict;
-- Which events of this account may be shown, newest first? Also counts those of all accounts.
create index event_shown on event (account_id, id) where state = 'said' and is_test = 0;

create table delivery (
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
-- Which attempts were made at this webhook, newest first?
create index attempt_of_webhook on attempt (webhook_id, started_at);

-- Open intents only: closing or undoing one removes it, and the event's state says what became of it.
create table intent (
  id          text    primary key,
  node        text    not null,
  event_id    text    not null unique,
  account_id  text    not null,
  deed        text    not null check (json_valid(deed)),
  usage_bytes integer not null,
  usage_files integer not null,
  created_at  integer not null
) strict;

-- The paths that open intents hold, by SHA-256: a path may be longer than an index entry. At most one intent a path.
create table intent_path (
  path_hash  text    primary key,
  intent_id  text    not null,
  path_hex   text    not null,  -- the bytes in hexadecimal, to find what lies below a folder
  is_subtree integer not null check (is_subtree in (0, 1))
) strict;
-- Which paths does this intent give free?
create index intent_path_of_intent on intent_path (intent_id);

create table partial (
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
-- Which partials has this user in this folder?
create index partial_of_user on partial (user_id, folder_hash);

create table node (
  id         text    primary key,
  started_at integer not null,
  beat_at    integer not null
) strict;
