/**
 * The numbers and names of SFTP version 3: draft-ietf-secsh-filexfer-02 ("the draft"), and the extensions
 * that OpenSSH's PROTOCOL file, section 4, defines on top of it.
 */

/** The version every client in use speaks; the answer to an INIT of any higher one (draft §4). */
export const PROTOCOL_VERSION = 3

/** Packet types (draft §3; §6 requests, §7 responses, §8 extensions). */
export const PACKET = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const

/** Codes of a STATUS reply (draft §7). Version 3 knows no others; clients call higher ones "unknown". */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  OP_UNSUPPORTED: 8,
} as const
export type StatusCode = (typeof STATUS)[keyof typeof STATUS]

/** Bits of the `flags` of OPEN (draft §6.3). */
export const OPEN_FLAG = { READ: 0x01, WRITE: 0x02, APPEND: 0x04, CREATE: 0x08, TRUNCATE: 0x10, EXCLUSIVE: 0x20 } as const

/** Bits that say which attributes are present (draft §5). */
export const ATTRIBUTE_FLAG = { SIZE: 0x01, OWNER: 0x02, PERMISSIONS: 0x04, TIMES: 0x08, EXTENDED: 0x80000000 } as const

/** Bits of `flags` in a statvfs reply (OpenSSH PROTOCOL §4.4). */
export const STATVFS_FLAG = { READ_ONLY: 0x1, NO_SETUID: 0x2 } as const

/** A pair of INIT and VERSION: the extension's name, and its version as text. Bytes are read and written as Latin-1. */
export interface Extension {
  readonly name: string
  readonly data: string
}

/** The extensions this codec can read, each as OpenSSH advertises it. Which of them are advertised is the server's choice. */
export const EXTENSION = {
  POSIX_RENAME: { name: 'posix-rename@openssh.com', data: '1' },
  HARDLINK: { name: 'hardlink@openssh.com', data: '1' },
  STATVFS: { name: 'statvfs@openssh.com', data: '2' },
  FSTATVFS: { name: 'fstatvfs@openssh.com', data: '2' },
  FSYNC: { name: 'fsync@openssh.com', data: '1' },
  LIMITS: { name: 'limits@openssh.com', data: '1' },
  LSETSTAT: { name: 'lsetstat@openssh.com', data: '1' },
  EXPAND_PATH: { name: 'expand-path@openssh.com', data: '1' },
  /** draft-ietf-secsh-filexfer-extensions-00 §7. */
  COPY_DATA: { name: 'copy-data', data: '1' },
  /** The same draft. */
  HOME_DIRECTORY: { name: 'home-directory', data: '1' },
} as const satisfies Record<string, Extension>

/** The uint32 in front of every packet that counts the bytes after itself. */
export const LENGTH_BYTES = 4

/** Largest packet, bytes after the length field. OpenSSH's SFTP_MAX_MSG_LENGTH; clients expect this of both sides. */
export const PACKET_BYTES_MAX = 256 * 1024

/**
 * Most data in one READ or WRITE, bytes: what limits@openssh.com advertises. OpenSSH keeps 1 KiB of a packet for
 * the other members; with a handle of HANDLE_BYTES_MAX they take 277 bytes.
 */
export const DATA_BYTES_MAX = PACKET_BYTES_MAX - 1024

/** Longest handle, bytes (draft §6.3). */
export const HANDLE_BYTES_MAX = 256

/** Most pairs read from an INIT or a VERSION. OpenSSH sends none and eleven. */
export const EXTENSIONS_MAX = 64

/** Most extended attributes read from one attribute block; version 3 clients send at most one. */
export const EXTENDED_ATTRIBUTES_MAX = 64

/** Most entries in one NAME reply: OpenSSH's figure. */
export const NAME_ENTRIES_MAX = 100

/** A NAME reply is closed at this size, bytes: below the 34,000 that the draft asks all sides to bear (§3), and a listing stays streamed. */
export const NAME_REPLY_BYTES = 32 * 1024

/** As much of an extension's name as is read from a request: the client chooses its length, and it may land in a log line. */
export const EXTENSION_NAME_CHARS_MAX = 100

/** Longest message of a STATUS reply, UTF-16 units; the rest is cut off. */
export const STATUS_MESSAGE_CHARS_MAX = 1024
