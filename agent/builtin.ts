import { parentPort, workerData } from 'node:worker_threads'
import { resolveQuickly } from '../src/base/resolve.ts'
import type { BuiltinAgentData } from '../src/wire/agent/builtin.ts'

/** Entry of the thread that `landfall serve` runs its built-in agent in. */
if (parentPort === null) throw new Error('the built-in agent is started as a worker')
resolveQuickly()
const { runBuiltin } = await import('./inside.ts')
await runBuiltin(parentPort, workerData as BuiltinAgentData)
