import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { MIB } from '../../src/base/units.ts'
import { eventually } from '../eventually.ts'
import { type OpenSsh, opensshMissing, run, startOpenSsh } from './openssh.ts'

describe('OpenSSH sftp', { skip: opensshMissing ?? false }, () => {
  let at: OpenSsh
  before(async () => {
    at = await startOpenSsh()
  })
  after(() => at.stop())

  const local = (name: string) => join(at.local, name)
  const remote = (name: string) => join(at.remote, name)

  /** Runs a batch that must succeed. */
  async function sftp(batch: string, options?: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await at.sftp(batch, options)
    assert.equal(status, 0, stderr || stdout)
    return stdout
  }

  test('put, get, overwrite, and an empty file', async () => {
    const data = randomBytes(5 * MIB + 17)
    await writeFile(local('a'), data)
    await writeFile(local('empty'), '')
    await sftp('put a\nput empty\nget a back\nput empty a2\nput a a2\nput empty a3\n')
    assert.ok((await readFile(local('back'))).equals(data))
    assert.ok((await readFile(remote('a2'))).equals(data))
    assert.equal((await stat(remote('empty'))).size, 0)
  })

  test('a cut upload leaves the old version, and reput resumes it', async () => {
    const data = randomBytes(8 * MIB)
    await writeFile(local('big'), data)
    await writeFile(remote('big'), 'old version')
    const child = spawn('sftp', [...at.options, '-l', '4000', '-b', '-', at.server.sftpHost], { cwd: at.local })
    child.stdin.on('error', () => {})
    child.stdin.end('put big fresh\n')
    // The client's limit makes it take sixteen seconds; it is cut once the server has some of it.
    const uploads = join(at.server.folder, 'files/.landfall/uploads')
    await eventually(async () => {
      const [name] = await readdir(uploads)
      assert.ok(name !== undefined && (await stat(join(uploads, name))).size > MIB / 4)
    })
    child.kill('SIGKILL')
    await new Promise((resolve) => child.on('close', resolve))
    await assert.rejects(stat(remote('fresh')), { code: 'ENOENT' })
    const partial = await eventually(async () => {
      const { stdout } = await at.sftp('ls -l fresh\n')
      const listed = /^-rw\S+\s+\S+\s+\S+\s+\S+\s+(\d+) /m.exec(stdout)
      assert.ok(listed !== null)
      return Number(listed[1])
    })
    assert.ok(partial > 0 && partial < data.length, `${partial} bytes are there`)
    await sftp('reput big fresh\n')
    assert.ok((await readFile(remote('fresh'))).equals(data))
    assert.equal(await readFile(remote('big'), 'utf8'), 'old version')
  })

  test('reget goes on where a download stopped', async () => {
    const data = randomBytes(3 * MIB)
    await writeFile(remote('long'), data)
    await writeFile(local('long'), data.subarray(0, MIB))
    await sftp('reget long\n')
    assert.ok((await readFile(local('long'))).equals(data))
  })

  test('folders, rename, remove, and refusals with a sentence', async () => {
    await writeFile(local('f'), 'f')
    await sftp('mkdir d\nput f d/f\nrename d/f d/g\nrename d e\nrm e/g\nrmdir e\n')
    const missing = await at.sftp('rm nothing\n')
    assert.equal(missing.status, 1)
    assert.match(missing.stderr, /No such file/)
    await sftp('mkdir full\nput f full/f\n')
    assert.equal((await at.sftp('rmdir full\n')).status, 1)
    assert.equal((await at.sftp('mkdir full\n')).status, 1)
  })

  test('ls of 10,000 files', async () => {
    await mkdir(remote('many'))
    const names = Array.from({ length: 10_000 }, (_, index) => `file-${String(index).padStart(5, '0')}`)
    for (let from = 0; from < names.length; from += 500) {
      await Promise.all(names.slice(from, from + 500).map((name) => writeFile(join(at.remote, 'many', name), '')))
    }
    const shown = (await sftp('ls -1 many\n')).split('\n').filter((line) => line.startsWith('many/'))
    assert.deepEqual(
      shown,
      names.map((name) => `many/${name}`),
    )
  })

  test('chmod, and times and mode with -p both ways', async () => {
    await writeFile(local('p'), 'p', { mode: 0o640 })
    await utimes(local('p'), 1_000_000_000, 1_100_000_000)
    await sftp('put -p p p\nget -p p p2\nput p q\nchmod 600 q\n')
    const there = await stat(remote('p'))
    assert.equal(there.mtimeMs, 1_100_000_000_000)
    assert.equal(there.mode & 0o777, 0o640)
    assert.equal((await stat(local('p2'))).mtimeMs, 1_100_000_000_000)
    assert.equal((await stat(remote('q'))).mode & 0o777, 0o600)
  })

  test('links inside work, links outside lead nowhere', async () => {
    await writeFile(local('f'), 'inside')
    await sftp('put f target\nln -s target link\nget link linked\n')
    assert.equal(await readlink(remote('link')), 'target')
    assert.equal(await readFile(local('linked'), 'utf8'), 'inside')
    for (const target of ['/etc/passwd', '../../../../../../../etc/passwd']) {
      await symlink(target, remote(`planted${target.length}`))
      const got = await at.sftp(`get planted${target.length} stolen\n`)
      assert.equal(got.status, 1, 'a link out of the space was followed')
    }
    await symlink('/etc', remote('folder'))
    assert.equal((await at.sftp('get folder/passwd stolen\n')).status, 1)
    assert.equal((await at.sftp('put f folder/landfall-test\n')).status, 1)
    await at.sftp('-ln -s ../../../../../../../etc/passwd made\nget made stolen\n')
    assert.ok(!(await readdir(at.local)).includes('stolen'))
    await assert.rejects(stat('/etc/landfall-test'), { code: 'ENOENT' })
  })

  test('names with spaces, quotes, UTF-8 and a leading dash', async () => {
    for (const name of [' lead and trail ', 'grün/ü.txt', '"quoted"', '-dash', '名前 ☃.dat']) {
      const data = randomBytes(100)
      await writeFile(local('n'), data)
      const folder = name.includes('/') ? `-mkdir ${name.split('/')[0]}\n` : ''
      const word = `"/${name.replaceAll('"', '\\"')}"`
      await sftp(`${folder}put n ${word}\nget ${word} back\n`)
      assert.ok((await readFile(remote(name))).equals(data), name)
      assert.ok((await readFile(local('back'))).equals(data), name)
    }
  })

  test('df, cp on the server and pwd', async () => {
    const data = randomBytes(2 * MIB)
    await writeFile(remote('source'), data)
    const said = await sftp('df\npwd\n')
    assert.match(said, /%Capacity/)
    assert.match(said, /Remote working directory: \/\n/)
    // `cp` came with OpenSSH 9.0; older clients do not know the word.
    const copied = await at.sftp('cp source copied\n')
    if (copied.status === 0) assert.ok((await readFile(remote('copied'))).equals(data))
    else assert.match(copied.stderr, /Invalid command/)
  })

  test('many requests of every size in flight', async () => {
    const data = randomBytes(4 * MIB + 1)
    await writeFile(local('r'), data)
    for (const words of [
      ['-B', '1000', '-R', '200'],
      ['-B', '261120', '-R', '64'],
      ['-B', '32768', '-R', '1'],
    ]) {
      await sftp('put r r\nget r r2\n', words)
      assert.ok((await readFile(remote('r'))).equals(data), words.join(' '))
      assert.ok((await readFile(local('r2'))).equals(data), words.join(' '))
    }
  })

  test('a command, a shell and a tunnel are refused with a sentence', async () => {
    for (const command of ['id', 'md5sum x', '']) {
      const { status, stderr } = await run('ssh', [...at.options, at.server.sftpHost, ...(command === '' ? [] : [command])])
      assert.equal(status, 1)
      assert.match(stderr, /this server offers SFTP only/)
    }
  })
})
