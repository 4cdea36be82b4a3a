import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { newId } from '../base/id.ts'
import type { Page, PageRequest } from '../base/page.ts'
import { type Seal, SealError } from '../base/seal.ts'
import { openSecrets } from './places.ts'
import type { TransferStore } from './port.ts'
import { type CheckedRemote, checkRemote, type RemoteInput } from './remote.ts'
import { type Remote, type RemoteSecrets, remoteSecretsPurpose } from './transfer.ts'

/** Makes and changes remotes. Secrets go in and never come out. A value out of its bounds throws `invalid`, with field, bound and value. */
export interface RemoteAdmin {
  /** `already_exists` for a name that is taken. */
  create(caller: Caller, input: RemoteInput): Promise<Remote>
  find(id: string): Promise<Remote>
  list(page: PageRequest): Promise<Page<Remote>>
  /** What is absent stays as it is, null takes it away. The protocol stays what it is. */
  update(caller: Caller, id: string, changes: Partial<RemoteInput>): Promise<Remote>
  /** `conflict` where a job or an open transfer uses it. */
  remove(caller: Caller, id: string): Promise<void>
  /** Names of the secrets that it has. */
  secretsOf(remote: Remote): readonly (keyof RemoteSecrets)[]
}

export interface RemoteAdminNeeds {
  readonly store: Pick<TransferStore, 'createRemote' | 'findRemote' | 'listRemotes' | 'updateRemote' | 'removeRemote'>
  readonly seal: Seal
  readonly clock: Clock
  /** Whether agents can log in with a private key and, where it is locked, its passphrase. */
  readonly faultOfKey: (privateKey: string, passphrase: string | undefined) => Promise<PrivateKeyFault | undefined>
}

type PrivateKeyFault = keyof typeof KEY_FAULTS

export function createRemoteAdmin({ store, seal, clock, faultOfKey }: RemoteAdminNeeds): RemoteAdmin {
  async function find(id: string): Promise<Remote> {
    const remote = await store.findRemote(id)
    if (remote === undefined) throw new AppError('not_found', 'no such remote')
    return remote
  }

  function sealed(id: string, secrets: RemoteSecrets): string | null {
    return Object.keys(secrets).length === 0 ? null : seal.seal(JSON.stringify(secrets), remoteSecretsPurpose(id))
  }

  function rowOf(id: string, { secrets, ...open }: CheckedRemote, times: Pick<Remote, 'createdAt' | 'updatedAt'>): Remote {
    return { id, ...open, sealedSecrets: sealed(id, secrets), ...times }
  }

  /** Those that open under no key are as good as gone. */
  function secretsOf(remote: Remote): RemoteSecrets {
    try {
      return openSecrets(remote, seal)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      return {}
    }
  }

  /** Else the first transfer would say so, or the job of the first night. */
  async function checkKey({ privateKey, passphrase }: RemoteSecrets): Promise<void> {
    const fault = privateKey === undefined ? undefined : await faultOfKey(privateKey, passphrase)
    if (fault === undefined) return
    const { field, message } = KEY_FAULTS[fault]
    throw new AppError('invalid', message, { field })
  }

  return {
    find,
    list: (page) => store.listRemotes(page),
    secretsOf: (remote) => Object.keys(secretsOf(remote)) as (keyof RemoteSecrets)[],
    async create(caller, input) {
      const now = clock.now()
      const id = newId('remote', now)
      const checked = checkRemote(input)
      await checkKey(checked.secrets)
      const remote = rowOf(id, checked, { createdAt: now, updatedAt: now })
      const entry = changeEntry(caller, now, { accountId: null, action: 'remote.create', target: id, detail: remote.name })
      await store.createRemote(remote, entry)
      return remote
    },
    async update(caller, id, changes) {
      const before = await find(id)
      if (changes.protocol !== undefined && changes.protocol !== before.protocol)
        throw new AppError('invalid', `protocol of a remote stays what it is, ${before.protocol}; make another remote`, {
          field: 'protocol',
        })
      const { name, protocol, username, options } = before
      // The address of S3 follows from the other fields.
      const address = protocol === 's3' ? {} : { host: before.host, port: before.port }
      const checked = checkRemote({ name, protocol, ...address, username, ...options, ...secretsOf(before), ...changes })
      if (changes.privateKey !== undefined || changes.passphrase !== undefined) await checkKey(checked.secrets)
      const { createdAt } = before
      // Two changes within one millisecond are two changes.
      const now = Math.max(clock.now(), before.updatedAt + 1)
      const remote = rowOf(id, checked, { createdAt, updatedAt: now })
      const detail = Object.keys(changes).join(', ')
      await store.updateRemote(
        remote,
        before,
        changeEntry(caller, now, { accountId: null, action: 'remote.update', target: id, detail }),
      )
      return remote
    },
    async remove(caller, id) {
      const { name } = await find(id)
      const entry = changeEntry(caller, clock.now(), { accountId: null, action: 'remote.remove', target: id, detail: name })
      await store.removeRemote(id, entry)
    },
  }
}

const KEY_FAULTS = {
  unreadable: {
    field: 'privateKey',
    message:
      'privateKey cannot be read; those of OpenSSH and in PEM (RSA or EC PRIVATE KEY) can be, and `ssh-keygen -p -f COPY` turns a copy of another one into one of OpenSSH',
  },
  'passphrase missing': { field: 'passphrase', message: 'passphrase is missing: privateKey is encrypted with one' },
  'passphrase wrong': { field: 'passphrase', message: 'passphrase is not that of privateKey, which does not open with it' },
  'too slow': {
    field: 'privateKey',
    message:
      'privateKey takes more than 10 seconds to open with its passphrase; `ssh-keygen -p -a 16 -f COPY` makes a copy of it that opens at once',
  },
} as const
