import type { Static, TSchema } from 'typebox'
import { Type } from '../base/type.ts'
import type { EventType } from './catalogue.ts'

/**
 * The `data` of every event type, as JSON Schema. Members that a contract's page shows come first, in the page's order,
 * with its names and types; where a page shows no payload the members are this project's choice. Members may be added
 * to a type, never renamed or retyped, so receivers must pass over those that they do not know.
 *
 * In file.*, dir.* and ftp_user.* names are snake_case, elsewhere camelCase. Times are ISO 8601 UTC in whole seconds.
 *
 * Only types are imported from here on the store's thread: the schema library costs it 23 MB and 0.2 s (measured).
 */
export type Data<T extends EventType> = Static<(typeof PAYLOADS)[T]>

const text = (description: string) => Type.String({ description })
const time = (description: string) => Type.String({ description, format: 'date-time' })
const count = (description: string) => Type.Integer({ description, minimum: 0 })
const yes = (description: string) => Type.Boolean({ description })
const always = <const T extends string>(value: T) => Type.Literal(value, { description: `Always \`${value}\`.` })

const agent = {
  agentId: text('Id of the agent.'),
  agentName: text('Name of the agent, for people.'),
}

const transfer = {
  transferId: text('Id of the transfer.'),
  ...agent,
  sourceUrl: text('Where the file comes from: a URL or a path; never with a password.'),
}

const route = {
  destinationPath: text('Where the file goes.'),
  direction: Type.Union([Type.Literal('pull'), Type.Literal('push')], {
    description: 'Seen from the agent: it fetches or it sends.',
  }),
  protocol: text('`sftp`, `ftp`, `ftps` or `local`; others may come.'),
}

const certificate = {
  ...agent,
  certificateId: text('Id of the certificate.'),
  expiresAt: time('End of its validity.'),
}

const job = {
  jobId: text('Id of the job.'),
  jobName: text('Name of the job, for people.'),
  agentId: text('Id of the agent that runs it.'),
  schedule: text('Cron expression of five fields.'),
}

const run = { runId: Type.Optional(text('Id of the run.')) }

const tally = {
  transfersTotal: count('Transfers of this run.'),
  transfersCompleted: count('Those that completed.'),
  transfersFailed: count('Those that failed.'),
  duration: count('Seconds from the start of the run to its end.'),
}

const path = { path: text('Absolute path as the user sees it: `/` is its home folder.') }
const sizeIfKnown = { size: Type.Optional(count('Size of the file, bytes; absent while unknown.')) }
const size = { size: count('Size of the file, bytes.') }
const who = {
  username: text('Name of the transfer user, without the account.'),
  client_ip: text('Address of the client, as text.'),
}
const pathBytes = {
  path_bytes: Type.Optional(
    text('The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not.'),
  ),
}
const file = { ...path, ...size, ...who }

const expectation = {
  expectation_id: text('Id of the expectation.'),
  expectation_name: text('Name of the expectation, for people.'),
}
const due = { due_at: time('When the file was expected at the latest.') }

const webhook = {
  // Not its url: the address of a receiver often is a secret by itself.
  webhookId: text('Id of the webhook.'),
  webhookName: text('Name of the webhook, for people.'),
}

const alert = {
  alertId: text('Id of the alert.'),
  kind: text('What is wrong, as a word for machines: `webhook_failed`, ...'),
  subjectId: text('Id of what it is about.'),
  message: text('What is wrong, for people.'),
  raisedAt: time('When it began.'),
}

export const PAYLOADS = {
  'transfer.created': Type.Object({ ...transfer, ...route, ...sizeIfKnown, status: always('queued') }),
  'transfer.progress': Type.Object({
    ...transfer,
    ...route,
    ...sizeIfKnown,
    bytesTransferred: count('Bytes moved so far.'),
    progress: Type.Integer({ description: 'Percentage moved so far.', minimum: 0, maximum: 100 }),
    speed: count('Bytes per second.'),
    status: always('running'),
  }),
  'transfer.completed': Type.Object({
    ...transfer,
    ...route,
    ...size,
    bytesTransferred: count('Bytes moved.'),
    duration: count('Seconds from the start of the transfer to its end.'),
    speed: count('Bytes per second, as the agent measured them.'),
    status: always('completed'),
  }),
  'transfer.failed': Type.Object({
    ...transfer,
    error: text('What went wrong, for people.'),
    errorCode: text('What went wrong, for machines: upper case words such as `AUTH_FAILED`.'),
    retryCount: count('Retries made before this was final.'),
    status: always('failed'),
  }),
  'transfer.cancelled': Type.Object({
    ...transfer,
    ...route,
    ...sizeIfKnown,
    bytesTransferred: count('Bytes moved until then.'),
    status: always('cancelled'),
  }),

  'agent.registered': Type.Object({
    ...agent,
    hostname: text('Name of its machine.'),
    os: text('`linux`, `windows` or `darwin`.'),
    version: Type.Optional(text('Version of the agent, where it says one.')),
    status: always('online'),
  }),
  'agent.connected': Type.Object({
    ...agent,
    hostname: text('Name of its machine.'),
    lastSeen: time('When it was heard of before it went offline.'),
    status: always('online'),
  }),
  'agent.disconnected': Type.Object({
    ...agent,
    hostname: text('Name of its machine.'),
    lastSeen: time('When it was last heard of.'),
    status: always('offline'),
  }),
  'agent.certificate.expiring': Type.Object({
    ...certificate,
    daysRemaining: count('Days until then, a begun day counted as one.'),
  }),
  'agent.certificate.expired': Type.Object(certificate),

  'job.started': Type.Object({ ...job, status: always('running'), ...run }),
  'job.completed': Type.Object({ ...job, ...tally, status: always('completed'), ...run }),
  'job.failed': Type.Object({
    ...job,
    ...tally,
    status: always('failed'),
    ...run,
    error: Type.Optional(text('Why it failed, for people.')),
  }),
  'job.skipped': Type.Object({
    ...job,
    reason: text('Which condition was not met, for people.'),
    status: always('skipped'),
    ...run,
  }),

  'system.health.degraded': Type.Object({
    status: Type.Union([Type.Literal('degraded'), Type.Literal('unhealthy')], { description: 'State of the server as a whole.' }),
    checks: Type.Record(Type.String(), Type.Object({ status: text('`pass`, `warn` or `fail`.') }), {
      description: 'Every check by its name: `database`, `memory`, `disk`, ...',
    }),
  }),
  'system.storage.warning': Type.Object({
    used: count('Bytes in use.'),
    total: count('Bytes in all.'),
    percentage: Type.Integer({ description: 'Share in use.', minimum: 0, maximum: 100 }),
    status: text('`warn` or `fail`.'),
  }),
  'system.error': Type.Object({
    error: text('What went wrong, for people; details are in the log.'),
    errorCode: text('What went wrong, for machines: upper case words.'),
  }),

  'file.uploaded': Type.Object({
    ...file,
    ...pathBytes,
    sha256: Type.Optional(
      Type.String({
        description: 'SHA-256 of the content, lower-case hex, where it is known by then.',
        pattern: '^[0-9a-f]{64}$',
      }),
    ),
    download_url: Type.Optional(text('Where the file can be fetched from.')),
    uploaded_as: Type.Optional(text('Path under which the client wrote it, where the file was stored under another.')),
    resumed_from: Type.Optional(count('Byte at which a cut upload was resumed.')),
  }),
  'file.downloaded': Type.Object({ ...file, ...pathBytes }),
  'file.deleted': Type.Object({ ...file, ...pathBytes }),
  'dir.created': Type.Object({ ...path, ...who, ...pathBytes }),
  'dir.deleted': Type.Object({ ...path, ...who, ...pathBytes }),
  'ftp_user.created': Type.Object({
    username: text('Name of the transfer user, without the account.'),
    user_id: text('Id of the transfer user.'),
    home_directory: text('Folder that the user sees as `/`.'),
    permissions: Type.Array(Type.String(), { description: 'Some of `list`, `read`, `write`, `delete`.' }),
    client_ip: Type.Optional(text('Address of who made it; absent where it was made on the server itself.')),
  }),

  'file.renamed': Type.Object({
    ...path,
    previous_path: text('The path before.'),
    kind: Type.Union([Type.Literal('file'), Type.Literal('directory')], { description: 'What was renamed.' }),
    overwritten: yes('Whether another file was at `path` and is gone.'),
    ...who,
    ...pathBytes,
    previous_path_bytes: Type.Optional(text('The exact bytes of `previous_path`, base64; only where they are not UTF-8.')),
  }),
  'file.upload_failed': Type.Object({
    ...path,
    size: count('Bytes that arrived without a hole.'),
    ...who,
    error: text('Why it ended, for people.'),
    resumable: yes('Whether what arrived is kept for the client to go on.'),
    ...pathBytes,
  }),
  'file.overdue': Type.Object({
    path: text('Path or pattern that was expected, as the user sees it.'),
    ...expectation,
    ...due,
  }),
  'file.arrived_late': Type.Object({
    ...file,
    ...expectation,
    ...due,
    late_by: count('Seconds after `due_at`.'),
    ...pathBytes,
  }),
  'file.unexpected_size': Type.Object({
    ...file,
    ...expectation,
    size_min: Type.Optional(count('Least size expected, bytes.')),
    size_max: Type.Optional(count('Greatest size expected, bytes.')),
    ...pathBytes,
  }),
  'file.set_complete': Type.Object({
    paths: Type.Array(Type.String(), { description: 'Paths of the files, in order of arrival.' }),
    size: count('Size of all files together, bytes.'),
    ...expectation,
  }),
  'webhook.failed': Type.Object({
    ...webhook,
    deliveryId: text('Id of the delivery that used up its attempts.'),
    attempts: count('Attempts it made.'),
    error: text('What the last one met, for people.'),
    status: always('failed'),
  }),
  'webhook.recovered': Type.Object({
    ...webhook,
    deliveryId: text('Id of the first delivery that was taken.'),
    failedAt: time('When the webhook had failed.'),
    status: always('active'),
  }),
  'alert.raised': Type.Object(alert),
  'alert.cleared': Type.Object({ ...alert, clearedAt: time('When it ended.') }),
} satisfies Record<EventType, TSchema>
