import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fingerprintOf } from '../agent/clients/ssh-connection.ts'
import { KIB, MIB } from '../src/base/units.ts'
import type { Place, SftpEndpoint } from '../src/wire/agent/work.ts'
import type { Dose } from './dose.ts'
import type { MoveOrder, MoveResult } from './moving.ts'
import { watchResident } from './processes.ts'
import type { Figure, Row, Target } from './report.ts'
import { endsWithUs, withFolder } from './scratch.ts'
import { hasProgram, nativeCiphers, type SftpLogin, sftp, writeSource } from './sftp-client.ts'
import { findSshd, makeKey, Sshd } from './sshd.ts'
import { median } from './statistics.ts'

/** (j) The agent's way of moving files over SFTP: one large file beside OpenSSH's client, many small ones beside rclone, all against one sshd. */

const run = promisify(execFile)
const TITLE = 'the agent over SFTP, aes128-gcm: one large file, many small ones'
const LARGE_TARGET = 0.45
const SMALL_TARGET = 1
const MEMORY_TARGET_MB = 200
const SMALL_BYTES = 4 * KIB
/** Files at the same time, for the agent as for rclone: enough that the wait for the disk, which only the agent has, is filled by other files. */
const CONCURRENCY = 8
const DEADLINE_MS = 5 * 60_000
const DIRECTIONS = ['pull', 'push'] as const
type Direction = (typeof DIRECTIONS)[number]

export async function measureAgent(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const program = findSshd()
  if (program === undefined || !(await hasProgram('sftp', '-h')) || !(await hasProgram('rclone', 'version'))) {
    const skipped = 'it needs OpenSSH and rclone: install openssh-server, openssh-client and rclone'
    return { row: 'j', title: TITLE, figures: [], targets: [], notes: [], skipped }
  }
  return withFolder('agent', async (folder) => {
    const key = await makeKey(folder, 'client_key')
    await writeFile(join(folder, 'authorized_keys'), await readFile(`${key}.pub`))
    await chmod(folder, 0o755)
    const sshd = await Sshd.start(program, folder, join(folder, 'authorized_keys'))
    const mover = new Mover()
    try {
      const hostKey = (await readFile(join(folder, 'sshd_host_key.pub'), 'utf8')).split(' ')[1]!
      const endpoint: SftpEndpoint = {
        protocol: 'sftp',
        host: '127.0.0.1',
        port: sshd.port,
        username: sshd.user,
        privateKey: await readFile(key, 'utf8'),
        hostKeys: [fingerprintOf(Buffer.from(hostKey, 'base64'))],
        trustsFirstKey: false,
      }
      return await new Measuring(dose, progress, {
        folder,
        mover,
        endpoint,
        login: { user: sshd.user, port: sshd.port, key },
      }).run()
    } finally {
      mover.stop()
      await sshd.stop()
    }
  })
}

interface Setting {
  readonly folder: string
  readonly mover: Mover
  readonly endpoint: SftpEndpoint
  readonly login: SftpLogin
}

class Measuring {
  readonly #dose: Dose
  readonly #progress: (text: string) => void
  readonly #setting: Setting
  readonly #figures: Figure[] = []
  readonly #targets: Target[] = []

  constructor(dose: Dose, progress: (text: string) => void, setting: Setting) {
    this.#dose = dose
    this.#progress = progress
    this.#setting = setting
  }

  async run(): Promise<Row> {
    const { mover, folder } = this.#setting
    const [large, small, to] = ['large', 'small', 'to'].map((name) => join(folder, name)) as [string, string, string]
    await Promise.all([large, small, to].map((one) => mkdir(one)))
    await writeSource(join(large, 'large.bin'), this.#dose.transferBytes)
    for (let index = 0; index < this.#dose.smallFiles; index++)
      await writeFile(join(small, `${index}.bin`), crypto.getRandomValues(new Uint8Array(SMALL_BYTES)))
    const memory = watchResident(mover.pid)

    const megabytes = this.#dose.transferBytes / 1e6
    await this.#compare(to, {
      name: 'large file',
      unit: 'mb_per_second',
      amount: megabytes,
      atLeast: LARGE_TARGET,
      peer: 'sftp',
      theirs: (direction, to) =>
        sftp(this.#setting.login, `${direction === 'pull' ? 'get' : 'put'} ${large}/large.bin ${to}/large.bin`),
      from: large,
    })
    await this.#compare(to, {
      name: 'small files',
      unit: 'per_second',
      amount: this.#dose.smallFiles,
      atLeast: SMALL_TARGET,
      peer: 'rclone',
      theirs: (direction, to) => this.#rclone(direction, small, to),
      from: small,
    })
    this.#targets.push({ name: 'memory of the agent, at most', value: memory.stop(), unit: 'mb', atMost: MEMORY_TARGET_MB })
    const ciphers = nativeCiphers() ? "ssh2's native binding" : "JavaScript (node:crypto); ssh2's native binding is not there"
    const notes = [
      `one file of ${this.#dose.transferBytes / MIB} MiB, and ${this.#dose.smallFiles} of ${SMALL_BYTES / KIB} KiB, ${CONCURRENCY} at a time, to files on the same disk`,
      'the agent lists, hashes, verifies, syncs and renames each file, with the time of the source; what it would report to a server is answered at once',
      'the seconds of sftp and rclone are those of the whole command; rclone with its own choice of ciphers, without asking the server for hashes (--sftp-disable-hashcheck), which is faster, and with one sync of the disk after all files',
      `ciphers in use by the agent: ${ciphers}`,
    ]
    return { row: 'j', title: TITLE, figures: this.#figures, targets: this.#targets, notes }
  }

  async #compare(to: string, { name, unit, amount, atLeast, peer, theirs, from }: Comparison): Promise<void> {
    const { mover, endpoint, folder } = this.#setting
    const rates = { pull: { agent: [], peer: [] }, push: { agent: [], peer: [] } } as Record<
      Direction,
      Record<'agent' | 'peer', number[]>
    >
    for (let round = 1; round <= this.#dose.runs; round++) {
      for (const direction of DIRECTIONS) {
        for (const way of ['peer', 'agent'] as const) {
          const into = join(to, `${name}-${round}-${direction}-${way}`.replace(' ', '-'))
          await mkdir(into)
          const far: Place = { endpoint, path: direction === 'pull' ? `${from}/*` : into }
          const near: Place = { endpoint: { protocol: 'local' }, path: direction === 'pull' ? into : `${from}/*` }
          const [source, destination] = direction === 'pull' ? [far, near] : [near, far]
          const order = { source, destination, concurrency: CONCURRENCY, folder: join(folder, 'agent'), roots: [folder] }
          // Whoever syncs would else wait for what the other one left unwritten.
          await run('sync')
          const seconds = way === 'peer' ? await theirs(direction, into) : await mover.move(order)
          rates[direction][way].push(amount / seconds)
          this.#progress(
            `(j) run ${round}: ${name}, ${direction}, ${way === 'peer' ? peer : way}: ${(amount / seconds).toFixed(0)}`,
          )
          // Small files stay: ext4 makes the next ones slowly for some minutes after many were deleted.
          if (unit === 'mb_per_second') await rm(into, { recursive: true })
        }
      }
    }
    for (const direction of DIRECTIONS) {
      const { agent, peer: others } = rates[direction]
      this.#figures.push({ name: `${name}, ${peer}, ${direction}`, unit, value: median(others), runs: others })
      this.#figures.push({ name: `${name}, agent, ${direction}`, unit, value: median(agent), runs: agent })
      const ratios = agent.map((rate, index) => rate / others[index]!)
      this.#targets.push({ name: `${name}, ${direction} ÷ ${peer}`, value: median(ratios), unit: 'ratio', atLeast, runs: ratios })
    }
  }

  async #rclone(direction: Direction, from: string, to: string): Promise<number> {
    const { user, port, key } = this.#setting.login
    const far = (path: string) => `:sftp:${path}`
    const [source, destination] = direction === 'pull' ? [far(from), to] : [from, far(to)]
    const options = [
      '--config',
      '/dev/null',
      '--transfers',
      String(CONCURRENCY),
      '--sftp-host',
      '127.0.0.1',
      '--sftp-port',
      String(port),
    ]
    const login = ['--sftp-user', user, '--sftp-key-file', key, '--sftp-disable-hashcheck']
    const begun = performance.now()
    await run('rclone', ['copy', source, destination, ...options, ...login], { timeout: DEADLINE_MS })
    // The files of the agent are on the disk when it is done: these shall be too, by one sync for all of them.
    await run('sync', ['--file-system', to])
    return (performance.now() - begun) / 1000
  }
}

interface Comparison {
  readonly name: string
  readonly unit: 'mb_per_second' | 'per_second'
  /** Of the unit, in one run. */
  readonly amount: number
  readonly atLeast: number
  readonly peer: string
  readonly from: string
  /** Moves the same in the peer's way; returns the seconds. */
  theirs(direction: Direction, to: string): Promise<number>
}

/** The process that moves files, started as `landfall` starts. */
class Mover {
  readonly #child: ChildProcess
  readonly #forget: () => void

  constructor() {
    this.#child = fork(new URL('mover.ts', import.meta.url), {
      execArgv: ['--max-semi-space-size=2', '--max-old-space-size=384'],
    })
    this.#forget = endsWithUs(() => this.#child.kill('SIGKILL'))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Returns the seconds that it took. */
  async move(order: MoveOrder): Promise<number> {
    this.#child.send(order)
    const [result] = (await once(this.#child, 'message')) as [MoveResult]
    if ('error' in result) throw new Error(result.error)
    return result.seconds
  }

  stop(): void {
    this.#child.disconnect()
    this.#forget()
  }
}
