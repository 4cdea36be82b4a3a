/** The line of a NAME entry that clients show for `ls -l`, laid out as OpenSSH's server does (columns of strmode(3) and ls(1)). */

export interface ListedFile {
  name: Buffer
  /** `st_mode`, with the file's type. */
  mode: number
  links: number
  /** Shown names of the owner and the group. */
  owner: string
  group: string
  /** Bytes. */
  size: number
  /** Seconds since 1970. */
  mtime: number
}

/**
 * `-rw-r--r--    1 acme     acme         1024 Jan 13 18:39 name`, the name as its raw bytes. Times are UTC, where
 * OpenSSH takes the server's zone: the line names no zone, and a partner cannot know the one of a server elsewhere.
 */
export function longname(file: ListedFile, nowSeconds: number): Buffer {
  const links = String(file.links).padStart(3)
  const owner = file.owner.padEnd(8)
  const group = file.group.padEnd(8)
  const size = String(file.size).padStart(8)
  // Two spaces after the mode: strmode(3) leaves a column for an alternate access mark.
  const columns = Buffer.from(`${modeText(file.mode)}  ${links} ${owner} ${group} ${size} ${timeText(file.mtime, nowSeconds)} `)
  return Buffer.concat([columns, file.name])
}

/** The type's letter by the four bits above the permissions (inode(7)). */
const TYPE_LETTERS = '?pc?d?b?-?l?s???'

function modeText(mode: number): string {
  const type = TYPE_LETTERS.charAt((mode >> 12) & 0o17)
  const user = permissionText(mode >> 6, (mode & 0o4000) !== 0, 's')
  const group = permissionText(mode >> 3, (mode & 0o2000) !== 0, 's')
  const others = permissionText(mode, (mode & 0o1000) !== 0, 't')
  return type + user + group + others
}

/** Three letters; a special bit (setuid, setgid, sticky) takes the place of `x`, as a capital where `x` is not set. */
function permissionText(bits: number, isSpecial: boolean, special: string): string {
  const read = bits & 4 ? 'r' : '-'
  const write = bits & 2 ? 'w' : '-'
  const isExecutable = (bits & 1) !== 0
  if (isSpecial) return read + write + (isExecutable ? special : special.toUpperCase())
  return read + write + (isExecutable ? 'x' : '-')
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** Seconds: half of 365 days, after which ls(1) shows the year instead of the time of day. */
const RECENT_SECONDS = (365 * 24 * 60 * 60) / 2

/** The last second that a Date can hold; file systems may report later ones. */
const DATE_SECONDS_MAX = 8.64e12

function timeText(seconds: number, nowSeconds: number): string {
  const date = new Date(Math.min(Math.max(seconds, -DATE_SECONDS_MAX), DATE_SECONDS_MAX) * 1000)
  const day = `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`
  const isRecent = seconds <= nowSeconds && seconds > nowSeconds - RECENT_SECONDS
  if (!isRecent) return `${day}  ${date.getUTCFullYear()}`
  return `${day} ${String(date.getUTCHours()).padStart(2, '0')}:${String(date.getUTCMinutes()).padStart(2, '0')}`
}
