import { createCipheriv, createHash } from 'node:crypto'

/** The bytes that a name stands for, the same every time: a keystream, which no shifted or repeated block can imitate. */
export function contentOf(name: string, bytes: number): Buffer {
  const key = createHash('sha256').update(name).digest()
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16))
  return cipher.update(Buffer.alloc(bytes))
}

export function hashOf(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex')
}
