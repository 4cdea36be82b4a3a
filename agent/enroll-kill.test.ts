import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadX509 } from '../src/agents/x509.ts'
import { type EnrolOptions, enrol } from './enroll.ts'
import { openAgentFolder } from './folder.ts'
import { type Peer, removeTemporaryFolders, startPeer, temporaryFolder } from './testing.ts'

// The process is killed at each step of an enrolment that another process could see, and the same command is run again.

let peer: Peer
before(async () => {
  peer = await startPeer()
})
after(async () => {
  await peer.stop()
  await removeTemporaryFolders()
})

/** Enrols in a process that kills itself at its nth rename, `before` it or after it. */
const ENROL = `
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
const [module, options, number, moment] = process.argv.slice(1)
const rename = fs.rename
let count = 0
fs.rename = async (...names) => {
  const isLast = ++count === Number(number)
  if (isLast && moment === 'before') process.kill(process.pid, 'SIGKILL')
  await rename(...names)
  if (isLast) process.kill(process.pid, 'SIGKILL')
}
syncBuiltinESMExports()
const { enrol } = await import(module)
await enrol(JSON.parse(options))
`

async function enrolAndDie(options: EnrolOptions, number: number, moment: string): Promise<NodeJS.Signals | null> {
  const module = new URL('./enroll.ts', import.meta.url).href
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', ENROL, module, JSON.stringify(options), String(number), moment],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    },
  )
  const [, signal] = await once(child, 'exit')
  return signal
}

/** How many keys the server has seen since `from`. */
async function keysSince(from: number): Promise<number> {
  const { Pkcs10CertificateRequest } = await loadX509()
  const hashes = peer.registrations.slice(from).map(({ csr }) => {
    const { rawData } = new Pkcs10CertificateRequest(csr).publicKey
    return createHash('sha256').update(Buffer.from(rawData)).digest('hex')
  })
  return new Set(hashes).size
}

/** What is written, in this order; each is renamed into place. */
const STEPS = ['the key', 'the certificate', 'the API key', 'the key for good', 'what says that it is enrolled']
for (const isForced of [false, true])
  for (const [index, step] of STEPS.entries())
    for (const moment of ['before', 'after'])
      test(`killed ${moment} ${step} is there${isForced ? ', in place of an earlier enrolment' : ''}`, async () => {
        const folder = join(await temporaryFolder(), 'agent')
        const token = () => `mft_enr_${randomBytes(16).toString('hex')}.${peer.fingerprint.slice(0, 32)}`
        const options = { server: peer.url, token: token(), folder, roots: [], version: '1.0.0' }
        if (isForced) await enrol(options)
        const asked = peer.registrations.length
        const again = isForced ? { ...options, token: token(), isForced } : options

        assert.equal(await enrolAndDie(again, index + 1, moment), 'SIGKILL')
        const left = await (await openAgentFolder(folder)).read()
        // Whatever is there is whole: the one before, none, or the new one.
        if (left !== undefined) assert.equal(left.certificate.checkPrivateKey(left.key), true)

        await enrol(again)
        const { key, certificate } = (await (await openAgentFolder(folder)).read())!
        assert.equal(certificate.checkPrivateKey(key), true)
        const isThrough = isForced && index === STEPS.length - 1 && moment === 'after'
        // One key, so one agent and one use of the token. Who is through and forces once more wants another agent.
        assert.equal(await keysSince(asked), isThrough ? 2 : 1)
      })
