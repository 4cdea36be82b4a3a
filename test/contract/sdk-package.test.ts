import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

// The package as receivers install it: packed, installed in an empty folder without a network, used from plain
// JavaScript and from TypeScript.

const SDK = join(import.meta.dirname, '../../sdk')
const folder = mkdtempSync(join(tmpdir(), 'landfall-sdk-'))
after(() => rmSync(folder, { recursive: true }))

// npm says where it is to what it runs; `node --test` alone finds it on the path.
const NPM = process.env.npm_execpath
function npm(args: readonly string[], cwd: string): string {
  // Run by this Node, which npm's own scripts then find first.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` }
  const [command, first] = NPM === undefined ? ['npm', []] : [process.execPath, [NPM]]
  return execFileSync(command, [...first, ...args], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

test('packed, installed and used', () => {
  const [packed] = Object.values(JSON.parse(npm(['pack', '--json', '--pack-destination', folder], SDK))) as { filename: string }[]
  assert(packed !== undefined)
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
  npm(['install', '--offline', '--no-audit', '--no-fund', `./${packed.filename.split('/').at(-1)}`], folder)

  const installed = join(folder, 'node_modules/@landfall/sdk')
  assert.deepEqual(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['@landfall'],
  )
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    files.filter((name) => /test|example|tsconfig/.test(name) || (name.endsWith('.ts') && !name.endsWith('.d.ts'))),
    [],
  )

  writeFileSync(
    join(folder, 'receiver.js'),
    `import { createHmac } from 'node:crypto'
import { verify, VerifyError } from '@landfall/sdk'
import { EVENT_MEMBERS } from '@landfall/sdk/events'
const body = '{"id":"1","event":"file.deleted","timestamp":"t","data":{}}'
const headers = { 'X-Webhook-Signature': 'sha256=' + createHmac('sha256', 's').update(body).digest('hex') }
console.log(verify(headers, body, 's', { dialect: 'mftplus' }).event, EVENT_MEMBERS['dir.created'].join())
try { verify(headers, body, 'x', { dialect: 'mftplus' }) } catch (error) { console.log(error instanceof VerifyError, error.code) }
`,
  )
  const output = execFileSync(process.execPath, ['receiver.js'], { cwd: folder, encoding: 'utf8' })
  assert.equal(output, 'file.deleted path,username,client_ip,path_bytes\ntrue signature_mismatch\n')

  writeFileSync(
    join(folder, 'receiver.ts'),
    `import { verify } from '@landfall/sdk'
const event = verify({}, '', 's', { dialect: 'mftplus' })
if (event.event === 'file.uploaded') { const size: number = event.data.size; void size }
// @ts-expect-error: the payload has no such member.
if (event.event === 'file.uploaded') void event.data.transferId
`,
  )
  const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
  const check = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', '', 'receiver.ts']
  assert.equal(execFileSync(process.execPath, [tsc, ...check], { cwd: folder, encoding: 'utf8' }), '')
  assert.equal(JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')).dependencies, undefined)
})
