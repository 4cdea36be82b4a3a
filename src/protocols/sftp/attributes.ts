import type { AttributeChanges, Attributes } from '../../files/space.ts'
import type { Attributes as WireAttributes } from '../../wire/sftp/attributes.ts'
import { longname } from '../../wire/sftp/longname.ts'
import type { NameEntry } from '../../wire/sftp/reply.ts'

/** The type bits of `st_mode`. */
const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000, other: 0o010000 } as const
/** The permission bits, setuid, setgid and sticky included. */
const PERMISSION_MASK = 0o7777

export function wireAttributes(of: Attributes): WireAttributes {
  const { size, uid, gid, accessedAt: atime, modifiedAt: mtime } = of
  return { size, uid, gid, permissions: TYPE_BITS[of.kind] | of.mode, atime, mtime }
}

/** What a client asks to change; undefined when it names nothing, which succeeds without asking anybody. */
export function changesOf(wire: WireAttributes): AttributeChanges | undefined {
  const changes: AttributeChanges = {}
  if (wire.size !== undefined) changes.size = wire.size
  if (wire.permissions !== undefined) changes.mode = wire.permissions & PERMISSION_MASK
  if (wire.uid !== undefined && wire.gid !== undefined) changes.owner = { uid: wire.uid, gid: wire.gid }
  if (wire.atime !== undefined && wire.mtime !== undefined) changes.times = { accessedAt: wire.atime, modifiedAt: wire.mtime }
  return Object.keys(changes).length === 0 ? undefined : changes
}

/** An entry of a listing; `owner` is shown for both columns, since numbers of the host mean nothing to a partner. */
export function nameEntry(name: Buffer, attributes: Attributes, owner: string, nowSeconds: number): NameEntry {
  const { size, links, modifiedAt: mtime } = attributes
  const mode = TYPE_BITS[attributes.kind] | attributes.mode
  return {
    filename: name,
    longname: longname({ name, mode, links, owner, group: owner, size, mtime }, nowSeconds),
    attributes: wireAttributes(attributes),
  }
}
