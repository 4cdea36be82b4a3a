/**
 * OpenSSH's own regression scripts of sftp, against this server. They run `sftp -D PROGRAM`, which speaks SFTP to a
 * program; ours is ssh to the server's subsystem. The scripts use one path for both sides, so the work folder is a link
 * into the user's home, and the path of that link exists in the home too.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type OpenSsh, opensshMissing, run, startOpenSsh } from './openssh.ts'

const REGRESS = '/usr/lib/openssh/regress'
const SCRIPTS = ['sftp', 'sftp-cmds', 'sftp-badcmds', 'sftp-batch', 'sftp-glob']

const missing =
  opensshMissing ?? (existsSync(REGRESS) ? undefined : 'needs the scripts of OpenSSH: install the Debian package openssh-tests')

describe('OpenSSH regress', { skip: missing ?? false }, () => {
  let at: OpenSsh
  let outer: string
  let work: string
  let program: string

  before(async () => {
    at = await startOpenSsh()
    outer = await mkdtemp(join(tmpdir(), 'landfall-regress-'))
    work = join(outer, 'obj')
    await mkdir(join(at.remote, work), { recursive: true })
    await symlink(join(at.remote, work), work)
    // Some scripts fetch /bin/l*.
    await mkdir(join(at.remote, 'bin'))
    for (const name of await readdir('/bin')) {
      if (name.startsWith('l') && (await isFile(join('/bin', name))))
        await copyFile(join('/bin', name), join(at.remote, 'bin', name))
    }
    program = join(outer, 'sftp-server')
    const words = [...at.options, '-s', at.server.sftpHost, 'sftp'].map((word) => `'${word}'`).join(' ')
    await writeFile(program, `#!/bin/sh\nexec ssh ${words}\n`)
    await chmod(program, 0o755)
  })
  after(async () => {
    await at.stop()
    await rm(outer, { recursive: true, force: true })
  })

  for (const script of SCRIPTS) {
    test(script, { timeout: 240_000 }, async () => {
      const path = join(outer, `${script}.sh`)
      await writeFile(path, adapted(await readFile(join(REGRESS, `${script}.sh`), 'utf8')))
      const env = { ...process.env, TEST_SSH_SFTPSERVER: program, TEST_SHELL: 'sh', SUDO: '' }
      const words = [join(REGRESS, 'test-exec.sh'), work, path]
      const { status, stdout, stderr } = await run('sh', words, { cwd: REGRESS, env })
      assert.equal(status, 0, `${stdout}\n${stderr}`)
    })
  }
})

/**
 * Two changes: the one part of `sftp-cmds` that makes a hard link is left out, since a file has one name here and they
 * are refused; and `sftp` asks for 100 bytes at a time at least, not 5, which takes minutes and shows nothing more.
 */
function adapted(script: string): string {
  return script.replace(/^verbose "\$tid: ln"$.*?(?=^verbose )/ms, '').replace(/^BUFFERSIZE="5 /m, 'BUFFERSIZE="100 ')
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path)).isFile()
}
