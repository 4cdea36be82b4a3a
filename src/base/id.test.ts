import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId, randomText } from './id.ts'

test('ids begin with their kind and their time, and none comes twice', () => {
  const ids = Array.from({ length: 20_000 }, () => newId('delivery', Date.UTC(2026, 5, 8)))
  for (const id of ids) assert.match(id, /^dlv_mq4g2dc0[0-9a-z]{8}$/)
  assert.equal(new Set(ids).size, ids.length)
})

test('ids made later sort later', () => {
  assert.ok(newId('event', 999) < newId('event', 1000))
})

test('texts of any length, also longer than what is asked of the system at once', () => {
  for (const length of [0, 1, 32, 2048, 2049, 10_000]) assert.match(randomText(length), new RegExp(`^[0-9a-z]{${length}}$`))
  assert.notEqual(randomText(5_000), randomText(5_000))
})

test('bytes from 252 up are left out, so that every character is equally likely', () => {
  const bytes = [255, 252, 251, 0, 35, 36]
  let next = 0
  const text = randomText(4, (into) => {
    for (let at = 0; at < into.length; at++) into[at] = bytes[next++ % bytes.length]!
  })
  assert.equal(text, 'z0z0')
})
