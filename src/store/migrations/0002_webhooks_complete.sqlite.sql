-- Egress of one account; null: what the server's setting says.
alter table account add column egress_allow text check (json_valid(egress_allow));

alter table webhook add column filter text check (json_valid(filter));
alter table webhook add column ordering text not null default 'none' check (ordering in ('none', 'webhook', 'key'));
-- What shapes its requests, without secrets; those are one sealed text.
alter table webhook add column options text not null default '{}' check (json_valid(options));
alter table webhook add column sealed_options text;
-- The secret before the present one, and until when it counts.
alter table webhook add column sealed_secret_before text;
alter table webhook add column secret_before_until integer;
-- Copied from the account, so that an attempt needs no second row.
alter table webhook add column egress_allow text check (json_valid(egress_allow));
-- Since when it is not active, and the delivery that turned it off.
alter table webhook add column off_since integer;
alter table webhook add column failed_delivery_id text;
-- Why it was turned off, where not its owner did it.
alter table webhook add column inactive_reason text check (inactive_reason is null or state = 'inactive');

-- Where it stands among all that was said: grows in the order of commits, null until then.
alter table event add column position integer;
update event set position = 0 where state = 'said';
-- One row: the position of the last event that was said. Kept apart, because events are purged.
create table said_position (
  id       integer primary key check (id = 1),
  position integer not null
) strict;
insert into said_position (id, position) values (1, 0);
-- What was said after this position, in order?
create index event_said on event (position, id) where state = 'said' and is_test = 0;

-- Headers that are fixed at planning like the body (CloudEvents in binary mode).
alter table delivery add column headers text check (json_valid(headers));
-- Deliveries of one webhook with the same key are sent one after the other, in the order of their positions; a later one is
-- blocked until all before it have ended.
alter table delivery add column order_key text;
alter table delivery add column order_position integer;
alter table delivery add column is_blocked integer not null default 0 check (is_blocked in (0, 1));
-- Of those with the same key only the newest is worth sending.
alter table delivery add column collapse_key text;
alter table delivery add column replay_id text;
drop index delivery_due;
-- What is due at this webhook, oldest due first? And which webhooks have anything that waits?
create index delivery_due on delivery (webhook_id, due_at) where state = 'waiting' and claimed_by is null and is_blocked = 0;
-- What of this type was sent to this webhook, newest first?
create index delivery_of_type on delivery (webhook_id, event_type, id);
-- What waits for this webhook, newest first?
create index delivery_waiting on delivery (webhook_id, id) where state = 'waiting';
-- What was cancelled at this webhook? As few among many as what failed.
create index delivery_cancelled on delivery (webhook_id, id) where state = 'cancelled';
-- What waits with this key, first come first?
create index delivery_ordered on delivery (webhook_id, order_key, order_position) where order_key is not null and state = 'waiting';
-- What does this one replace?
create index delivery_collapsible on delivery (webhook_id, collapse_key) where collapse_key is not null and state = 'waiting';
-- How far are the deliveries of this replay?
create index delivery_of_replay on delivery (replay_id, state) where replay_id is not null;
-- Was this event sent again to this webhook? Few among very many; `delivery_planned_once` has the others.
create index delivery_resent on delivery (event_id, webhook_id) where cause = 'resend';
-- Is this sample still needed?
create index delivery_tested on delivery (event_id) where cause = 'test';

-- Attempts by webhook and minute, and by webhook and hour: what monitoring reads instead of attempts. `part` spreads writers.
create table tally (
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
-- Which of them are old?
create index tally_by_age on tally (grain, at);

-- Deliveries that ended and are still stored, by state: totals of lists.
create table delivery_total (
  webhook_id text    not null,
  part       integer not null,
  delivered  integer not null,
  failed     integer not null,
  cancelled  integer not null,
  primary key (webhook_id, part)
) strict, without rowid;
insert into delivery_total (webhook_id, part, delivered, failed, cancelled)
select webhook_id, 0, sum(state = 'delivered'), sum(state = 'failed'), sum(state = 'cancelled')
from delivery where state in ('delivered', 'failed', 'cancelled') group by webhook_id;

-- Stored events sent again, page by page. `cursor` has moved on with the deliveries that a page planned.
create table replay (
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
-- Which replays has this webhook, newest first?
create index replay_of_webhook on replay (webhook_id, id);
-- One at a time for a webhook.
create unique index replay_running on replay (webhook_id) where state = 'running';
-- Which are still to be carried on?
create index replay_open on replay (id) where is_open = 1;

-- Conditions that somebody should look at. One open at a time of a kind and subject.
create table alert (
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
-- Which alerts has this subject open? One of a kind.
create unique index alert_open on alert (subject_id, kind) where cleared_at is null;
-- Which mails are to be sent?
create index alert_mail on alert (mail_due_at) where mail_due_at is not null;
-- Which alerts had this subject, newest first?
create index alert_of_subject on alert (subject_id, id);
-- Which had this account?
create index alert_of_account on alert (account_id, id);
