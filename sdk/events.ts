// Generated from src/events/catalogue.ts and src/events/payloads.ts by test/drift/sdk-events.test.ts, not to be
// edited by hand: UPDATE_DOCS=1 npm test -- drift renews it.

/** The `data` of every event type, the same in every dialect. Members may be added: pass over those that you do not know. */
export interface EventData {
  /** A transfer was made and waits for its agent. */
  'transfer.created': {
    /** Id of the transfer. */
    transferId: string
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Where the file comes from: a URL or a path; never with a password. */
    sourceUrl: string
    /** Where the file goes. */
    destinationPath: string
    /** Seen from the agent: it fetches or it sends. */
    direction: 'pull' | 'push'
    /** `sftp`, `ftp`, `ftps` or `local`; others may come. */
    protocol: string
    /** Size of the file, bytes; absent while unknown. */
    size?: number
    /** Always `queued`. */
    status: 'queued'
  }
  /** A running transfer reached another tenth of its size. */
  'transfer.progress': {
    /** Id of the transfer. */
    transferId: string
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Where the file comes from: a URL or a path; never with a password. */
    sourceUrl: string
    /** Where the file goes. */
    destinationPath: string
    /** Seen from the agent: it fetches or it sends. */
    direction: 'pull' | 'push'
    /** `sftp`, `ftp`, `ftps` or `local`; others may come. */
    protocol: string
    /** Size of the file, bytes; absent while unknown. */
    size?: number
    /** Bytes moved so far. */
    bytesTransferred: number
    /** Percentage moved so far. */
    progress: number
    /** Bytes per second. */
    speed: number
    /** Always `running`. */
    status: 'running'
  }
  /** A transfer moved its whole file. */
  'transfer.completed': {
    /** Id of the transfer. */
    transferId: string
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Where the file comes from: a URL or a path; never with a password. */
    sourceUrl: string
    /** Where the file goes. */
    destinationPath: string
    /** Seen from the agent: it fetches or it sends. */
    direction: 'pull' | 'push'
    /** `sftp`, `ftp`, `ftps` or `local`; others may come. */
    protocol: string
    /** Size of the file, bytes. */
    size: number
    /** Bytes moved. */
    bytesTransferred: number
    /** Seconds from the start of the transfer to its end. */
    duration: number
    /** Bytes per second, as the agent measured them. */
    speed: number
    /** Always `completed`. */
    status: 'completed'
  }
  /** A transfer ended with an error and is not tried again. */
  'transfer.failed': {
    /** Id of the transfer. */
    transferId: string
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Where the file comes from: a URL or a path; never with a password. */
    sourceUrl: string
    /** What went wrong, for people. */
    error: string
    /** What went wrong, for machines: upper case words such as `AUTH_FAILED`. */
    errorCode: string
    /** Retries made before this was final. */
    retryCount: number
    /** Always `failed`. */
    status: 'failed'
  }
  /** A transfer was stopped by a person or by the system. */
  'transfer.cancelled': {
    /** Id of the transfer. */
    transferId: string
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Where the file comes from: a URL or a path; never with a password. */
    sourceUrl: string
    /** Where the file goes. */
    destinationPath: string
    /** Seen from the agent: it fetches or it sends. */
    direction: 'pull' | 'push'
    /** `sftp`, `ftp`, `ftps` or `local`; others may come. */
    protocol: string
    /** Size of the file, bytes; absent while unknown. */
    size?: number
    /** Bytes moved until then. */
    bytesTransferred: number
    /** Always `cancelled`. */
    status: 'cancelled'
  }
  /** An agent joined for the first time. */
  'agent.registered': {
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Name of its machine. */
    hostname: string
    /** `linux`, `windows` or `darwin`. */
    os: string
    /** Version of the agent, where it says one. */
    version?: string
    /** Always `online`. */
    status: 'online'
  }
  /** An agent that had been offline is back. */
  'agent.connected': {
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Name of its machine. */
    hostname: string
    /** When it was heard of before it went offline. */
    lastSeen: string
    /** Always `online`. */
    status: 'online'
  }
  /** An agent has not been heard of for too long. */
  'agent.disconnected': {
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Name of its machine. */
    hostname: string
    /** When it was last heard of. */
    lastSeen: string
    /** Always `offline`. */
    status: 'offline'
  }
  /** The certificate of an agent has at most 30 days left; said once a certificate. */
  'agent.certificate.expiring': {
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Id of the certificate. */
    certificateId: string
    /** End of its validity. */
    expiresAt: string
    /** Days until then, a begun day counted as one. */
    daysRemaining: number
  }
  /** The certificate of an agent is no longer valid. */
  'agent.certificate.expired': {
    /** Id of the agent. */
    agentId: string
    /** Name of the agent, for people. */
    agentName: string
    /** Id of the certificate. */
    certificateId: string
    /** End of its validity. */
    expiresAt: string
  }
  /** A run of a job began. */
  'job.started': {
    /** Id of the job. */
    jobId: string
    /** Name of the job, for people. */
    jobName: string
    /** Id of the agent that runs it. */
    agentId: string
    /** Cron expression of five fields. */
    schedule: string
    /** Always `running`. */
    status: 'running'
    /** Id of the run. */
    runId?: string
  }
  /** A run of a job ended and all of its transfers completed. */
  'job.completed': {
    /** Id of the job. */
    jobId: string
    /** Name of the job, for people. */
    jobName: string
    /** Id of the agent that runs it. */
    agentId: string
    /** Cron expression of five fields. */
    schedule: string
    /** Transfers of this run. */
    transfersTotal: number
    /** Those that completed. */
    transfersCompleted: number
    /** Those that failed. */
    transfersFailed: number
    /** Seconds from the start of the run to its end. */
    duration: number
    /** Always `completed`. */
    status: 'completed'
    /** Id of the run. */
    runId?: string
  }
  /** A run of a job ended and at least one of its transfers failed. */
  'job.failed': {
    /** Id of the job. */
    jobId: string
    /** Name of the job, for people. */
    jobName: string
    /** Id of the agent that runs it. */
    agentId: string
    /** Cron expression of five fields. */
    schedule: string
    /** Transfers of this run. */
    transfersTotal: number
    /** Those that completed. */
    transfersCompleted: number
    /** Those that failed. */
    transfersFailed: number
    /** Seconds from the start of the run to its end. */
    duration: number
    /** Always `failed`. */
    status: 'failed'
    /** Id of the run. */
    runId?: string
    /** Why it failed, for people. */
    error?: string
  }
  /** A run of a job was due, but the conditions of its schedule were not met. */
  'job.skipped': {
    /** Id of the job. */
    jobId: string
    /** Name of the job, for people. */
    jobName: string
    /** Id of the agent that runs it. */
    agentId: string
    /** Cron expression of five fields. */
    schedule: string
    /** Which condition was not met, for people. */
    reason: string
    /** Always `skipped`. */
    status: 'skipped'
    /** Id of the run. */
    runId?: string
  }
  /** A health check of the server went over its threshold. */
  'system.health.degraded': {
    /** State of the server as a whole. */
    status: 'degraded' | 'unhealthy'
    /** Every check by its name: `database`, `memory`, `disk`, ... */
    checks: Record<
      string,
      {
        /** `pass`, `warn` or `fail`. */
        status: string
      }
    >
  }
  /** More than 80 % of the storage is used. */
  'system.storage.warning': {
    /** Bytes in use. */
    used: number
    /** Bytes in all. */
    total: number
    /** Share in use. */
    percentage: number
    /** `warn` or `fail`. */
    status: string
  }
  /** The server met a failure that nobody expected. */
  'system.error': {
    /** What went wrong, for people; details are in the log. */
    error: string
    /** What went wrong, for machines: upper case words. */
    errorCode: string
  }
  /** A file that was written is closed and stored as a whole, whether it is new or replaces another. */
  'file.uploaded': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Size of the file, bytes. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
    /** SHA-256 of the content, lower-case hex, where it is known by then. */
    sha256?: string
    /** Where the file can be fetched from. */
    download_url?: string
    /** Path under which the client wrote it, where the file was stored under another. */
    uploaded_as?: string
    /** Byte at which a cut upload was resumed. */
    resumed_from?: number
  }
  /** A file was read to its end. */
  'file.downloaded': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Size of the file, bytes. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A file was deleted. */
  'file.deleted': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Size of the file, bytes. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A folder was made. */
  'dir.created': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A folder was deleted; what it held gets no events of its own. */
  'dir.deleted': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A transfer user was made. */
  'ftp_user.created': {
    /** Name of the transfer user, without the account. */
    username: string
    /** Id of the transfer user. */
    user_id: string
    /** Folder that the user sees as `/`. */
    home_directory: string
    /** Some of `list`, `read`, `write`, `delete`. */
    permissions: string[]
    /** Address of who made it; absent where it was made on the server itself. */
    client_ip?: string
  }
  /** A file or folder got another path; what a folder holds gets no events of its own. */
  'file.renamed': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** The path before. */
    previous_path: string
    /** What was renamed. */
    kind: 'file' | 'directory'
    /** Whether another file was at `path` and is gone. */
    overwritten: boolean
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
    /** The exact bytes of `previous_path`, base64; only where they are not UTF-8. */
    previous_path_bytes?: string
  }
  /** An upload ended before its file was whole; what arrived may be kept to be resumed. */
  'file.upload_failed': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Bytes that arrived without a hole. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** Why it ended, for people. */
    error: string
    /** Whether what arrived is kept for the client to go on. */
    resumable: boolean
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A file that was expected by now has not arrived. */
  'file.overdue': {
    /** Path or pattern that was expected, as the user sees it. */
    path: string
    /** Id of the expectation. */
    expectation_id: string
    /** Name of the expectation, for people. */
    expectation_name: string
    /** When the file was expected at the latest. */
    due_at: string
  }
  /** A file that was overdue has arrived. */
  'file.arrived_late': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Size of the file, bytes. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** Id of the expectation. */
    expectation_id: string
    /** Name of the expectation, for people. */
    expectation_name: string
    /** When the file was expected at the latest. */
    due_at: string
    /** Seconds after `due_at`. */
    late_by: number
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** A file that was expected arrived with a size out of its bounds. */
  'file.unexpected_size': {
    /** Absolute path as the user sees it: `/` is its home folder. */
    path: string
    /** Size of the file, bytes. */
    size: number
    /** Name of the transfer user, without the account. */
    username: string
    /** Address of the client, as text. */
    client_ip: string
    /** Id of the expectation. */
    expectation_id: string
    /** Name of the expectation, for people. */
    expectation_name: string
    /** Least size expected, bytes. */
    size_min?: number
    /** Greatest size expected, bytes. */
    size_max?: number
    /** The exact bytes of `path`, base64; only where they are not UTF-8 and `path` shows U+FFFD for what is not. */
    path_bytes?: string
  }
  /** The last file of an expected set has arrived. */
  'file.set_complete': {
    /** Paths of the files, in order of arrival. */
    paths: string[]
    /** Size of all files together, bytes. */
    size: number
    /** Id of the expectation. */
    expectation_id: string
    /** Name of the expectation, for people. */
    expectation_name: string
  }
  /** A webhook was turned off because a delivery used up its attempts. */
  'webhook.failed': {
    /** Id of the webhook. */
    webhookId: string
    /** Name of the webhook, for people. */
    webhookName: string
    /** Id of the delivery that used up its attempts. */
    deliveryId: string
    /** Attempts it made. */
    attempts: number
    /** What the last one met, for people. */
    error: string
    /** Always `failed`. */
    status: 'failed'
  }
  /** A webhook that had failed was turned on again and took a delivery. */
  'webhook.recovered': {
    /** Id of the webhook. */
    webhookId: string
    /** Name of the webhook, for people. */
    webhookName: string
    /** Id of the first delivery that was taken. */
    deliveryId: string
    /** When the webhook had failed. */
    failedAt: string
    /** Always `active`. */
    status: 'active'
  }
  /** A condition that somebody should look at began. */
  'alert.raised': {
    /** Id of the alert. */
    alertId: string
    /** What is wrong, as a word for machines: `webhook_failed`, ... */
    kind: string
    /** Id of what it is about. */
    subjectId: string
    /** What is wrong, for people. */
    message: string
    /** When it began. */
    raisedAt: string
  }
  /** The condition of an alert ended. */
  'alert.cleared': {
    /** Id of the alert. */
    alertId: string
    /** What is wrong, as a word for machines: `webhook_failed`, ... */
    kind: string
    /** Id of what it is about. */
    subjectId: string
    /** What is wrong, for people. */
    message: string
    /** When it began. */
    raisedAt: string
    /** When it ended. */
    clearedAt: string
  }
}

export type EventType = keyof EventData

/** The members of every `data`, in the order in which the server writes them. */
export const EVENT_MEMBERS: Readonly<Record<EventType, readonly string[]>> = {
  'transfer.created': [
    'transferId',
    'agentId',
    'agentName',
    'sourceUrl',
    'destinationPath',
    'direction',
    'protocol',
    'size',
    'status',
  ],
  'transfer.progress': [
    'transferId',
    'agentId',
    'agentName',
    'sourceUrl',
    'destinationPath',
    'direction',
    'protocol',
    'size',
    'bytesTransferred',
    'progress',
    'speed',
    'status',
  ],
  'transfer.completed': [
    'transferId',
    'agentId',
    'agentName',
    'sourceUrl',
    'destinationPath',
    'direction',
    'protocol',
    'size',
    'bytesTransferred',
    'duration',
    'speed',
    'status',
  ],
  'transfer.failed': ['transferId', 'agentId', 'agentName', 'sourceUrl', 'error', 'errorCode', 'retryCount', 'status'],
  'transfer.cancelled': [
    'transferId',
    'agentId',
    'agentName',
    'sourceUrl',
    'destinationPath',
    'direction',
    'protocol',
    'size',
    'bytesTransferred',
    'status',
  ],
  'agent.registered': ['agentId', 'agentName', 'hostname', 'os', 'version', 'status'],
  'agent.connected': ['agentId', 'agentName', 'hostname', 'lastSeen', 'status'],
  'agent.disconnected': ['agentId', 'agentName', 'hostname', 'lastSeen', 'status'],
  'agent.certificate.expiring': ['agentId', 'agentName', 'certificateId', 'expiresAt', 'daysRemaining'],
  'agent.certificate.expired': ['agentId', 'agentName', 'certificateId', 'expiresAt'],
  'job.started': ['jobId', 'jobName', 'agentId', 'schedule', 'status', 'runId'],
  'job.completed': [
    'jobId',
    'jobName',
    'agentId',
    'schedule',
    'transfersTotal',
    'transfersCompleted',
    'transfersFailed',
    'duration',
    'status',
    'runId',
  ],
  'job.failed': [
    'jobId',
    'jobName',
    'agentId',
    'schedule',
    'transfersTotal',
    'transfersCompleted',
    'transfersFailed',
    'duration',
    'status',
    'runId',
    'error',
  ],
  'job.skipped': ['jobId', 'jobName', 'agentId', 'schedule', 'reason', 'status', 'runId'],
  'system.health.degraded': ['status', 'checks'],
  'system.storage.warning': ['used', 'total', 'percentage', 'status'],
  'system.error': ['error', 'errorCode'],
  'file.uploaded': [
    'path',
    'size',
    'username',
    'client_ip',
    'path_bytes',
    'sha256',
    'download_url',
    'uploaded_as',
    'resumed_from',
  ],
  'file.downloaded': ['path', 'size', 'username', 'client_ip', 'path_bytes'],
  'file.deleted': ['path', 'size', 'username', 'client_ip', 'path_bytes'],
  'dir.created': ['path', 'username', 'client_ip', 'path_bytes'],
  'dir.deleted': ['path', 'username', 'client_ip', 'path_bytes'],
  'ftp_user.created': ['username', 'user_id', 'home_directory', 'permissions', 'client_ip'],
  'file.renamed': ['path', 'previous_path', 'kind', 'overwritten', 'username', 'client_ip', 'path_bytes', 'previous_path_bytes'],
  'file.upload_failed': ['path', 'size', 'username', 'client_ip', 'error', 'resumable', 'path_bytes'],
  'file.overdue': ['path', 'expectation_id', 'expectation_name', 'due_at'],
  'file.arrived_late': [
    'path',
    'size',
    'username',
    'client_ip',
    'expectation_id',
    'expectation_name',
    'due_at',
    'late_by',
    'path_bytes',
  ],
  'file.unexpected_size': [
    'path',
    'size',
    'username',
    'client_ip',
    'expectation_id',
    'expectation_name',
    'size_min',
    'size_max',
    'path_bytes',
  ],
  'file.set_complete': ['paths', 'size', 'expectation_id', 'expectation_name'],
  'webhook.failed': ['webhookId', 'webhookName', 'deliveryId', 'attempts', 'error', 'status'],
  'webhook.recovered': ['webhookId', 'webhookName', 'deliveryId', 'failedAt', 'status'],
  'alert.raised': ['alertId', 'kind', 'subjectId', 'message', 'raisedAt'],
  'alert.cleared': ['alertId', 'kind', 'subjectId', 'message', 'raisedAt', 'clearedAt'],
}
