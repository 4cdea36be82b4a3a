#!/usr/bin/env -S node --max-semi-space-size=2
// The flag bounds V8's young generation, MiB: the default of 16 costs a server that mostly waits 40 MB of memory.
// Plain JavaScript without newer syntax, so that an older Node reaches the refusal instead of a syntax error.
const major = Number(process.versions.node.split('.')[0])
if (major < 26) {
  process.stderr.write(
    `landfall needs Node 26 or newer and this is ${process.version}: run it through npm (npm start, npm run demo, npx landfall), which brings its own.\n`,
  )
  process.exitCode = 1
} else {
  import('./start.ts').then((start) => start.run(process.argv.slice(2)))
}
