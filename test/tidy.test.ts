import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** docs/architecture.md says what each folder is for; this table is what it may import besides Node, itself and `base`. */
const LAYERS: Record<string, { folders: readonly string[]; packages?: readonly string[]; typesOnly?: true; noBase?: true }> = {
  base: { folders: [], packages: ['pino', 'typebox'] },
  config: { folders: [] },
  http: { folders: [], packages: ['undici', 'ipaddr.js'] },
  wire: { folders: [] },
  events: { folders: [], packages: ['typebox'] },
  dialects: { folders: ['events'] },
  audit: { folders: ['events'] },
  accounts: { folders: ['events', 'audit'] },
  files: { folders: ['events', 'audit', 'accounts'] },
  webhooks: { folders: ['events', 'dialects', 'http', 'audit'] },
  agents: { folders: ['wire', 'events', 'audit', 'accounts'], packages: ['@peculiar/x509'] },
  transfers: { folders: ['wire', 'events', 'audit', 'agents'] },
  jobs: { folders: ['wire', 'events', 'audit', 'agents', 'transfers'], packages: ['croner'] },
  watch: { folders: ['events', 'audit', 'webhooks'], packages: ['nodemailer'] },
  store: {
    folders: [
      ...['config', 'http', 'wire', 'events', 'dialects', 'audit', 'accounts', 'files', 'webhooks'],
      ...['agents', 'transfers', 'jobs', 'watch'],
    ],
    typesOnly: true,
    packages: ['kysely', 'pg'],
  },
  protocols: { folders: ['wire', 'audit', 'accounts', 'files'], packages: ['ssh2'] },
  api: {
    folders: ['wire', 'events', 'dialects', 'audit', 'accounts', 'files', 'webhooks', 'agents', 'transfers', 'jobs', 'watch'],
    packages: ['fastify', 'typebox', '@fastify/type-provider-typebox', '@fastify/swagger', '@fastify/swagger-ui'],
  },
  app: { folders: '*' as unknown as string[] },
  agent: {
    folders: ['wire'],
    packages: ['ssh2', 'basic-ftp', '@aws-sdk/client-s3', 'undici'],
  },
  cli: { folders: ['config', 'app', 'agent', 'sdk'], packages: ['ssh2'] },
  sdk: { folders: [], noBase: true },
}

/** What tests of any folder may import besides: other clients, and the libraries that judge what we send. */
const TEST_PACKAGES = [
  ...['fast-check', 'undici', 'ssh2', 'ssh2-sftp-client', 'pg', 'typebox'],
  ...[
    'smtp-server',
    'standardwebhooks',
    'svix',
    'cloudevents',
    'express',
    'fauxqs',
    '@peculiar/x509',
    '@aws-sdk/client-s3',
    'basic-ftp',
  ],
]

/** Examples for receivers stand in the sdk and show it beside the servers that people use. */
const EXAMPLE_PACKAGES = ['express', 'fastify']

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** The layer of a file: its folder under `src`, or its top folder. */
function layerOf(path: string): string {
  const parts = relative(root, path).split('/')
  return (parts[0] === 'src' ? parts[1] : parts[0]) ?? ''
}

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && /\.(ts|js)$/.test(entry.name)) yield join(entry.parentPath, entry.name)
  }
}

interface Import {
  from: string
  typeOnly: boolean
}

function importsOf(text: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?'([^']+)'/gm)) {
    found.push({ from: match[2]!, typeOnly: match[1] !== undefined })
  }
  for (const match of text.matchAll(/\bimport\('([^']+)'\)/g)) found.push({ from: match[1]!, typeOnly: false })
  return found
}

/** Why this import breaks the table, or undefined. Tests may also import `test/`, fast-check and other tests' doubles. */
function fault(path: string, { from, typeOnly }: Import): string | undefined {
  const layer = layerOf(path)
  const rule = LAYERS[layer]
  const isTest = /(\.test|testing|conformance)\.ts$/.test(path)
  if (rule === undefined) return `folder ${layer} is not in the layer table`
  if (from.startsWith('node:')) return undefined
  if (!from.startsWith('.')) {
    const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0]!
    const isExample = relative(root, path).startsWith('sdk/examples/')
    const known = [...(rule.packages ?? []), ...(isTest ? TEST_PACKAGES : []), ...(isExample ? EXAMPLE_PACKAGES : [])]
    return known.includes(name) ? undefined : `package ${name} is not named for ${layer}`
  }
  const target = layerOf(resolve(dirname(path), from))
  if (target === layer || (isTest && target === 'test')) return undefined
  if (target === 'base') return rule.noBase ? 'sdk imports nothing' : undefined
  if (layer === 'app') return ['cli', 'test', 'bench'].includes(target) ? `app may not import ${target}` : undefined
  if (isTest && layer !== 'sdk') return undefined
  if (!rule.folders.includes(target)) return `${layer} may not import ${target}`
  return rule.typesOnly && !typeOnly ? `${layer} may only import types of ${target}` : undefined
}

test('imports follow the layer table', () => {
  const faults: string[] = []
  for (const folder of ['src', 'cli', 'agent', 'sdk']) {
    for (const path of sources(folder)) {
      for (const one of importsOf(readFileSync(path, 'utf8'))) {
        const why = fault(path, one)
        if (why !== undefined) faults.push(`${relative(root, path)}: '${one.from}': ${why}`)
      }
    }
  }
  assert.deepEqual(faults, [])
})

test('the table itself refuses what it should', () => {
  const refused = [
    ['src/protocols/sftp/session.ts', '../../webhooks/engine.ts'],
    ['src/files/upload.ts', '../store/store.ts'],
    ['src/dialects/mftplus.ts', 'undici'],
    ['sdk/verify.ts', '../src/base/units.ts'],
    ['sdk/verify.ts', 'express'],
    ['sdk/examples/express.ts', '../../src/base/units.ts'],
    ['src/store/store.ts', '../webhooks/plan.ts'],
  ] as const
  for (const [path, from] of refused)
    assert.notEqual(fault(join(root, path), { from, typeOnly: false }), undefined, `${path} ← ${from}`)
})

test('SQL stands in the store only', () => {
  const outside = [...sources('src'), ...sources('cli')].filter(
    (path) =>
      !['store', 'app'].includes(layerOf(path)) &&
      !path.endsWith('.test.ts') &&
      /\b(select .+ from|insert into|update \w+ set|delete from)\b/.test(
        readFileSync(path, 'utf8').replace(/^\s*(\/\/|\*|\/\*|import ).*$/gm, ''),
      ),
  )
  assert.deepEqual(
    outside.map((path) => relative(root, path)),
    [],
  )
})

test('only base/clock.ts reads a clock in src', () => {
  const readers = [...sources('src')].filter(
    (path) =>
      !path.endsWith('base/clock.ts') &&
      !/(\.test|testing|conformance)\.ts$/.test(path) &&
      /\bDate\.now\(|\bperformance\.now\(|new Date\(\)/.test(readFileSync(path, 'utf8')),
  )
  assert.deepEqual(
    readers.map((path) => relative(root, path)),
    [],
  )
})

test('folders and files are named by what they are', () => {
  const vague = /(^|\/)(utils?|common|helpers?|managers?|misc|index)(\.ts)?$/
  const allowed = ['src/dialects/index.ts']
  const found = ['src', 'cli']
    .flatMap((folder) => [...sources(folder)].map((path) => relative(root, path)))
    .filter((path) => vague.test(path) && !allowed.includes(path))
  assert.deepEqual(found, [])
})
