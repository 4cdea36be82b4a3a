import { test } from 'node:test'
import { flagOf, SETTINGS, type SettingSpec, variableOf } from '../../src/config/settings.ts'
import { assertPage } from './page.ts'

test('docs/settings.md equals the table of settings', () => assertPage('settings.md', settingsPage()))

function settingsPage(): string {
  const rows = Object.entries(SETTINGS).map(([name, spec]: [string, SettingSpec]) => {
    return `| \`${variableOf(name)}\` | \`${flagOf(name)}\` | ${fallbackOf(spec)} | ${boundOf(spec)} | ${spec.meaning} |`
  })
  return `# Settings

Each setting is a flag of \`landfall serve\` or a variable; a flag wins. An unknown name is refused with the nearest known one, a value
out of its bounds with the bound. An empty variable means the default. Spans are in milliseconds. Everybody on the machine reads the flags of a
process: give tokens, keys and addresses with passwords as variables.

| Variable | Flag | Default | Bounds | Meaning |
|---|---|---|---|---|
${rows.join('\n')}

Port 0 in an address lets the system choose a free port; the ready line says which. The command line also reads \`LANDFALL_ADMIN_TOKEN\` with \`--server URL\`.
`
}

function fallbackOf(spec: SettingSpec): string {
  return spec.fallback === '' ? '' : `\`${spec.fallback}\``
}

function boundOf(spec: SettingSpec): string {
  if (spec.kind === 'choice') return spec.choices.map((choice) => `\`${choice}\``).join(', ')
  if (spec.kind === 'count' || spec.kind === 'span') return `${spec.min} to ${spec.max}${spec.kind === 'span' ? ' ms' : ''}`
  return spec.kind === 'address' ? 'host:port' : ''
}
