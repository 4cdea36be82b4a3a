import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VerifyError, verify } from '../verify.ts'

// A receiver to try `landfall listen` with: WEBHOOK_SECRET=… npx node sdk/examples/receiver.ts
// It says what it takes, what it has seen before and what it refuses, and keeps the last for `landfall explain-signature`.

const { WEBHOOK_SECRET, PORT = '3000' } = process.env
if (!WEBHOOK_SECRET) {
  console.error('WEBHOOK_SECRET is not set: `landfall listen` prints one')
  process.exit(2)
}
const BODY_BYTES_MAX = 1024 * 1024
const REFUSED = join(tmpdir(), `refused-${process.pid}.txt`)

// A receiver in earnest has a table with the id as its primary key, written together with the work to do.
const seen = new Set<string>()

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) request.destroy()
    else chunks.push(chunk)
  })
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    try {
      const { event, id } = verify(request.headers, body, WEBHOOK_SECRET, { dialect: 'mftplus' })
      const isNew = !seen.has(id)
      seen.add(id)
      console.log(`${isNew ? 'genuine    ' : 'seen before'} ${event} ${id}`)
      response.writeHead(200).end(isNew ? 'taken' : 'seen before')
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)
      writeFileSync(REFUSED, `${headers.join('\n')}\n\n${body}`)
      console.log(`refused     ${error.message}\n            npx landfall explain-signature ${REFUSED}`)
      response.writeHead(401).end(error.code)
    }
  })
})
server.listen(Number(PORT), 'localhost', () =>
  console.log(`listening on http://localhost:${(server.address() as AddressInfo).port}`),
)
