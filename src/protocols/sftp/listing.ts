import { NAME_ENTRIES_MAX, NAME_REPLY_BYTES, STATUS } from '../../wire/sftp/constants.ts'
import { encodeStatus, NameBatch } from '../../wire/sftp/reply.ts'
import { nameEntry } from './attributes.ts'
import type { OpenFolder } from './handles.ts'

/** What a READDIR holds while it is answered: the reply, and the entries that it is made of. */
export const LISTING_BYTES = 2 * NAME_REPLY_BYTES

/** The next entries of a folder; what does not fit into this reply stays for the next. EOF at the end, and from then on. */
export async function readFolder(open: OpenFolder, id: number, owner: string, nowSeconds: number): Promise<Buffer> {
  if (open.left.length === 0) open.left = await open.folder.next(NAME_ENTRIES_MAX)
  if (open.left.length === 0) return encodeStatus(id, STATUS.EOF, 'end of the folder')
  const batch = new NameBatch()
  const kept = open.left.findIndex(({ name, attributes }) => !batch.add(nameEntry(name, attributes, owner, nowSeconds)))
  open.left = kept === -1 ? [] : open.left.slice(kept)
  return batch.finish(id)
}
