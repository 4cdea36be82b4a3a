import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { get, list, openSession, openWorld, PUT, put, RESUME } from './testing.ts'

const b = (text: string) => Buffer.from(text)
const uploadsOf = (folder: string) => readdirSync(join(folder, '.landfall/uploads'))

for (const byDescriptor of process.platform === 'linux' ? [true, false] : [false]) {
  const how = byDescriptor ? 'through descriptors' : 'by path'

  test(`put, get, list, rename, delete (${how})`, async () => {
    const world = await openWorld({ byDescriptor })
    const { space } = world
    await space.makeDirectory(b('/in'), 0o755)
    await put(space, '/in/a.csv', 'hello')
    assert.equal(readFileSync(join(world.home, 'in/a.csv'), 'utf8'), 'hello')
    assert.equal(statSync(join(world.home, 'in/a.csv')).mode & 0o777, 0o644)
    assert.equal((await get(space, '/in/../in//a.csv')).toString(), 'hello')
    await space.rename(b('/in/a.csv'), b('/b.csv'), { replace: false })
    assert.deepEqual(await list(space, '/'), ['b.csv', 'in'])
    await space.removeDirectory(b('/in'))
    await space.remove(b('/b.csv'))
    assert.deepEqual(await list(space, '/'), [])
    await world.end()
    assert.deepEqual(world.said(), [
      'dir.created /in',
      'file.uploaded /in/a.csv',
      'file.downloaded /in/a.csv',
      'file.renamed /b.csv',
      'dir.deleted /in',
      'file.deleted /b.csv',
    ])
    assert.deepEqual(world.rows.usage, { bytes: 0, files: 0 })
    assert.equal(world.rows.intents.size, 0)
  })
}
