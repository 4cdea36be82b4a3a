import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { startTestServer } from '../server.ts'

// The agent as another machine gets it: packed as built JavaScript, unpacked under `node_modules`, where types are not stripped, and run.
// What it depends on is lent from here: nothing is fetched.

const ROOT = join(import.meta.dirname, '../..')
const PACKAGE = join(ROOT, 'packages/agent')
const folder = mkdtempSync(join(tmpdir(), 'landfall-agent-package-'))
after(() => rmSync(folder, { recursive: true }))

const manifest = (path: string) => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))

/** The package, unpacked; its name is npm's choice. */
function unpacked(): string {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` }
  const npm = process.env.npm_execpath
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]]
  const args = [...first, 'pack', '--json', '--pack-destination', folder]
  execFileSync(command, args, { cwd: PACKAGE, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [archive] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  execFileSync('tar', ['-xzf', archive!], { cwd: folder })
  // Found from the package upwards, as installed packages are.
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'package')
}

test('packed, unpacked, enrolled and run', async () => {
  const installed = unpacked()
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    files.filter((name) => /\.test\.|testing|\.ts$|src\/(store|api|webhooks)/.test(name)),
    [],
  )
  const entry = join(installed, manifest(installed).bin['landfall-agent'])
  const server = await startTestServer()
  const { token } = await server.call<{ token: string }>('POST', '/api/enrollment-tokens', { name: 'package' })
  const where = ['--folder', join(folder, 'agent')]
  const enroll = [entry, 'enroll', '--server', server.http, '--token', token, ...where]
  const { stdout } = await promisify(execFile)(process.execPath, enroll)
  assert.match(stdout, /\n {2}landfall-agent run --folder /)

  const agent = spawn(process.execPath, [entry, 'run', '--json', ...where], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(agent, 'exit')
  for await (const line of createInterface({ input: agent.stdout! })) if (JSON.parse(line).type === 'connected') break
  agent.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
  await server.stop()
})

test('it names the versions that are tested here, of all that it loads', () => {
  const { dependencies } = manifest(PACKAGE)
  const ours = manifest(ROOT).dependencies
  assert.deepEqual(dependencies, Object.fromEntries(Object.keys(dependencies).map((name) => [name, ours[name]])))
  const imported = new Set<string>()
  for (const path of builtFiles(join(PACKAGE, 'dist')))
    for (const [, one, other] of readFileSync(path, 'utf8').matchAll(
      /^import [^;]* from '([^.'][^']*)'|import\('([^.'][^']*)'\)/gm,
    )) {
      const name = (one ?? other)!
      if (!name.startsWith('node:')) imported.add(name.split('/', name.startsWith('@') ? 2 : 1).join('/'))
    }
  assert.deepEqual([...imported].sort(), Object.keys(dependencies).sort())
  assert.equal(manifest(PACKAGE).version, manifest(ROOT).version)
})

function builtFiles(path: string): string[] {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.js')).map((name) => join(path, name))
}
