/** Which door an operation came through. */
export type Door = 'sftp' | 'ftp' | 'api' | 'cli' | 'server'

/** One line of the audit trail: who did what, from where, with what result. */
export interface AuditEntry {
  readonly id: string
  /** ms since 1970 UTC. */
  readonly at: number
  readonly accountId: string | null
  /** Name of the user, key or administrator; null before it is known. */
  readonly actor: string | null
  /** Textual IP address of the peer; null for the server's own doing. */
  readonly address: string | null
  readonly door: Door
  /** A verb of the catalogue below. */
  readonly action: AuditAction
  /** What it was done to: a path in the space of the user, or an id. Never a secret. */
  readonly target: string | null
  /** `ok`, or the code of the error. */
  readonly result: string
  /** More for the reader: bytes, the second path of a rename, the public message of a refusal. */
  readonly detail: string | null
}

export type AuditAction =
  | 'login'
  | 'logout'
  | 'list'
  | 'upload'
  | 'download'
  | 'delete'
  | 'rename'
  | 'mkdir'
  | 'rmdir'
  | 'set_attributes'
  | 'link'
  | 'account.create'
  | 'account.update'
  | 'user.create'
  | 'user.update'
  | 'user.remove'
  | 'key.create'
  | 'key.revoke'
  | 'token.create'
  | 'token.revoke'
  | 'webhook.create'
  | 'webhook.update'
  | 'webhook.remove'
  | 'webhook.test'
  | 'webhook.redeliver'
  | 'webhook.replay'
  | 'webhook.replay_cancel'
  | 'webhook.doctor'
  | 'webhook.rotate_secret'
  | 'master_key.rotate'
  | 'agent.register'
  | 'agent.update'
  | 'agent.disconnect'
  | 'agent.revoke'
  | 'agent.certificate'
  | 'enrolment.create'
  | 'enrolment.revoke'
  | 'remote.create'
  | 'remote.update'
  | 'remote.remove'
  | 'transfer.create'
  | 'transfer.cancel'
  | 'job.create'
  | 'job.update'
  | 'job.remove'
  | 'job.run'
  | 'run.cancel'
