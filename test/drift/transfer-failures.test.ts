import { test } from 'node:test'
import { TRANSFER_FAILURES } from '../../src/wire/agent/failure.ts'
import { assertTable } from './page.ts'

test('docs/agents.md lists why transfers fail, as the code does', () => {
  const rows = Object.entries(TRANSFER_FAILURES).map(([code, { meaning, isWorthRetrying }]) => {
    return `| \`${code}\` | ${isWorthRetrying ? 'yes' : 'no'} | ${meaning} |`
  })
  assertTable('agents.md', ['| `errorCode` | Tried again | Meaning |', '| --- | --- | --- |', ...rows])
})
