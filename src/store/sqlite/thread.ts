import { parentPort, workerData } from 'node:worker_threads'
import type { Plan } from '../../webhooks/port.ts'
import { openWriter } from './database.ts'
import { type Answers, type Call, failure, STOP, type ThreadRole } from './protocol.ts'
import { Reader } from './reader.ts'
import { GROUP_UNITS_MAX, Writer } from './writer.ts'

/**
 * The life of a store thread: opens its database, says so, takes what waits in groups, and ends when it is told to, after the last
 * answer. Anything that it cannot handle ends the thread; its owner hears of that as the end of the store.
 */
export function serveStoreThread(plan: Plan): void {
  const port = parentPort
  if (port === null) throw new Error('a store thread is started as a worker')
  const { role, file } = workerData as ThreadRole
  const send = (answers: Answers) => port.postMessage(JSON.stringify(answers))

  let worker: Writer | Reader
  try {
    worker = role === 'writer' ? new Writer(openWriter(file), plan) : new Reader(file)
  } catch (error) {
    // Call 0 is the opening itself.
    send({ answers: [failure(0, error)], nudged: [], checkpoint: false })
    port.close()
    return
  }
  send({ answers: [[0, 'done']], nudged: [], checkpoint: false })

  const waiting: Call[] = []
  let isRunning = false
  let isStopping = false

  async function run(): Promise<void> {
    send(await worker.runGroup(waiting.splice(0, GROUP_UNITS_MAX)))
    if (waiting.length > 0) {
      setImmediate(run)
    } else {
      isRunning = false
      if (isStopping) end()
    }
  }

  function end(): void {
    worker.close()
    port?.close()
  }

  port.on('message', (text: string) => {
    if (text === STOP) {
      isStopping = true
      if (!isRunning) end()
      return
    }
    waiting.push(...(JSON.parse(text) as Call[]))
    if (isRunning) return
    isRunning = true
    // Not at once: messages that are here already shall go into the same group.
    setImmediate(run)
  })
}
