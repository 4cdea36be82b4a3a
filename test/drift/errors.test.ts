import { test } from 'node:test'
import { HTTP_STATUS } from '../../src/api/errors.ts'
import { ERROR_CODES, type ErrorCode } from '../../src/base/error.ts'
import { STATUS_OF } from '../../src/protocols/sftp/status.ts'
import { STATUS, type StatusCode } from '../../src/wire/sftp/constants.ts'
import { assertPage } from './page.ts'

test('docs/errors.md equals the table of errors', () => assertPage('errors.md', errorsPage()))

/** What each edge makes of a code. */
const EDGES: { title: string; of: (code: ErrorCode) => string }[] = [
  { title: 'HTTP', of: (code) => String(HTTP_STATUS[code]) },
  { title: 'SFTP', of: (code) => `\`SSH_FX_${sftpNameOf(STATUS_OF[code])}\`` },
]

function sftpNameOf(status: StatusCode): string | undefined {
  return Object.entries(STATUS).find(([, number]) => number === status)?.[0]
}

function errorsPage(): string {
  const titles = ['Code', ...EDGES.map(({ title }) => title), 'Meaning']
  const rows = Object.entries(ERROR_CODES).map(([name, meaning]) => {
    return [`\`${name}\``, ...EDGES.map((edge) => edge.of(name as ErrorCode)), meaning]
  })
  return `# Errors

What a user, a peer or the ground below can cause. The message that comes with a code names the field, the bound and the value; it holds no
secret and no path of the server.

${[titles, titles.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
}
