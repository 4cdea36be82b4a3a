import { loadSettings } from '../src/config/load.ts'
import { flagOf, SETTINGS } from '../src/config/settings.ts'
import type { Command } from './command.ts'

const options = Object.fromEntries(
  Object.entries(SETTINGS).map(([name, spec]) => [flagOf(name).slice(2), { type: 'string', meaning: spec.meaning } as const]),
)

export const serve: Command = {
  name: 'serve',
  summary: 'run the server',
  usage: 'serve [--SETTING VALUE …]',
  options,
  async run(call) {
    const flags: Record<string, string> = {}
    for (const [name, value] of Object.entries(call.flags)) if (typeof value === 'string') flags[`--${name}`] = value
    const settings = loadSettings(flags, process.env)
    // Loaded here, so that the other commands start at once.
    const { startApp } = await import('../src/app/start.ts')
    const app = await startApp(settings)

    const { addresses, adminToken } = app
    const listening = Object.entries(addresses).map(([name, address]) => `${name} ${address}`)
    call.terminal.out(call.json ? JSON.stringify({ ready: true, ...addresses }) : `landfall ready: ${listening.join(', ')}`)
    // Printed once, and to stderr: stdout carries the ready line only, and may be kept in a log.
    if (adminToken !== undefined) await shownOnce(`administrator token, shown only now: ${adminToken}`, app.adminTokenShown)
    if (!call.json) call.terminal.note(nextCommands(addresses, settings.data))

    await untilSignal()
    call.terminal.note('stopping: no new work; attempts in flight may finish')
    await app.stop()
    return 0
  },
}

/** Written for certain before it counts as shown: else the next start shows it. */
async function shownOnce(text: string, shown: () => Promise<void>): Promise<void> {
  const failure = await new Promise((resolve) => process.stderr.write(`${text}\n`, resolve))
  if (!failure) await shown()
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once, as Ctrl-C twice should. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop).once(signal, () => process.exit(130))
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  })
}

function nextCommands(addresses: { http: string; sftp: string }, data: string): string {
  const [host, port] = splitAddress(addresses.sftp)
  const folder = data === './landfall-data' ? '' : ` --data ${data}`
  return [
    'next:',
    `  echo 'a long password' | npx landfall user add alice --password-stdin${folder}`,
    `  npx landfall webhook create --url http://localhost:3000/hook --events 'file.*'${folder}`,
    `  sftp -P ${port} alice@${host}`,
    `API documentation: ${addresses.http}/docs`,
  ].join('\n')
}

function splitAddress(address: string): [host: string, port: string] {
  const colon = address.lastIndexOf(':')
  return [address.slice(0, colon).replace(/^\[|\]$/g, ''), address.slice(colon + 1)]
}
