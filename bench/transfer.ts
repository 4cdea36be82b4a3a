import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB } from '../src/base/units.ts'
import type { Dose } from './dose.ts'
import { cpuSeconds } from './processes.ts'
import type { Figure, Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { Server } from './server.ts'
import { hasProgram, nativeCiphers, sftp, writeSource } from './sftp-client.ts'
import { findSshd, makeKey, Sshd } from './sshd.ts'
import { median } from './statistics.ts'

/** (e) One large put and get by OpenSSH's client, against Landfall and against OpenSSH's own server. */

const TITLE = 'OpenSSH sftp, one large file, aes128-gcm'
const TARGET = 0.5

type Way = 'sshd' | 'landfall'
type Direction = 'put' | 'get'
interface Login {
  readonly user: string
  readonly port: number
  /** Where the client may write. */
  readonly folder: string
}

export async function measureTransfer(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const ciphers = `ciphers in use by Landfall: ${nativeCiphers() ? "ssh2's native binding" : "JavaScript (node:crypto); ssh2's native binding is not there"}`
  const program = findSshd()
  if (program === undefined || !(await hasProgram('sftp', '-h'))) {
    const skipped = 'it needs OpenSSH: install openssh-server and openssh-client'
    return { row: 'e', title: TITLE, figures: [], targets: [], notes: [ciphers], skipped }
  }
  return withFolder('transfer', async (folder) => {
    const key = await makeKey(folder, 'client_key')
    const publicKey = (await readFile(`${key}.pub`, 'utf8')).trim()
    await writeFile(join(folder, 'authorized_keys'), `${publicKey}\n`)
    await chmod(folder, 0o755)
    const source = join(folder, 'source.bin')
    await writeSource(source, dose.transferBytes)

    const theirs = join(folder, 'sshd')
    await mkdir(theirs)
    const sshd = await Sshd.start(program, folder, join(folder, 'authorized_keys'))
    const server = await Server.start(join(folder, 'data'))
    try {
      await server.createUser(publicKey)
      const logins = {
        sshd: { user: sshd.user, port: sshd.port, folder: theirs },
        landfall: { user: server.login.username, port: server.sftp.port, folder: '/' },
      }
      return await measure(dose, progress, { key, source, logins, serverPid: server.pid, ciphers })
    } finally {
      await server.stop()
      await sshd.stop()
    }
  })
}

interface Setting {
  readonly key: string
  readonly source: string
  readonly logins: Record<Way, Login>
  readonly serverPid: number
  readonly ciphers: string
}

async function measure(dose: Dose, progress: (text: string) => void, setting: Setting): Promise<Row> {
  const { source, logins, serverPid } = setting
  const rates: Record<Direction, Record<Way, number[]>> = { put: { sshd: [], landfall: [] }, get: { sshd: [], landfall: [] } }
  const cpu: Record<Direction, { main: number; others: number }[]> = { put: [], get: [] }
  for (let round = 1; round <= dose.runs; round++) {
    for (const way of ['sshd', 'landfall'] as const) {
      const { folder } = logins[way]
      const remote = join(folder, `copy-${round}.bin`)
      for (const [direction, command] of [
        ['put', `put ${source} ${remote}`],
        ['get', `get ${remote} /dev/null`],
      ] as const) {
        const before = cpuSeconds(serverPid)
        const seconds = await sftp({ ...logins[way], key: setting.key }, command)
        const after = cpuSeconds(serverPid)
        if (way === 'landfall' && before && after)
          cpu[direction].push({ main: after.main - before.main, others: after.others - before.others })
        rates[direction][way].push(dose.transferBytes / 1e6 / seconds)
        progress(`(e) run ${round} of ${dose.runs}: ${way} ${direction}: ${(dose.transferBytes / 1e6 / seconds).toFixed(0)} MB/s`)
      }
      await sftp({ ...logins[way], key: setting.key }, `rm ${remote}`)
    }
  }
  const figures: Figure[] = []
  const targets: Target[] = []
  const notes = [
    `one file of ${dose.transferBytes / MIB} MiB; a get is written to /dev/null; the seconds are those of the whole sftp command`,
    setting.ciphers,
  ]
  for (const direction of ['put', 'get'] as const) {
    const { sshd, landfall } = rates[direction]
    figures.push({ name: `sshd, ${direction}`, unit: 'mb_per_second', value: median(sshd), runs: sshd })
    figures.push({ name: `Landfall, ${direction}`, unit: 'mb_per_second', value: median(landfall), runs: landfall })
    const ratios = landfall.map((rate, index) => rate / sshd[index]!)
    targets.push({ name: `${direction} ÷ sshd`, value: median(ratios), unit: 'ratio', atLeast: TARGET, runs: ratios })
    if (cpu[direction].length > 0) {
      const of = (which: 'main' | 'others') => median(cpu[direction].map((one) => one[which])).toFixed(1)
      notes.push(
        `CPU of Landfall a ${direction}: ${of('main')} s main thread (SSH), ${of('others')} s others (files, hash, runtime)`,
      )
    }
  }
  return { row: 'e', title: TITLE, figures, targets, notes }
}
