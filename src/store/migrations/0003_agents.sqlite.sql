-- Bytes that the files of an account may take together; null: no bound.
alter table account add column quota_bytes integer check (quota_bytes >= 0);

-- Our own certificate authority; the private key is sealed under the master key. One of a database.
create table authority (
  id           text    primary key,
  is_current   integer not null check (is_current = 1),
  certificate  text    not null,
  sealed_key   text    not null,
  created_at   integer not null
) strict;
create unique index authority_current on authority (is_current);

-- Lets agents in.
create table enrolment_token (
  id          text    primary key,
  name        text    not null,
  token_hash  text    not null unique,
  uses_max    integer not null,
  uses        integer not null,
  created_at  integer not null,
  expires_at  integer not null,
  revoked_at  integer
) strict;

create table agent (
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
-- Is this key in use? An enrolment that is repeated finds its agent by it.
create unique index agent_public_key on agent (public_key_hash) where public_key_hash is not null;
-- Which run inside servers?
create index agent_builtin on agent (id) where is_builtin = 1;
-- Who has not been heard of for too long?
create index agent_silent on agent (last_seen_at) where status <> 'offline' and revoked_at is null;

create table certificate (
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
-- Which certificates has this agent, newest first?
create index certificate_of_agent on certificate (agent_id, id);
-- Which end soon, and nobody was told yet?
create index certificate_ending on certificate (expires_at) where revoked_at is null and replaced_at is null and expired_said_at is null;

-- Connections to other people's servers; credentials are sealed under the master key.
create table remote (
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

create table transfer (
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
-- What may be handed to this agent, first come first?
create index transfer_due on transfer (agent_id, due_at, id) where status = 'queued' and is_foreign = 0;
-- What does this agent hold? And which transfer is this lease of?
create index transfer_held on transfer (agent_id, id) where status = 'running';
create unique index transfer_lease on transfer (lease) where lease is not null;
-- Whose agent is to be told to stop one?
create index transfer_stopping on transfer (agent_id) where status = 'running' and cancel_asked_at is not null;
-- What belongs to this run, and how is it?
create index transfer_of_run on transfer (run_id, status) where run_id is not null;
-- What did this agent move, newest first?
create index transfer_of_agent on transfer (agent_id, id);
-- Which are in this state, newest first?
create index transfer_of_status on transfer (status, id);

-- What ended transfers may have left half done at their destinations, until their agents have discarded it.
create table leftover (
  transfer_id  text    primary key,
  agent_id     text    not null,
  lease        text,
  tries        integer not null,
  due_at       integer not null
) strict;
-- What is due for this agent?
create index leftover_due on leftover (agent_id, due_at);
create unique index leftover_lease on leftover (lease) where lease is not null;

create table job (
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
-- What is due?
create index job_due on job (next_run_at) where next_run_at is not null and removed_at is null;
-- Which jobs has this agent?
create index job_of_agent on job (agent_id, id) where removed_at is null;

create table run (
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
-- One run for each moment of a schedule, whatever nodes there are.
create unique index run_scheduled on run (job_id, scheduled_for) where scheduled_for is not null;
-- Which runs had this job, newest first?
create index run_of_job on run (job_id, id);
-- Which are under way?
create index run_open on run (id) where status = 'running';
-- Whose listing waits for this agent?
create index run_listing on run (agent_id, due_at) where status = 'running' and phase = 'listing';
create unique index run_lease on run (lease) where lease is not null;

-- Files that a job has moved, so that it leaves them alone: one row a path, as it was when it was last moved.
create table moved_file (
  job_id       text    not null,
  path_hash    text    not null,  -- SHA-256 of the path, hex: paths may be longer than an index takes
  size         integer not null,
  modified_at  integer,
  sha256       text,
  transfer_id  text    not null,
  moved_at     integer not null,
  primary key (job_id, path_hash)
) strict;
-- Was this content moved before, under whatever name?
create index moved_file_content on moved_file (job_id, sha256) where sha256 is not null;

drop index delivery_of_type;
drop index delivery_of_webhook;
-- What was sent to this webhook, newest first? And what of it is of this type? One index that grows at as many places as there are webhooks is enough.
create index delivery_of_webhook on delivery (webhook_id, id, event_type);
