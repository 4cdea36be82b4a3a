import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openWorld } from '../../src/api/testing.ts'
import { assertPage } from './page.ts'

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  security?: object[]
  responses: Record<string, { description: string; content?: object }>
}

const world = await openWorld()
after(() => world.close())
const document = (await world.api.openapi()) as { openapi: string; paths: Record<string, Record<string, Operation>> }
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
)

test('docs/openapi.json is what the server serves', () => {
  assertPage('openapi.json', `${JSON.stringify(document, null, 2)}\n`)
})

test('every route says what it is for, who may call it and what it answers', () => {
  assert.equal(document.openapi, '3.1.0')
  for (const { name, operation } of operations) {
    const { operationId, summary, tags, security, responses } = operation
    assert.ok(operationId && summary && tags?.length === 1 && security !== undefined, name)
    assert.ok(
      Object.keys(responses).some((status) => status.startsWith('2')),
      name,
    )
    for (const [status, { description, content }] of Object.entries(responses)) {
      assert.notEqual(description, 'Default Response', `${name} ${status}`)
      assert.ok(content !== undefined || status === '204', `${name} ${status}`)
    }
  }
})

test('no two routes share an operationId', () => {
  const ids = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length)
})

test('every reference leads to a schema', () => {
  const { components } = document as unknown as { components: { schemas: Record<string, object> } }
  const targets = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target!)
  assert.ok(targets.length > 100)
  for (const target of targets) assert.ok(components.schemas[target.replace('#/components/schemas/', '')] !== undefined, target)
})
