import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longname } from './longname.ts'

const NOW = Date.UTC(2026, 0, 20) / 1000
const HALF_YEAR = 15_768_000
const file = {
  name: Buffer.from('.ssh'),
  mode: 0o040755,
  links: 5,
  owner: 'markus',
  group: 'markus',
  size: 1024,
  mtime: Date.UTC(2026, 0, 13, 18, 39) / 1000,
}

// The first line is the example in the comment over ls_file in OpenSSH's sftp-common.c.
const lines = [
  { name: "OpenSSH's example", change: {}, line: 'drwxr-xr-x    5 markus   markus       1024 Jan 13 18:39 .ssh' },
  {
    name: 'the future, with its year',
    change: { mtime: NOW + 60 },
    line: 'drwxr-xr-x    5 markus   markus       1024 Jan 20  2026 .ssh',
  },
  { name: 'this very second', change: { mtime: NOW }, line: 'drwxr-xr-x    5 markus   markus       1024 Jan 20 00:00 .ssh' },
  {
    name: 'half a year ago',
    change: { mtime: NOW - HALF_YEAR },
    line: 'drwxr-xr-x    5 markus   markus       1024 Jul 21  2025 .ssh',
  },
  {
    name: 'a second less than half a year ago',
    change: { mtime: NOW - HALF_YEAR + 1 },
    line: 'drwxr-xr-x    5 markus   markus       1024 Jul 21 12:00 .ssh',
  },
  { name: 'a day of one digit', change: { mtime: 0 }, line: 'drwxr-xr-x    5 markus   markus       1024 Jan  1  1970 .ssh' },
  { name: 'a time before 1970', change: { mtime: -1 }, line: 'drwxr-xr-x    5 markus   markus       1024 Dec 31  1969 .ssh' },
  {
    name: 'wide columns',
    change: { links: 12345, owner: 'a-long-owner', group: 'a-long-group', size: 12_345_678_901 },
    line: 'drwxr-xr-x  12345 a-long-owner a-long-group 12345678901 Jan 13 18:39 .ssh',
  },
] as const
for (const { name, change, line } of lines) {
  test(`longname: ${name}`, () => assert.equal(longname({ ...file, ...change }, NOW).toString(), line))
}

const modes = [
  [0o100644, '-rw-r--r--'],
  [0o100000, '----------'],
  [0o120777, 'lrwxrwxrwx'],
  [0o041777, 'drwxrwxrwt'],
  [0o041776, 'drwxrwxrwT'],
  [0o104755, '-rwsr-xr-x'],
  [0o106644, '-rwSr-Sr--'],
  [0o102755, '-rwxr-sr-x'],
  [0o020620, 'crw--w----'],
  [0o060660, 'brw-rw----'],
  [0o010600, 'prw-------'],
  [0o140755, 'srwxr-xr-x'],
  [0o000644, '?rw-r--r--'],
] as const
for (const [mode, shown] of modes) {
  test(`longname: mode ${mode.toString(8)} is ${shown}`, () => {
    assert.equal(
      longname({ ...file, mode }, NOW)
        .toString()
        .slice(0, 10),
      shown,
    )
  })
}

test('longname: the name keeps its bytes', () => {
  const name = Buffer.from([0x61, 0xff, 0x0a, 0xc3, 0x28])
  assert.ok(
    longname({ ...file, name }, NOW)
      .subarray(-6)
      .equals(Buffer.from([0x20, ...name])),
  )
})

test('longname: times that no Date can hold still make a line', () => {
  for (const mtime of [-1e15, 1e15]) assert.doesNotMatch(longname({ ...file, mtime }, NOW).toString(), /NaN|undefined/)
})
