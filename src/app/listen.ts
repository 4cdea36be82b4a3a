import { AppError } from '../base/error.ts'
import { type Address, type Settings, variableOf } from '../config/settings.ts'

type Listener = 'httpAddress' | 'sftpAddress' | 'agentAddress'

/** What keeps a process from listening, and is mended by another address. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there already',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'no name server says what address this is',
}

/**
 * Opens a door at the address of its setting.
 * @throws AppError `setting_invalid`, naming setting and address, where nobody can listen at it
 */
export async function listenAt<Opened>(
  setting: Listener,
  settings: Pick<Settings, Listener>,
  open: (address: Address) => Promise<Opened>,
): Promise<Opened> {
  const address = settings[setting]
  try {
    return await open(address)
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? REASONS[String(cause.code)] : undefined
    if (reason === undefined) throw cause
    throw new AppError('setting_invalid', `${variableOf(setting)} is ${addressText(address)}: ${reason}`, {
      field: setting,
      cause,
    })
  }
}

export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
