import { VERSION } from '../src/app/version.ts'
import { systemClock } from '../src/base/clock.ts'
import { openLog, silentLog } from '../src/base/log.ts'
import { AGENT_FOLDER } from './agent-enroll.ts'
import { showFor } from './agent-show.ts'
import { type Command, optional } from './command.ts'
import { paint } from './terminal.ts'

/** For whoever restarts it: neither comes right by trying again. */
const EXIT = { stopped: 0, revoked: 3, expired: 4 } as const

/** The folder is enrolled already, so that the same command as before would change nothing. */
const HOW_TO_RETURN = 'with a new token, `landfall agent enroll --force` makes this machine another agent'

export const agentRun: Command = {
  name: 'agent run',
  summary: 'run the agent of this machine: moves files for its server until it is stopped',
  usage: 'agent run [--folder F]',
  options: { folder: { type: 'string', meaning: `folder that it was enrolled in (default ${AGENT_FOLDER})` } },
  /** 0 after a signal, 3 revoked, 4 its certificate is past its end. */
  async run(call) {
    const folder = optional(call, 'folder') ?? AGENT_FOLDER
    // Loaded here, so that the other commands start at once.
    const { collectAsStreamsPass } = await import('../agent/heap.ts')
    collectAsStreamsPass()
    const { runAgent } = await import('../agent/main.ts')
    const stop = new AbortController()
    const release = onStopSignal(stop)
    const show = showFor(call.terminal, call.json, process.stdout)
    // On a terminal, a line of the log would break into the bars.
    const log = process.stderr.isTTY === true ? silentLog : openLog('warn')
    try {
      const tell = show.news
      const end = await runAgent({ folder, version: VERSION, clock: systemClock, log, tell, signal: stop.signal })
      show.end(end)
      if (end.kind !== 'stopped' && !call.json)
        call.terminal.note(`${paint(call.terminal, 'red', 'landfall:')} ${end.message}; ${HOW_TO_RETURN}`)
      return EXIT[end.kind]
    } finally {
      release()
    }
  },
}

/** The first SIGINT or SIGTERM lets it put its work in order, a second one ends the process. Answers how to stop listening. */
function onStopSignal(stop: AbortController): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const
  const end = () => {
    if (stop.signal.aborted) process.exit(130)
    stop.abort()
  }
  for (const signal of signals) process.on(signal, end)
  return () => {
    for (const signal of signals) process.off(signal, end)
  }
}
