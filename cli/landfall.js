#!/usr/bin/env -S node --max-semi-space-size=2 --max-old-space-size=384
// The flags bound V8's two generations, MiB. By default it lets garbage lie while memory is free: 40 MB more at rest, 150 under load.
// Plain JavaScript without newer syntax, so that an older Node reaches the refusal instead of a syntax error.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])
if (major < 26) {
  process.stderr.write(
    `landfall needs Node 26 or newer and this is ${process.version}: run it through npm (npm start, npm run demo, npx landfall), which brings its own.\n`,
  )
  process.exitCode = 1
} else {
  // Before the first TypeScript: keeps what is stripped and compiled for later starts, in this thread and (through the environment) in its
  // workers, so that they need not load the stripper either. Where the folder cannot be written, nothing is kept and nothing fails.
  const folder = fileURLToPath(new URL('../node_modules/.cache/landfall', import.meta.url))
  process.env.NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE || folder
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  import('./start.ts').then((start) => start.run(process.argv.slice(2)))
}
