// Runs all tests: one real PostgreSQL for all of them, then node's test runner over every *.test.ts file. Each file is a process, and
// most load the same modules, so they share a cache of compiled code: a fifth of the time.
// Words after the command choose files: `npm test -- src/files`.
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

if (Number(process.versions.node.split('.')[0]) < 26) {
  process.stderr.write('the tests need Node 26: run them through npm (npm test), which brings its own\n')
  process.exit(1)
}

const chosen = process.argv.slice(2)
const files = globSync('{src,agent,cli,sdk,test,bench}/**/*.test.ts')
  .filter((file) => chosen.length === 0 || chosen.some((word) => file.includes(word)))
  .sort()
if (files.length === 0) {
  process.stderr.write(`no test file matches ${chosen.join(' ')}\n`)
  process.exit(1)
}

const { startPostgres } = await import('./postgres.ts')
const postgres = process.env.TEST_DATABASE_URL ? undefined : await startPostgres()
const compiled = mkdtempSync(join(tmpdir(), 'landfall-compiled-'))
const env = { ...process.env, NODE_COMPILE_CACHE: compiled, ...(postgres ? { TEST_DATABASE_URL: postgres.url } : {}) }
for (const name of Object.keys(env)) if (name.startsWith('LANDFALL_')) delete env[name]

const tests = spawn(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=300000', '--test-reporter=spec', ...files],
  {
    stdio: 'inherit',
    env,
  },
)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tests.kill(signal))
tests.on('exit', async (code) => {
  await postgres?.stop()
  rmSync(compiled, { recursive: true, force: true })
  process.exit(code ?? 1)
})
