-- columns
account.id text collate "C" not null
account.slug text not null
account.name text not null
account.plan text not null
account.created_at bigint not null
account.updated_at bigint not null
account.egress_allow text
account.quota_bytes bigint
account_usage.account_id text collate "C" not null
account_usage.bytes bigint not null
account_usage.files bigint not null
admin_token.id text collate "C" not null
admin_token.name text not null
admin_token.token_hash text not null
admin_token.created_at bigint not null
admin_token.revoked_at bigint
agent.id text collate "C" not null
agent.name text not null
agent.hostname text not null
agent.os text not null
agent.version text
agent.status text not null
agent.is_builtin integer not null
agent.key_hash text not null
agent.public_key_hash text
agent.ip_address text
agent.last_seen_at bigint not null
agent.stream_node text
agent.stream_lost_at bigint
agent.concurrency integer not null
agent.load double precision
agent.memory bigint
agent.created_at bigint not null
agent.updated_at bigint not null
agent.revoked_at bigint
alert.id text collate "C" not null
alert.kind text collate "C" not null
alert.subject_id text collate "C" not null
alert.account_id text
alert.message text not null
alert.raised_at bigint not null
alert.cleared_at bigint
alert.mail_raised_at bigint
alert.mail_cleared_at bigint
alert.mail_tries integer not null
alert.mail_due_at bigint
api_key.id text collate "C" not null
api_key.account_id text collate "C" not null
api_key.name text not null
api_key.token_hash text not null
api_key.scopes text not null
api_key.hourly_limit integer not null
api_key.created_at bigint not null
api_key.revoked_at bigint
attempt.delivery_id text collate "C" not null
attempt.number integer not null
attempt.webhook_id text collate "C" not null
attempt.started_at bigint not null
attempt.duration_ms double precision not null
attempt.status_code integer
attempt.error text
attempt.response_headers text
attempt.response_body text
audit.id text collate "C" not null
audit.at bigint not null
audit.account_id text
audit.actor text
audit.address text
audit.door text not null
audit.action text not null
audit.target text
audit.result text not null
audit.detail text
authority.id text collate "C" not null
authority.is_current integer not null
authority.certificate text not null
authority.sealed_key text not null
authority.created_at bigint not null
certificate.id text collate "C" not null
certificate.agent_id text collate "C" not null
certificate.serial text not null
certificate.fingerprint text not null
certificate.issued_at bigint not null
certificate.expires_at bigint not null
certificate.revoked_at bigint
certificate.replaced_at bigint
certificate.expiring_said_at bigint
certificate.expired_said_at bigint
delivery.id text collate "C" not null
delivery.event_id text collate "C" not null
delivery.event_type text not null
delivery.webhook_id text collate "C" not null
delivery.cause text not null
delivery.dialect text not null
delivery.body text not null
delivery.state text not null
delivery.due_at bigint
delivery.claimed_by text
delivery.attempts integer not null
delivery.created_at bigint not null
delivery.settled_at bigint
delivery.last_status_code integer
delivery.last_error text
delivery.headers text
delivery.order_key text collate "C"
delivery.order_position bigint
delivery.is_blocked integer not null
delivery.collapse_key text collate "C"
delivery.replay_id text collate "C"
delivery_total.webhook_id text collate "C" not null
delivery_total.part integer not null
delivery_total.delivered bigint not null
delivery_total.failed bigint not null
delivery_total.cancelled bigint not null
enrolment_token.id text collate "C" not null
enrolment_token.name text not null
enrolment_token.token_hash text not null
enrolment_token.uses_max integer not null
enrolment_token.uses integer not null
enrolment_token.created_at bigint not null
enrolment_token.expires_at bigint not null
enrolment_token.revoked_at bigint
event.id text collate "C" not null
event.type text not null
event.account_id text
event.occurred_at bigint not null
event.data text not null
event.state text not null
event.is_test integer not null
event.position bigint
intent.id text collate "C" not null
intent.node text not null
intent.event_id text collate "C" not null
intent.account_id text collate "C" not null
intent.deed text not null
intent.usage_bytes bigint not null
intent.usage_files bigint not null
intent.created_at bigint not null
intent_path.path_hash text collate "C" not null
intent_path.intent_id text collate "C" not null
intent_path.path_hex text collate "C" not null
intent_path.is_subtree integer not null
job.id text collate "C" not null
job.agent_id text collate "C" not null
job.name text not null
job.remote_id text collate "C"
job.source_path text not null
job.destination_path text not null
job.schedule text not null
job.protocol text not null
job.direction text not null
job.is_enabled integer not null
job.options text not null
job.next_run_at bigint
job.last_run_at bigint
job.created_at bigint not null
job.updated_at bigint not null
job.removed_at bigint
leftover.transfer_id text collate "C" not null
leftover.agent_id text not null
leftover.lease text
leftover.tries integer not null
leftover.due_at bigint not null
moved_file.job_id text collate "C" not null
moved_file.path_hash text not null
moved_file.size bigint not null
moved_file.modified_at bigint
moved_file.sha256 text
moved_file.transfer_id text collate "C" not null
moved_file.moved_at bigint not null
node.id text collate "C" not null
node.started_at bigint not null
node.beat_at bigint not null
partial.id text collate "C" not null
partial.account_id text collate "C" not null
partial.user_id text collate "C" not null
partial.node text
partial.path text not null
partial.folder_hash text not null
partial.temporary text not null
partial.identity text not null
partial.prefix_bytes bigint not null
partial.started_at bigint not null
partial.updated_at bigint not null
remote.id text collate "C" not null
remote.name text not null
remote.protocol text not null
remote.host text not null
remote.port integer not null
remote.username text
remote.options text not null
remote.sealed_secrets text
remote.created_at bigint not null
remote.updated_at bigint not null
replay.id text collate "C" not null
replay.webhook_id text collate "C" not null
replay.account_id text
replay.request text not null
replay.state text not null
replay.is_open integer not null
replay.cursor text
replay.matched bigint not null
replay.is_counted integer not null
replay.planned bigint not null
replay.node text
replay.created_at bigint not null
replay.updated_at bigint not null
replay.ended_at bigint
run.id text collate "C" not null
run.job_id text collate "C" not null
run.agent_id text collate "C" not null
run.cause text not null
run.scheduled_for bigint
run.status text not null
run.phase text
run.lease text
run.listings integer not null
run.due_at bigint not null
run.cancel_asked_at bigint
run.transfers_total integer not null
run.transfers_completed integer not null
run.transfers_failed integer not null
run.bytes_transferred bigint not null
run.error_message text
run.started_at bigint not null
run.completed_at bigint
said_base.id integer not null
said_base.base bigint not null
schema_version.version integer not null
schema_version.applied_at bigint not null
tally.webhook_id text collate "C" not null
tally.grain text collate "C" not null
tally.at bigint not null
tally.part integer not null
tally.attempts bigint not null
tally.failures bigint not null
tally.unauthorized bigint not null
tally.answered bigint not null
tally.slow bigint not null
tally.duration_ms double precision not null
tally.took_0 bigint not null
tally.took_1 bigint not null
tally.took_2 bigint not null
tally.took_3 bigint not null
tally.took_4 bigint not null
tally.took_5 bigint not null
tally.took_6 bigint not null
tally.took_7 bigint not null
tally.took_8 bigint not null
tally.took_9 bigint not null
tally.took_10 bigint not null
tally.delivered bigint not null
tally.failed bigint not null
transfer.id text collate "C" not null
transfer.agent_id text collate "C" not null
transfer.run_id text collate "C"
transfer.remote_id text collate "C"
transfer.source_url text not null
transfer.destination_path text not null
transfer.direction text not null
transfer.protocol text not null
transfer.is_foreign integer not null
transfer.policy text not null
transfer.status text not null
transfer.size bigint
transfer.bytes_transferred bigint not null
transfer.progress integer not null
transfer.speed bigint
transfer.said_tenth integer not null
transfer.error text
transfer.error_code text
transfer.retry_count integer not null
transfer.losses integer not null
transfer.sha256 text
transfer.lease text
transfer.due_at bigint not null
transfer.cancel_asked_at bigint
transfer.arrived_at bigint
transfer.created_at bigint not null
transfer.started_at bigint
transfer.completed_at bigint
user.id text collate "C" not null
user.account_id text collate "C" not null
user.name text not null
user.password_hash text
user.home text not null
user.permissions text not null
user.disabled integer not null
user.created_at bigint not null
user.updated_at bigint not null
user_key.id text collate "C" not null
user_key.user_id text collate "C" not null
user_key.position integer not null
user_key.type text not null
user_key.blob text not null
user_key.comment text not null
user_key.fingerprint text not null
webhook.id text collate "C" not null
webhook.account_id text collate "C"
webhook.name text not null
webhook.url text not null
webhook.events text not null
webhook.dialect text not null
webhook.sealed_secret text
webhook.retry_delays_seconds text
webhook.state text not null
webhook.failed_reason text
webhook.created_at bigint not null
webhook.updated_at bigint not null
webhook.removed_at bigint
webhook.filter text
webhook.ordering text not null
webhook.options text not null
webhook.sealed_options text
webhook.sealed_secret_before text
webhook.secret_before_until bigint
webhook.egress_allow text
webhook.off_since bigint
webhook.failed_delivery_id text
webhook.inactive_reason text
webhook_set.id integer not null
webhook_set.version bigint not null

-- constraints
"user" CHECK ((disabled = ANY (ARRAY[0, 1])))
"user" FOREIGN KEY (account_id) REFERENCES account(id)
"user" PRIMARY KEY (id)
"user" UNIQUE (account_id, name)
account CHECK ((quota_bytes >= 0))
account PRIMARY KEY (id)
account UNIQUE (slug)
account_usage PRIMARY KEY (account_id)
admin_token PRIMARY KEY (id)
admin_token UNIQUE (token_hash)
agent CHECK ((is_builtin = ANY (ARRAY[0, 1])))
agent CHECK ((os = ANY (ARRAY['linux'::text, 'windows'::text, 'darwin'::text])))
agent CHECK ((status = ANY (ARRAY['online'::text, 'offline'::text, 'busy'::text, 'error'::text])))
agent PRIMARY KEY (id)
agent UNIQUE (key_hash)
alert PRIMARY KEY (id)
api_key CHECK ((hourly_limit > 0))
api_key FOREIGN KEY (account_id) REFERENCES account(id)
api_key PRIMARY KEY (id)
api_key UNIQUE (token_hash)
attempt CHECK (((status_code IS NOT NULL) OR (error IS NOT NULL)))
attempt CHECK ((duration_ms >= (0)::double precision))
attempt CHECK ((number > 0))
attempt PRIMARY KEY (delivery_id, number)
audit CHECK ((door = ANY (ARRAY['sftp'::text, 'ftp'::text, 'api'::text, 'cli'::text, 'server'::text])))
audit PRIMARY KEY (id)
authority CHECK ((is_current = 1))
authority PRIMARY KEY (id)
certificate PRIMARY KEY (id)
certificate UNIQUE (fingerprint)
certificate UNIQUE (serial)
delivery CHECK (((claimed_by IS NULL) OR (state = 'waiting'::text)))
delivery CHECK (((state <> 'delivered'::text) OR ((attempts > 0) AND (last_error IS NULL))))
delivery CHECK (((state <> 'held'::text) OR (attempts = 0)))
delivery CHECK (((state = 'waiting'::text) = (due_at IS NOT NULL)))
delivery CHECK (((state = ANY (ARRAY['delivered'::text, 'failed'::text, 'cancelled'::text])) = (settled_at IS NOT NULL)))
delivery CHECK ((attempts >= 0))
delivery CHECK ((cause = ANY (ARRAY['event'::text, 'resend'::text, 'test'::text])))
delivery CHECK ((is_blocked = ANY (ARRAY[0, 1])))
delivery CHECK ((state = ANY (ARRAY['held'::text, 'waiting'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
delivery PRIMARY KEY (id)
delivery_total PRIMARY KEY (webhook_id, part)
enrolment_token PRIMARY KEY (id)
enrolment_token UNIQUE (token_hash)
event CHECK (((is_test = 0) OR (state = 'said'::text)))
event CHECK ((is_test = ANY (ARRAY[0, 1])))
event CHECK ((state = ANY (ARRAY['held'::text, 'said'::text, 'void'::text])))
event PRIMARY KEY (id)
intent PRIMARY KEY (id)
intent UNIQUE (event_id)
intent_path CHECK ((is_subtree = ANY (ARRAY[0, 1])))
intent_path PRIMARY KEY (path_hash)
job CHECK ((direction = ANY (ARRAY['pull'::text, 'push'::text])))
job CHECK ((is_enabled = ANY (ARRAY[0, 1])))
job PRIMARY KEY (id)
leftover PRIMARY KEY (transfer_id)
moved_file PRIMARY KEY (job_id, path_hash)
node PRIMARY KEY (id)
partial CHECK ((prefix_bytes >= 0))
partial PRIMARY KEY (id)
remote CHECK ((protocol = ANY (ARRAY['sftp'::text, 'ftp'::text, 'ftps'::text, 'http'::text, 'https'::text, 's3'::text])))
remote PRIMARY KEY (id)
remote UNIQUE (name)
replay CHECK ((is_counted = ANY (ARRAY[0, 1])))
replay CHECK ((is_open = ANY (ARRAY[0, 1])))
replay CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text])))
replay PRIMARY KEY (id)
run CHECK ((cause = ANY (ARRAY['schedule'::text, 'missed'::text, 'manual'::text, 'agent'::text])))
run CHECK ((phase = ANY (ARRAY['listing'::text, 'moving'::text])))
run CHECK ((status = ANY (ARRAY['running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text, 'skipped'::text])))
run PRIMARY KEY (id)
said_base CHECK ((id = 1))
said_base PRIMARY KEY (id)
schema_version PRIMARY KEY (version)
tally CHECK (((grain = 'minute'::text) OR (grain = 'hour'::text)))
tally PRIMARY KEY (webhook_id, grain, at, part)
transfer CHECK (((progress >= 0) AND (progress <= 100)))
transfer CHECK (((said_tenth >= 0) AND (said_tenth <= 10)))
transfer CHECK ((direction = ANY (ARRAY['pull'::text, 'push'::text])))
transfer CHECK ((is_foreign = ANY (ARRAY[0, 1])))
transfer CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
transfer PRIMARY KEY (id)
user_key FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
user_key PRIMARY KEY (id)
user_key UNIQUE (user_id, "position")
webhook CHECK (((inactive_reason IS NULL) OR (state = 'inactive'::text)))
webhook CHECK (((state = 'failed'::text) = (failed_reason IS NOT NULL)))
webhook CHECK ((ordering = ANY (ARRAY['none'::text, 'webhook'::text, 'key'::text])))
webhook CHECK ((state = ANY (ARRAY['active'::text, 'inactive'::text, 'failed'::text])))
webhook FOREIGN KEY (account_id) REFERENCES account(id)
webhook PRIMARY KEY (id)
webhook_set CHECK ((id = 1))
webhook_set PRIMARY KEY (id)

-- indexes
CREATE UNIQUE INDEX account_pkey ON public.account USING btree (id)
CREATE UNIQUE INDEX account_slug_key ON public.account USING btree (slug)
CREATE UNIQUE INDEX account_usage_pkey ON public.account_usage USING btree (account_id)
CREATE UNIQUE INDEX admin_token_pkey ON public.admin_token USING btree (id)
CREATE UNIQUE INDEX admin_token_token_hash_key ON public.admin_token USING btree (token_hash)
CREATE INDEX agent_builtin ON public.agent USING btree (id) WHERE (is_builtin = 1)
CREATE UNIQUE INDEX agent_key_hash_key ON public.agent USING btree (key_hash)
CREATE UNIQUE INDEX agent_pkey ON public.agent USING btree (id)
CREATE UNIQUE INDEX agent_public_key ON public.agent USING btree (public_key_hash) WHERE (public_key_hash IS NOT NULL)
CREATE INDEX agent_silent ON public.agent USING btree (last_seen_at) WHERE ((status <> 'offline'::text) AND (revoked_at IS NULL))
CREATE INDEX alert_mail ON public.alert USING btree (mail_due_at) WHERE (mail_due_at IS NOT NULL)
CREATE INDEX alert_of_account ON public.alert USING btree (account_id, id)
CREATE INDEX alert_of_subject ON public.alert USING btree (subject_id, id)
CREATE UNIQUE INDEX alert_open ON public.alert USING btree (subject_id, kind) WHERE (cleared_at IS NULL)
CREATE UNIQUE INDEX alert_pkey ON public.alert USING btree (id)
CREATE INDEX api_key_of_account ON public.api_key USING btree (account_id, id)
CREATE UNIQUE INDEX api_key_pkey ON public.api_key USING btree (id)
CREATE UNIQUE INDEX api_key_token_hash_key ON public.api_key USING btree (token_hash)
CREATE INDEX attempt_of_webhook ON public.attempt USING btree (webhook_id, started_at)
CREATE UNIQUE INDEX attempt_pkey ON public.attempt USING btree (delivery_id, number)
CREATE INDEX audit_of_account ON public.audit USING btree (account_id, id)
CREATE UNIQUE INDEX audit_pkey ON public.audit USING btree (id)
CREATE UNIQUE INDEX authority_current ON public.authority USING btree (is_current)
CREATE UNIQUE INDEX authority_pkey ON public.authority USING btree (id)
CREATE INDEX certificate_ending ON public.certificate USING btree (expires_at) WHERE ((revoked_at IS NULL) AND (replaced_at IS NULL) AND (expired_said_at IS NULL))
CREATE UNIQUE INDEX certificate_fingerprint_key ON public.certificate USING btree (fingerprint)
CREATE INDEX certificate_of_agent ON public.certificate USING btree (agent_id, id)
CREATE UNIQUE INDEX certificate_pkey ON public.certificate USING btree (id)
CREATE UNIQUE INDEX certificate_serial_key ON public.certificate USING btree (serial)
CREATE INDEX delivery_cancelled ON public.delivery USING btree (webhook_id, id) WHERE (state = 'cancelled'::text)
CREATE INDEX delivery_claimed ON public.delivery USING btree (claimed_by) WHERE (claimed_by IS NOT NULL)
CREATE INDEX delivery_collapsible ON public.delivery USING btree (webhook_id, collapse_key) WHERE ((collapse_key IS NOT NULL) AND (state = 'waiting'::text))
CREATE INDEX delivery_due ON public.delivery USING btree (webhook_id, due_at) WHERE ((state = 'waiting'::text) AND (claimed_by IS NULL) AND (is_blocked = 0))
CREATE INDEX delivery_failed ON public.delivery USING btree (webhook_id, id) WHERE (state = 'failed'::text)
CREATE INDEX delivery_of_replay ON public.delivery USING btree (replay_id, state) WHERE (replay_id IS NOT NULL)
CREATE INDEX delivery_of_webhook ON public.delivery USING btree (webhook_id, id, event_type)
CREATE INDEX delivery_ordered ON public.delivery USING btree (webhook_id, order_key, order_position) WHERE ((order_key IS NOT NULL) AND (state = 'waiting'::text))
CREATE UNIQUE INDEX delivery_pkey ON public.delivery USING btree (id)
CREATE UNIQUE INDEX delivery_planned_once ON public.delivery USING btree (event_id, webhook_id) WHERE (cause = 'event'::text)
CREATE INDEX delivery_resent ON public.delivery USING btree (event_id, webhook_id) WHERE (cause = 'resend'::text)
CREATE INDEX delivery_tested ON public.delivery USING btree (event_id) WHERE (cause = 'test'::text)
CREATE UNIQUE INDEX delivery_total_pkey ON public.delivery_total USING btree (webhook_id, part)
CREATE INDEX delivery_waiting ON public.delivery USING btree (webhook_id, id) WHERE (state = 'waiting'::text)
CREATE UNIQUE INDEX enrolment_token_pkey ON public.enrolment_token USING btree (id)
CREATE UNIQUE INDEX enrolment_token_token_hash_key ON public.enrolment_token USING btree (token_hash)
CREATE UNIQUE INDEX event_pkey ON public.event USING btree (id)
CREATE INDEX event_said ON public.event USING btree ("position", id) WHERE ((state = 'said'::text) AND (is_test = 0))
CREATE INDEX event_shown ON public.event USING btree (account_id, id) WHERE ((state = 'said'::text) AND (is_test = 0))
CREATE UNIQUE INDEX intent_event_id_key ON public.intent USING btree (event_id)
CREATE INDEX intent_path_of_intent ON public.intent_path USING btree (intent_id)
CREATE UNIQUE INDEX intent_path_pkey ON public.intent_path USING btree (path_hash)
CREATE UNIQUE INDEX intent_pkey ON public.intent USING btree (id)
CREATE INDEX job_due ON public.job USING btree (next_run_at) WHERE ((next_run_at IS NOT NULL) AND (removed_at IS NULL))
CREATE INDEX job_of_agent ON public.job USING btree (agent_id, id) WHERE (removed_at IS NULL)
CREATE UNIQUE INDEX job_pkey ON public.job USING btree (id)
CREATE INDEX leftover_due ON public.leftover USING btree (agent_id, due_at)
CREATE UNIQUE INDEX leftover_lease ON public.leftover USING btree (lease) WHERE (lease IS NOT NULL)
CREATE UNIQUE INDEX leftover_pkey ON public.leftover USING btree (transfer_id)
CREATE INDEX moved_file_content ON public.moved_file USING btree (job_id, sha256) WHERE (sha256 IS NOT NULL)
CREATE UNIQUE INDEX moved_file_pkey ON public.moved_file USING btree (job_id, path_hash)
CREATE UNIQUE INDEX node_pkey ON public.node USING btree (id)
CREATE INDEX partial_of_user ON public.partial USING btree (user_id, folder_hash)
CREATE UNIQUE INDEX partial_pkey ON public.partial USING btree (id)
CREATE UNIQUE INDEX remote_name_key ON public.remote USING btree (name)
CREATE UNIQUE INDEX remote_pkey ON public.remote USING btree (id)
CREATE INDEX replay_of_webhook ON public.replay USING btree (webhook_id, id)
CREATE INDEX replay_open ON public.replay USING btree (id) WHERE (is_open = 1)
CREATE UNIQUE INDEX replay_pkey ON public.replay USING btree (id)
CREATE UNIQUE INDEX replay_running ON public.replay USING btree (webhook_id) WHERE (state = 'running'::text)
CREATE UNIQUE INDEX run_lease ON public.run USING btree (lease) WHERE (lease IS NOT NULL)
CREATE INDEX run_listing ON public.run USING btree (agent_id, due_at) WHERE ((status = 'running'::text) AND (phase = 'listing'::text))
CREATE INDEX run_of_job ON public.run USING btree (job_id, id)
CREATE INDEX run_open ON public.run USING btree (id) WHERE (status = 'running'::text)
CREATE UNIQUE INDEX run_pkey ON public.run USING btree (id)
CREATE UNIQUE INDEX run_scheduled ON public.run USING btree (job_id, scheduled_for) WHERE (scheduled_for IS NOT NULL)
CREATE UNIQUE INDEX said_base_pkey ON public.said_base USING btree (id)
CREATE UNIQUE INDEX schema_version_pkey ON public.schema_version USING btree (version)
CREATE INDEX tally_by_age ON public.tally USING btree (grain, at)
CREATE UNIQUE INDEX tally_pkey ON public.tally USING btree (webhook_id, grain, at, part)
CREATE INDEX transfer_due ON public.transfer USING btree (agent_id, due_at, id) WHERE ((status = 'queued'::text) AND (is_foreign = 0))
CREATE INDEX transfer_held ON public.transfer USING btree (agent_id, id) WHERE (status = 'running'::text)
CREATE UNIQUE INDEX transfer_lease ON public.transfer USING btree (lease) WHERE (lease IS NOT NULL)
CREATE INDEX transfer_of_agent ON public.transfer USING btree (agent_id, id)
CREATE INDEX transfer_of_run ON public.transfer USING btree (run_id, status) WHERE (run_id IS NOT NULL)
CREATE INDEX transfer_of_status ON public.transfer USING btree (status, id)
CREATE UNIQUE INDEX transfer_pkey ON public.transfer USING btree (id)
CREATE INDEX transfer_stopping ON public.transfer USING btree (agent_id) WHERE ((status = 'running'::text) AND (cancel_asked_at IS NOT NULL))
CREATE UNIQUE INDEX user_account_id_name_key ON public."user" USING btree (account_id, name)
CREATE UNIQUE INDEX user_key_pkey ON public.user_key USING btree (id)
CREATE UNIQUE INDEX user_key_user_id_position_key ON public.user_key USING btree (user_id, "position")
CREATE UNIQUE INDEX user_pkey ON public."user" USING btree (id)
CREATE INDEX webhook_of_account ON public.webhook USING btree (account_id, id) WHERE (removed_at IS NULL)
CREATE UNIQUE INDEX webhook_pkey ON public.webhook USING btree (id)
CREATE INDEX webhook_removed ON public.webhook USING btree (id) WHERE (removed_at IS NOT NULL)
CREATE UNIQUE INDEX webhook_set_pkey ON public.webhook_set USING btree (id)

-- options
attempt autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
delivery autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
delivery_total fillfactor=50, autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
event autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
intent autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
intent_path autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
tally fillfactor=50, autovacuum_vacuum_scale_factor=0.01, autovacuum_analyze_scale_factor=0.01, autovacuum_vacuum_cost_delay=0
