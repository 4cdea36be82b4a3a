import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { AgentNews } from '../agent/news.ts'
import { MIB } from '../src/base/units.ts'
import { showFor } from './agent-show.ts'

function terminal() {
  const lines: string[] = []
  return { lines, out: (text: string) => void lines.push(text), note() {}, colours: false }
}

/** What a terminal of 60 columns shows after all that was written: lines up and clear-below are all that it needs to know. */
function screen() {
  const lines: string[] = []
  let row = 0
  return {
    isTTY: true,
    columns: 60,
    lines,
    write(text: string) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals are told with.
      const up = /\u001b\[(\d+)A/.exec(text)
      row -= up === null ? 0 : Number(up[1])
      lines.length = row
      for (const line of stripVTControlCharacters(text).replaceAll('\r', '').split('\n').slice(0, -1)) lines.push(line)
      row = lines.length
    },
  }
}

const work = (lease: string, what: string): AgentNews => ({ type: 'work', lease, what })
const running = (lease: string, bytesTransferred: number, size: number | null): AgentNews => ({
  ...{ type: 'report', lease, what: lease },
  report: { state: 'running', size, bytesTransferred, speed: 3 * MIB },
})
const ARRIVAL = { size: 10, bytesTransferred: 10, speed: 1, sha256: 'a' }
const completed = (lease: string): AgentNews => ({
  type: 'report',
  lease,
  what: lease,
  report: { state: 'completed', ...ARRIVAL },
})

test('a terminal shows a bar for each transfer under way, and above them what has ended', () => {
  const shown = screen()
  const { news, end } = showFor(terminal(), false, shown)
  news({ type: 'connected', name: 'north', server: 'example.com:8443' })
  news(work('a', 'pull /a → /b'))
  news(work('b', 'push /c → /d'))
  news(running('a', 5, 10))
  assert.deepEqual(shown.lines, [
    'connected to example.com:8443 as north',
    '████████████░░░░░░░░░░░░  50 %    3.0 MiB/s  pull /a → /b',
    '░░░░░░░░░░░░░░░░░░░░░░░░   0 %    0.0 MiB/s  push /c → /d',
  ])
  news(completed('a'))
  news(running('b', 10, 10))
  assert.deepEqual(shown.lines, [
    'connected to example.com:8443 as north',
    'completed, 10 bytes: a',
    '████████████████████████ 100 %    3.0 MiB/s  push /c → /d',
  ])
  news({ type: 'dropped', lease: 'b', what: 'push', why: 'stopping' })
  end({ kind: 'stopped' })
  assert.deepEqual(shown.lines.slice(2), ['stopped (stopping): push', 'stopped'])
})

test('bars keep to one line each, and names cannot drive the terminal', () => {
  const shown = screen()
  const { news } = showFor(terminal(), false, shown)
  news(work('a', `pull /\u001b[2J${'x'.repeat(100)}`))
  assert.equal(shown.lines.length, 1)
  assert.equal([...shown.lines[0]!].length, 59)
  assert.match(shown.lines[0]!, /pull \/\\x1b.*…$/)
})

test('elsewhere a line is written for each thing that happens', () => {
  const to = terminal()
  const { news, end } = showFor(to, false, { write() {} })
  news(work('a', 'pull /a → /b'))
  news(running('a', 5, 10))
  news(running('a', 6, null))
  news({ type: 'disconnected', why: 'nobody listens there', retryMs: 1_400 })
  end({ kind: 'stopped' })
  assert.deepEqual(to.lines, [
    'begun: pull /a → /b',
    '50 %: a',
    '? %: a',
    'not connected: nobody listens there; trying again in 2 s',
    'stopped',
  ])
})

test('machines read JSON lines; of a listing the number of its files', () => {
  const to = terminal()
  const { news, end } = showFor(to, true, screen(), () => 0)
  const file = { path: '/a', relativePath: 'a', size: 1, modifiedAt: null }
  news({ type: 'report', lease: 'l', what: 'list /a', report: { state: 'listed', files: [file], isTruncated: false } })
  end({ kind: 'revoked', message: 'this agent was revoked' })
  const at = '1970-01-01T00:00:00.000Z'
  assert.deepEqual(
    to.lines.map((line) => JSON.parse(line)),
    [
      { at, type: 'report', lease: 'l', what: 'list /a', report: { state: 'listed', files: 1, isTruncated: false } },
      { at, type: 'end', kind: 'revoked', message: 'this agent was revoked' },
    ],
  )
})
