import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, FileFacts } from '../clients/client.ts'
import { checkNotSource } from './apart.ts'

// Against real peers: test/flow/itself.test.ts. Here: storages that say little.

const work = {
  source: { endpoint: { protocol: 'local' }, path: '/out/a.csv' },
  destination: { endpoint: { protocol: 'local' }, path: '/in/a.csv' },
} as Parameters<typeof checkNotSource>[0]

/** Two sides of which only the facts are asked, and the time of the destination is set. */
function sides(source: Partial<FileFacts>, destination: Partial<FileFacts> | undefined, isOne = false) {
  const facts = { kind: 'file', size: 3, modifiedAt: 60_000 } as const
  const here: { modifiedAt: number | null } & FileFacts = { ...facts, ...source }
  const there = destination && (isOne ? here : { ...facts, ...destination })
  const times: number[] = []
  const setModifiedAt = async (_path: string, modifiedAt: number) => {
    times.push(modifiedAt)
    Object.assign(there!, { modifiedAt })
  }
  return {
    times,
    source: { stat: async () => ({ ...here }) } as unknown as Client,
    destination: { stat: async () => there && { ...there }, setModifiedAt } as unknown as Client,
  }
}

const cases = [
  { name: 'nothing is there', sides: sides({}, undefined), set: [], error: undefined },
  { name: 'something of another size is there', sides: sides({}, { size: 4 }), set: [], error: undefined },
  { name: 'another file is there', sides: sides({}, {}), set: [50_000, 60_000], error: undefined },
  { name: 'the source itself is there', sides: sides({}, {}, true), set: [50_000, 60_000], error: /reached in another way/ },
  {
    name: 'the source tells no times',
    sides: sides({ modifiedAt: null }, {}),
    set: [],
    error: /cannot be told, because the source tells no times/,
  },
]
for (const { name, sides, set, error } of cases) {
  test(`a destination that shows no parts: ${name}`, async () => {
    const checked = checkNotSource(work, sides, undefined)
    if (error === undefined) await checked
    else await assert.rejects(checked, { code: 'UNSUPPORTED', message: error })
    assert.deepEqual(sides.times, set, 'the time of what is there is as it was')
  })
}
