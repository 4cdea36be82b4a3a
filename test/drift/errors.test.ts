import { test } from 'node:test'
import { ERROR_CODES, type ErrorCode } from '../../src/base/error.ts'
import { assertPage } from './page.ts'

test('docs/errors.md equals the table of errors', () => assertPage('errors.md', errorsPage()))

/** What each edge makes of a code; a column joins as soon as its edge has its table. */
const EDGES: { title: string; of: Record<ErrorCode, string> }[] = []

function errorsPage(): string {
  const titles = ['Code', ...EDGES.map(({ title }) => title), 'Meaning']
  const rows = Object.entries(ERROR_CODES).map(([name, meaning]) => {
    return [`\`${name}\``, ...EDGES.map((edge) => edge.of[name as ErrorCode]), meaning]
  })
  return `# Errors

What a user, a peer or the ground below can cause. The message that comes with a code names the field, the bound and the value; it holds no
secret and no path of the server.

${[titles, titles.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
}
