/** The receiver samples of the two contracts' pages, found by the words around them and taken as they stand. */
export type SampleKind = 'mftplus-node' | 'mftplus-python' | 'trueftp-node'
export const SAMPLE_KINDS: readonly SampleKind[] = ['mftplus-node', 'mftplus-python', 'trueftp-node']

export interface SampleText {
  /** Its import lines, which must stand at the top of a module. */
  readonly imports: string
  readonly code: string
}

export function parseSample(kind: SampleKind, page: string): SampleText {
  switch (kind) {
    case 'mftplus-node': {
      const verification = between(page, 'Verification Example (Node.js):\njavascript\n', '\n// Usage')
      const handler = between(page, 'Example Handler (Node.js/Express):\njavascript\n', 'Security Checklist')
      return splitImports(`${verification}\n${handler}`)
    }
    case 'mftplus-python':
      return splitImports(indented(between(page, 'Verification Example (Python):\npython\n', 'HTTPS Requirements')))
    case 'trueftp-node':
      return splitImports(between(page, 'before parsing:\n', '\nDelivery, retries & logs'))
  }
}

function between(page: string, before: string, after: string): string {
  const start = page.indexOf(before)
  const end = page.indexOf(after, start + before.length)
  if (start < 0 || end < 0) throw new Error(`the page has no text between "${before.trim()}" and "${after.trim()}"`)
  return page.slice(start + before.length, end)
}

/** The stored text of the page lost its leading spaces, which mean something in Python: the function's body gets them back. */
function indented(python: string): string {
  const start = python.indexOf('\n', python.indexOf('def ')) + 1
  const end = python.indexOf('# Usage')
  return python.slice(0, start) + python.slice(start, end).replace(/^(?=.)/gm, '    ') + python.slice(end)
}

function splitImports(text: string): SampleText {
  const lines = text.split('\n')
  const isImport = (line: string) => line.startsWith('import ')
  return { imports: lines.filter(isImport).join('\n'), code: lines.filter((line) => !isImport(line)).join('\n') }
}
