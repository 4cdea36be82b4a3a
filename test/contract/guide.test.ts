import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DialectName } from '../../src/dialects/dialect.ts'
import { type Signing, signedDelivery } from './signed.ts'

// The programs of docs/webhooks.md, run as they stand, against deliveries that the server's own dialects signed.

const ROOT = join(import.meta.dirname, '../..')
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const folder = mkdtempSync(join(tmpdir(), 'landfall-guide-'))
after(() => rmSync(folder, { recursive: true }))

before(() => {
  // What `npm install express ./landfall-sdk-0.1.0.tgz` would have put there.
  const modules = join(folder, 'node_modules')
  const sdk = join(modules, '@landfall/sdk')
  mkdirSync(sdk, { recursive: true })
  symlinkSync(join(ROOT, 'node_modules/express'), join(modules, 'express'))
  cpSync(join(ROOT, 'sdk/package.json'), join(sdk, 'package.json'))
  const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
  execFileSync(process.execPath, [tsc, '--project', join(ROOT, 'sdk/tsconfig.json'), '--outDir', join(sdk, 'dist')])
})

/** Longest wait for a line of a program, ms. */
const WAIT_MS = 30_000

const PAGE = readFileSync(join(ROOT, 'docs/webhooks.md'), 'utf8')
const PROGRAMS: Readonly<Record<string, { file: string; command: string }>> = {
  express: { file: 'express.mjs', command: process.execPath },
  node: { file: 'node.mjs', command: process.execPath },
  python: { file: 'receiver.py', command: 'python3' },
}

function programOf(name: string): string {
  const found = new RegExp(`<!-- run: ${name} -->\n\`\`\`\\w+\n(.*?)\n\`\`\``, 's').exec(PAGE)
  assert(found?.[1] !== undefined, `docs/webhooks.md has no program ${name}`)
  return `${found[1]}\n`
}

test('every program of the page that is marked to be run is run here', () => {
  assert.deepEqual(
    [...PAGE.matchAll(/<!-- run: (\w+) -->/g)].map(([, name]) => name),
    Object.keys(PROGRAMS),
  )
})

const ways: { program: string; dialect: DialectName }[] = [
  { program: 'express', dialect: 'trueftp' },
  ...(['mftplus', 'trueftp', 'standard'] as const).flatMap((dialect) => [
    { program: 'node', dialect },
    { program: 'python', dialect },
  ]),
]

for (const { program, dialect } of ways) {
  test(`${program}, ${dialect}: takes what is genuine, once, and refuses the rest`, {
    skip: missing(program),
  }, async (t) => {
    const receiver = await started(t, program, dialect)
    const signed = (changes: Partial<Signing> = {}) =>
      signedDelivery({ dialect, type: 'file.uploaded', secret: SECRET, startedAt: Date.now(), ...changes })
    const genuine = signed()
    const path = '/incoming/données 📦.csv'
    const other = signed({ data: { path }, eventId: 'whevt_2', deliveryId: 'dlv_2' })

    assert.equal(await receiver.post(genuine), 204)
    assert.equal(await receiver.post(genuine), 204, 'the same once more')
    assert.equal(await receiver.post(other), 204)
    assert.deepEqual(await receiver.printed(2), ['file.uploaded /incoming/order.csv', `file.uploaded ${path}`])

    const sent = genuine.body.toString()
    const { 'Content-Type': type = '' } = genuine.headers
    const refused = {
      'a changed byte': { ...genuine, body: Buffer.from(sent.replace('order', 'other')) },
      'another writing': { ...genuine, body: Buffer.from(JSON.stringify(JSON.parse(sent), null, 1)) },
      'another secret': signed({ secret: `whsec_${Buffer.alloc(32, 8).toString('base64')}` }),
      'no signature': { ...genuine, headers: { 'Content-Type': type } },
      'a cut signature': {
        ...genuine,
        headers: mapped(genuine.headers, (name, value) => (/signature/i.test(name) ? value.slice(0, -1) : value)),
      },
      ...(dialect === 'mftplus' ? {} : { 'an old time': signed({ startedAt: Date.now() - 600_000 }) }),
    }
    for (const [name, delivery] of Object.entries(refused)) assert.equal(await receiver.post(delivery), 401, name)
    assert.equal((await receiver.printed(2)).length, 2)
  })
}

const wrongStarts: { program: string; env: NodeJS.ProcessEnv; says: RegExp }[] = Object.keys(PROGRAMS).flatMap((program) => [
  { program, env: { WEBHOOK_DIALECT: 'trueftp' }, says: /WEBHOOK_SECRET is not set/ },
  { program, env: { WEBHOOK_SECRET: '', WEBHOOK_DIALECT: 'trueftp' }, says: /WEBHOOK_SECRET is not set/ },
  // Where the dialect is in the program itself, nothing is read.
  ...(program === 'express'
    ? []
    : ['nope', 'toString', undefined].map((dialect) => ({
        program,
        env: { WEBHOOK_SECRET: SECRET, ...(dialect !== undefined && { WEBHOOK_DIALECT: dialect }) },
        says: /WEBHOOK_DIALECT must be one of mftplus, ?trueftp, ?standard, not \w+/,
      }))),
])
for (const { program, env, says } of wrongStarts) {
  test(`${program} does not start with ${JSON.stringify(env)}`, { skip: missing(program) }, () => {
    const { file, command } = PROGRAMS[program]!
    writeFileSync(join(folder, file), programOf(program))
    const options = { cwd: folder, env: { PATH: process.env.PATH, PORT: '0', ...env }, timeout: WAIT_MS }
    const { status, stderr } = spawnSync(command, [file], options)
    assert.equal(status, 1)
    assert.match(String(stderr), says)
  })
}

/** Why a program cannot be run here; false: it can. */
function missing(program: string): string | false {
  return program === 'python' && spawnSync('python3', ['--version']).status !== 0 && 'There is no python3 here.'
}

async function started(t: TestContext, program: string, dialect: DialectName) {
  const { file, command } = PROGRAMS[program]!
  writeFileSync(join(folder, file), programOf(program))
  const env = { PATH: process.env.PATH, WEBHOOK_SECRET: SECRET, WEBHOOK_DIALECT: dialect, PORT: '0', PYTHONIOENCODING: 'utf-8' }
  const child = spawn(command, [file], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const reader = createInterface({ input: child.stdout })
  const lines: string[] = []
  reader.on('line', (line) => lines.push(line))
  const complaint = text(child.stderr)
  const ended = once(child, 'exit').then(async () => assert.fail(`the program ended: ${await complaint}`))
  // Ending it is no failure once the test is over.
  ended.catch(() => {})
  const printed = async (count: number): Promise<readonly string[]> => {
    const signal = AbortSignal.timeout(WAIT_MS)
    while (lines.length < count) await Promise.race([once(reader, 'line', { signal }), ended])
    return lines
  }
  await printed(1)
  const port = /^listening on (\d+)$/.exec(lines.shift()!)?.[1]
  const post = async ({ headers, body }: { headers: Record<string, string>; body: Buffer }): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${port}/webhooks`, { method: 'POST', headers, body: new Uint8Array(body) })
    return answer.status
  }
  return { printed, post }
}

function mapped(headers: Record<string, string>, to: (name: string, value: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, to(name, value)]))
}
