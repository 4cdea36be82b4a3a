import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

// Every link of a page leads to a file of the project, and to a heading of it where it names one.

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)))
const PAGES = globSync(['*.md', 'docs/**/*.md', 'sdk/*.md'], { cwd: root }).sort()

function linksIn(text: string): string[] {
  const prose = text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`(?!\])/g, '')
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target!)
}

/** Headings as the usual renderers name them: lower case, blanks as hyphens, no other punctuation. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => heading!)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  )
}

for (const page of PAGES) {
  test(`links in ${page}`, () => {
    for (const link of linksIn(readFileSync(resolve(root, page), 'utf8'))) {
      if (/^(https?:|mailto:)/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? resolve(root, page) : resolve(root, dirname(page), path)
      assert.ok(existsSync(target), `${page} links to ${link}, which is not there`)
      if (anchor !== undefined && target.endsWith('.md'))
        assert.ok(anchorsOf(readFileSync(target, 'utf8')).has(anchor), `${page} links to ${link}, which has no such heading`)
    }
  })
}

test('pages have links', () => {
  assert.ok(PAGES.length > 10)
  assert.ok(PAGES.flatMap((page) => linksIn(readFileSync(resolve(root, page), 'utf8'))).length > 50)
})
