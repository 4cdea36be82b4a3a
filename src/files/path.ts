/**
 * A path in the storage as text for tables: `/` and the UTF-8 name, or `hex:` and the bytes in hexadecimal where
 * the name is not UTF-8. A path begins with `/`, so the two cannot be confused and the form is reversible.
 */
export type StoredPath = string

const HEX = 'hex:'
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function toStoredPath(path: Buffer): StoredPath {
  try {
    return strictUtf8.decode(path)
  } catch {
    return HEX + path.toString('hex')
  }
}

export function fromStoredPath(stored: StoredPath): Buffer {
  return stored.startsWith(HEX) ? Buffer.from(stored.slice(HEX.length), 'hex') : Buffer.from(stored, 'utf8')
}
