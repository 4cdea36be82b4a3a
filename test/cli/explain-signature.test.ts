import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DELIVERY_ID, EVENT_ID, type Signing, signedDelivery } from '../contract/signed.ts'

// `landfall explain-signature` as people call it, with deliveries that the server's own dialects signed.

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
const SECRET = 'a signing secret that must not show'
const WHSEC = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const AT = Date.UTC(2026, 5, 8, 12)
const THEN = ['--now', '2026-06-08T12:00:00Z']
const folder = mkdtempSync(join(tmpdir(), 'landfall-explain-'))
after(() => rmSync(folder, { recursive: true }))

interface Asked {
  args?: readonly string[]
  input?: string
  secret?: string
}

async function explain({ args = [], input = '', secret }: Asked): Promise<{ status: number; out: string; error: string }> {
  const env = { PATH: process.env.PATH, ...(secret === undefined ? {} : { LANDFALL_WEBHOOK_SECRET: secret }) }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [ENTRY, 'explain-signature', ...args], { env }, (error, out, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr }),
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

function captured(signing: Partial<Signing> = {}, change = (body: string) => body): string {
  const { headers, body } = signedDelivery({
    dialect: 'trueftp',
    type: 'file.uploaded',
    secret: SECRET,
    startedAt: AT,
    ...signing,
  })
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `POST /hook HTTP/1.1\n${lines.join('\n')}\n\n${change(body.toString())}\n`
}

/** The same with the length of the body as it was sent. */
function declaring(change: (body: string) => string): string {
  let length = 0
  const text = captured({}, (body) => {
    length = Buffer.byteLength(body)
    return change(body)
  })
  return text.replace('\n\n', `\nContent-Length: ${length}\n\n`)
}

const rewritings = [
  { how: 'line ends', rewritten: (body: string) => JSON.stringify(JSON.parse(body), null, 2) },
  { how: 'spaces', rewritten: (body: string) => body.replaceAll('":', '": ').replaceAll(',"', ', "') },
  { how: 'escapes', rewritten: (body: string) => body.replaceAll('order', '\\u006frder') },
]

const cases: { name: string; asked: Asked; genuine: boolean; problem?: string; dialect?: string; id?: string }[] = [
  {
    name: 'trueftp',
    asked: { input: captured(), secret: SECRET, args: THEN },
    genuine: true,
    dialect: 'trueftp',
    id: DELIVERY_ID,
  },
  {
    name: 'mftplus',
    asked: { input: captured({ dialect: 'mftplus' }), secret: SECRET },
    genuine: true,
    dialect: 'mftplus',
    id: EVENT_ID,
  },
  {
    name: 'standard',
    asked: { input: captured({ dialect: 'standard', secret: WHSEC }), secret: WHSEC, args: THEN },
    genuine: true,
    dialect: 'standard',
    id: EVENT_ID,
  },
  {
    name: 'cloudevents in binary mode',
    asked: { input: captured({ dialect: 'cloudevents', options: { cloudEventsMode: 'binary' } }), secret: SECRET, args: THEN },
    genuine: true,
    dialect: 'cloudevents',
    id: EVENT_ID,
  },
  {
    name: 'the second signature of alsoSign',
    asked: {
      input: captured({ dialect: 'mftplus', alsoSign: ['standard'] }),
      secret: SECRET,
      args: [...THEN, '--dialect', 'standard'],
    },
    genuine: true,
    dialect: 'standard',
    id: EVENT_ID,
  },
  ...(['mftplus', 'trueftp', 'standard'] as const).map((dialect) => ({
    name: `of several signatures that of the body: ${dialect}`,
    asked: {
      input: captured({ dialect, alsoSign: (['mftplus', 'trueftp', 'standard'] as const).filter((one) => one !== dialect) }),
      secret: SECRET,
      args: THEN,
    },
    genuine: true,
    dialect,
    id: dialect === 'trueftp' ? DELIVERY_ID : EVENT_ID,
  })),
  {
    name: 'an old capture',
    asked: { input: captured(), secret: SECRET, args: ['--now', '2026-06-11T12:00:00Z'] },
    genuine: true,
    problem: 'timestamp_too_old',
  },
  {
    name: 'a changed body',
    asked: { input: captured({}, (body) => body.replace('order', 'other')), secret: SECRET, args: THEN },
    genuine: false,
    problem: 'signature_mismatch',
  },
  {
    name: 'a re-written body',
    asked: { input: captured({}, (body) => JSON.stringify(JSON.parse(body), null, 2)), secret: SECRET, args: THEN },
    genuine: false,
    problem: 'body_reserialised',
  },
  ...rewritings.map(({ how, rewritten }) => ({
    name: `a body re-written with ${how} beside the Content-Length of the one that was sent`,
    asked: { input: declaring(rewritten), secret: SECRET, args: THEN },
    genuine: false,
    problem: 'body_reserialised',
  })),
  {
    name: 'something behind the body of the declared length',
    asked: { input: declaring((body) => `${body}\n\nPOST /next HTTP/1.1`), secret: SECRET, args: THEN },
    genuine: true,
  },
  {
    name: 'a line end in the secret',
    asked: { input: captured(), secret: `${SECRET}\n`, args: THEN },
    genuine: false,
    problem: 'secret_encoding',
  },
  {
    name: 'no secret configured',
    asked: { input: captured({ dialect: 'mftplus', secret: null }), secret: SECRET },
    genuine: false,
    problem: 'signature_missing',
  },
  {
    name: 'another dialect',
    asked: { input: captured(), secret: SECRET, args: ['--dialect', 'mftplus'] },
    genuine: false,
    problem: 'wrong_dialect',
  },
]
for (const { name, asked, genuine, problem = null, dialect, id } of cases) {
  test(`explain-signature: ${name}`, async () => {
    const { status, out, error } = await explain({ ...asked, args: [...(asked.args ?? []), '--json'] })
    assert.equal(error, '')
    const verdict = JSON.parse(out)
    assert.deepEqual([status, verdict.genuine, verdict.problem], [genuine ? 0 : 1, genuine, problem], verdict.message)
    if (dialect !== undefined) assert.deepEqual([verdict.dialect, verdict.event, verdict.id], [dialect, 'file.uploaded', id])
    for (const secret of [SECRET, WHSEC]) assert.ok(!out.includes(secret))
  })
}

test('explain-signature: for people, with the age of an old capture', async () => {
  const { status, out } = await explain({ input: captured(), secret: SECRET, args: ['--now', '1781179200'] })
  assert.equal(status, 0)
  assert.match(out, /^genuine: The signature is right; the delivery is 3 days old, which a receiver refuses\.\n/)
  assert.match(out, /dialect +trueftp \(as headers and body say\)/)
  assert.match(out, /time +2026-06-08T12:00:00.000Z, 3 days ago/)
  assert.match(out, /note +the line end behind the body was left out/)
  const wide = await explain({ input: captured(), secret: SECRET, args: ['--now', '1781179200', '--tolerance', '300000'] })
  assert.match(wide.out, /^genuine: The signature is right\.\n/)
})

test('explain-signature: files, and secrets from standard input with old ones behind', async () => {
  const { headers, body } = signedDelivery({ dialect: 'trueftp', type: 'dir.created', secret: SECRET, startedAt: AT })
  const [whole, head, raw] = ['capture.txt', 'headers.json', 'body.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(whole, captured())
  writeFileSync(head, JSON.stringify(headers))
  writeFileSync(raw, body)
  for (const args of [[whole], ['--headers', head, '--body', raw]]) {
    const right = await explain({ args: [...args, '--secret-stdin', ...THEN], input: `${SECRET}\n` })
    assert.deepEqual([right.status, right.error], [0, ''], right.out)
    const old = await explain({ args: [...args, '--secret-stdin', ...THEN], input: `the new one\n${SECRET}\n` })
    assert.equal(old.status, 1)
    assert.match(old.out, /old secret/)
  }
})

const refused: { name: string; asked: Asked; says: RegExp }[] = [
  { name: 'no secret', asked: { input: captured() }, says: /LANDFALL_WEBHOOK_SECRET/ },
  { name: 'standard input for both', asked: { args: ['--secret-stdin'], input: SECRET }, says: /no room for the capture/ },
  { name: 'headers alone', asked: { args: ['--headers', 'x', '--secret-stdin'], input: SECRET }, says: /: --body is missing/ },
  { name: 'a body alone', asked: { args: ['--body', 'x'], secret: SECRET }, says: /: --headers is missing/ },
  { name: 'a file that is not there', asked: { args: ['nowhere.txt'], secret: SECRET }, says: /cannot read nowhere\.txt/ },
  {
    name: 'a masked signature',
    asked: { input: 'X-Webhook-Signature: sha256=********\n\n{}', secret: SECRET },
    says: /as the receiver got them/,
  },
  { name: 'no header of a dialect', asked: { input: 'A: b\n\n{}', secret: SECRET }, says: /--dialect mftplus\|trueftp/ },
  {
    name: 'an unknown dialect',
    asked: { input: captured(), args: ['--dialect', 'x'], secret: SECRET },
    says: /is one of mftplus/,
  },
  { name: 'a time that is none', asked: { input: captured(), args: ['--now', 'yesterday'], secret: SECRET }, says: /ISO 8601/ },
  {
    name: 'a time that no calendar has',
    asked: { input: captured(), args: ['--now', '2026-02-30T00:00:00Z'], secret: SECRET },
    says: /--now is ISO 8601 .*, not 2026-02-30T00:00:00Z/,
  },
  {
    name: 'a tolerance that is none',
    asked: { input: captured(), args: ['--tolerance', 'soon'], secret: SECRET },
    says: /tolerance/,
  },
]
for (const { name, asked, says } of refused) {
  test(`explain-signature refuses: ${name}`, async () => {
    const { status, error } = await explain(asked)
    assert.equal(status, 2)
    assert.match(error, says)
    assert.equal(error.trim().split('\n').length, 1)
    assert.ok(!error.includes(SECRET))
  })
}
