import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onceAnEvent } from './json.ts'

test('a body is made once for an event, however many webhooks it is for, and anew for another event of the same look', () => {
  let made = 0
  const body = onceAnEvent((event: { id: string }) => `${event.id} ${++made}`)
  const [first, second] = [{ id: 'a' }, { id: 'a' }]
  assert.deepEqual([body(first), body(first), body(second), body(second), body(first)], ['a 1', 'a 1', 'a 2', 'a 2', 'a 3'])
})
