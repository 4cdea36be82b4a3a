import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseCall } from '../../cli/command.ts'
import { find } from '../../cli/main.ts'
import { terminal } from '../../cli/terminal.ts'

// Every command on a page is one that there is, with options that it has and as many words as it takes.

const DOCS = new URL('../../docs/', import.meta.url)
const PAGES = readdirSync(DOCS)
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name: `docs/${name}`, text: readFileSync(new URL(name, DOCS), 'utf8') }))
PAGES.push({ name: 'README.md', text: readFileSync(new URL('../README.md', DOCS), 'utf8') })

/** `landfall …` in blocks and in running text; there also `webhook …` where a page leaves the first word out. */
function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash)?\n(.*?)^```/gms)].flatMap(([, block]) =>
    block!.replaceAll(/\\\n\s*/g, ' ').split('\n'),
  )
  // README.md sets its blocks in, also within its lists.
  blocks.push(
    ...text
      .replaceAll(/^```.*?^```/gms, '')
      .split('\n')
      .filter((line) => line.startsWith('    ')),
  )
  const prose = text.replaceAll(/^```.*?^```/gms, '').replaceAll(/\n/g, ' ')
  const inline = [...prose.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
  const lines = blocks.map((line) => /(?:^ *|\$ |\| |[A-Z_]+=\S+ )(?:npx )?(landfall .*)$/.exec(line)?.[1])
  const words = inline.map(
    (code) => /^(?:npx )?(landfall .*)$/.exec(code)?.[1] ?? (/^webhook [a-z]/.test(code) ? `landfall ${code}` : undefined),
  )
  return [...lines, ...words].filter(
    (command): command is string => command !== undefined && !/…|\.\.\./.test(command.replace(/wh_…/g, '')),
  )
}

/** Words as a shell takes them apart, as far as pages need it. */
function wordsOf(command: string): string[] {
  // Options in brackets may be left out.
  const line = command
    .replace(/ +#.*$/, '')
    .replace(/ [|<>].*$/, '')
    .replaceAll(/[[\]]/g, '')
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

for (const { name, text } of PAGES) {
  test(`commands in ${name}`, async () => {
    for (const line of commandsIn(text)) {
      const { command, rest } = await find(wordsOf(line).slice(1))
      // A command that is only named has no words.
      if (command !== undefined && rest.length > 0)
        assert.doesNotThrow(() => parseCall(command, rest, terminal), `${name}: ${line}`)
    }
  })
}

test('there are commands to look at', () => {
  const numberIn = (page: string) => commandsIn(PAGES.find(({ name }) => name === page)!.text).length
  assert.ok(numberIn('docs/operate-webhooks.md') > 40)
  assert.ok(numberIn('README.md') > 5)
})
