import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isPartialName } from '../../../agent/clients/client.ts'
import { ignoreMissing } from '../../../src/base/private-file.ts'
import { KIB, MIB } from '../../../src/base/units.ts'
import type { Random } from '../../random.ts'
import { contentOf, hashOf } from '../content.ts'
import type { PlacedFile, PostKind } from './evidence.ts'

/** What a path at the far side is called where paths of this machine are, too. */
export const FAR = 'far:'

/** Begins the name of a file that is being placed. */
const NEW = '.new-'

/**
 * The folders of the storm, on this machine and behind the SFTP server of the far side. A file's name says what is in it, so that every file that is found
 * can be checked, whoever left it there.
 */
export class Field {
  readonly placed: PlacedFile[] = []
  readonly #farHome: string
  readonly #random: Random
  #names = 0
  /** Files that were whole when they were looked at, by path: their size and time then. */
  readonly #whole = new Map<string, string>()

  constructor(farHome: string, random: Random) {
    this.#farHome = farHome
    this.#random = random
  }

  /** Puts a file there, in one step. Answers its path as transfers name it. */
  async place(folder: string, post: PostKind, bytes = this.#bytes()): Promise<string> {
    const name = `f${++this.#names}_${bytes}`
    const path = `${folder}/${name}`
    const real = this.#real(path)
    await mkdir(join(real, '..'), { recursive: true })
    const temporary = join(real, '..', NEW + name)
    await writeFile(temporary, contentOf(name, bytes))
    await rename(temporary, real)
    this.placed.push({ path, post })
    return path
  }

  makeFolder(folder: string): Promise<unknown> {
    return mkdir(this.#real(folder), { recursive: true })
  }

  /**
   * Every file of these folders: true where it holds what its name says. Parts of files are answered by themselves. Others may work there meanwhile: what is gone before it
   * is read was not there.
   */
  async look(folders: readonly string[]): Promise<{ files: Map<string, boolean>; parts: string[] }> {
    const files = new Map<string, boolean>()
    const parts: string[] = []
    for (const folder of folders) {
      for (const entry of await readdir(this.#real(folder), { recursive: true, withFileTypes: true })) {
        if (entry.isDirectory() || entry.name.startsWith(NEW)) continue
        const real = join(entry.parentPath, entry.name)
        const path = join(folder, real.slice(this.#real(folder).length))
        if (isPartialName(entry.name)) parts.push(path)
        else await this.#isWhole(real, entry.name).then((isWhole) => files.set(path, isWhole), ignoreMissing)
      }
    }
    return { files, parts }
  }

  async #isWhole(real: string, name: string): Promise<boolean> {
    const { size, mtimeMs, ino } = await stat(real)
    const mark = `${size} ${mtimeMs} ${ino}`
    if (this.#whole.get(real) === mark) return true
    const isWhole = hashOf(await readFile(real)) === hashOf(contentOf(name, Number(name.slice(name.lastIndexOf('_') + 1))))
    if (isWhole) this.#whole.set(real, mark)
    return isWhole
  }

  #real(path: string): string {
    return path.startsWith(FAR) ? join(this.#farHome, path.slice(FAR.length)) : path
  }

  /** Empty, a byte, small ones, and some that take a moment. */
  #bytes(): number {
    const [least, most] = this.#random.pick([
      [0, 0],
      [1, 1],
      [2, 64 * KIB],
      [2, 64 * KIB],
      [64 * KIB, MIB],
      [MIB, 3 * MIB],
    ] as const)
    return this.#random.between(least, most)
  }
}
