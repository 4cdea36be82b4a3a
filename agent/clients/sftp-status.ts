import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Reply } from '../../src/wire/sftp/client.ts'
import { STATUS } from '../../src/wire/sftp/constants.ts'

/** What a reply that is not the wanted one means. `about` says what was to be done: `reading /a`. */
export function replyFailure(reply: Reply, about: string): TransferFailure {
  if (reply.kind !== 'status') return new TransferFailure('PROTOCOL_ERROR', `The server answered ${about} with ${reply.kind}.`)
  const text = reply.message.slice(0, MESSAGE_CHARS_MAX)
  switch (reply.code) {
    case STATUS.NO_SUCH_FILE:
      return new TransferFailure('NOT_FOUND', `There is nothing at the path: ${about}.`)
    case STATUS.PERMISSION_DENIED:
      return new TransferFailure('PERMISSION_DENIED', `The server does not permit ${about}: ${text}.`)
    case STATUS.OP_UNSUPPORTED:
      return new TransferFailure('UNSUPPORTED', `The server does not know how: ${about}.`)
    default:
      return new TransferFailure(codeOfText(text), `The server failed at ${about}: ${text} (status ${reply.code}).`)
  }
}

/** Version 3 has one status for all that is not one of the above; some servers say in words what it was. */
function codeOfText(text: string): 'QUOTA_EXCEEDED' | 'DISK_FULL' | 'TOO_LARGE' | 'PROTOCOL_ERROR' {
  if (/quota|may not store more/i.test(text)) return 'QUOTA_EXCEEDED'
  if (/no (space|room)|(disk|storage|device) (is )?full|not enough (space|room)|out of space/i.test(text)) return 'DISK_FULL'
  if (/too (large|big)|larger than|file size limit/i.test(text)) return 'TOO_LARGE'
  return 'PROTOCOL_ERROR'
}

/** As much of the server's own words as is passed on. */
const MESSAGE_CHARS_MAX = 200
