const LINE_FEED = 0x0a

/** The lines of a stream, without their ends; an unfinished one at the end is dropped. Throws at a line of more than `bytesMax`. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<string> {
  let begun: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(LINE_FEED, from)
      const part = chunk.subarray(from, end === -1 ? chunk.length : end)
      bytes += part.length
      if (bytes > bytesMax) throw new Error(`a line of more than ${bytesMax} bytes`)
      begun.push(part)
      if (end === -1) break
      yield Buffer.concat(begun).toString()
      ;[begun, bytes, from] = [[], 0, end + 1]
    }
  }
}
