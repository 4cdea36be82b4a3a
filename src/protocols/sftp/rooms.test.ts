import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB } from '../../base/units.ts'
import { PACKET_BYTES_MAX } from '../../wire/sftp/constants.ts'
import { IDLE_BYTES_MAX, Rooms } from './rooms.ts'

test('Rooms: what is given back is taken again, also by a view on it', () => {
  const rooms = new Rooms()
  const room = rooms.take(200 * KIB)
  rooms.giveBack(room.subarray(10, 20))
  assert.equal(rooms.idleBytes, room.length)
  assert.equal(rooms.take(150 * KIB).buffer, room.buffer)
  assert.equal(rooms.idleBytes, 0)
})

test('Rooms: two that are lent never share memory, whatever is given back twice', () => {
  const rooms = new Rooms()
  const room = rooms.take(32 * KIB)
  rooms.giveBack(room)
  rooms.giveBack(room)
  assert.notEqual(rooms.take(32 * KIB).buffer, rooms.take(32 * KIB).buffer)
})

test('Rooms: a buffer from elsewhere is left alone', () => {
  const rooms = new Rooms()
  rooms.giveBack(Buffer.allocUnsafeSlow(rooms.take(32 * KIB).length))
  assert.equal(rooms.idleBytes, 0)
})

test('Rooms: idle ones are bounded', () => {
  const rooms = new Rooms()
  const lent = Array.from({ length: 100 }, () => rooms.take(PACKET_BYTES_MAX))
  for (const room of lent) rooms.giveBack(room)
  assert.ok(rooms.idleBytes <= IDLE_BYTES_MAX && rooms.idleBytes > IDLE_BYTES_MAX / 2, String(rooms.idleBytes))
})

test('Rooms: every size fits, and is at most about twice what was asked', () => {
  const rooms = new Rooms()
  for (let bytes = 1; bytes <= PACKET_BYTES_MAX; bytes += 511) {
    const { length } = rooms.take(bytes)
    assert.ok(length >= bytes && length <= 2 * bytes + KIB, `${bytes}: ${length}`)
    assert.equal(length, Rooms.sizeFor(bytes))
  }
})
