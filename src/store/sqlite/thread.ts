import { parentPort, workerData } from 'node:worker_threads'
import type { Plan } from '../../webhooks/port.ts'
import { openWriter } from './database.ts'
import { type Answers, type Call, failure, STOP, type ThreadRole } from './protocol.ts'
import { Reader } from './reader.ts'
import { GROUP_UNITS_MAX, Writer } from './writer.ts'

/**
 * The life of a store thread: loads, opens its database when it is told which, says so, takes what waits in groups, and ends when it is
 * told to, after the last answer. Anything that it cannot handle ends the thread; its owner hears of that as the end of the store.
 */
export function serveStoreThread(plan: Plan): void {
  const port = parentPort
  if (port === null) throw new Error('a store thread is started as a worker')
  const { role } = workerData as ThreadRole
  const send = (answers: Answers) => port.postMessage(JSON.stringify(answers))

  let worker: Writer | Reader | undefined
  const waiting: Call[] = []
  let isRunning = false
  let isStopping = false

  function open([id, , [file]]: Call): void {
    try {
      worker = role === 'writer' ? new Writer(openWriter(file as string), plan) : new Reader(file as string)
    } catch (error) {
      send({ answers: [failure(id, error)], nudged: [], checkpoint: false })
      end()
      return
    }
    send({ answers: [[id, 'done']], nudged: [], checkpoint: false })
  }

  async function run(opened: Writer | Reader): Promise<void> {
    send(await opened.runGroup(waiting.splice(0, GROUP_UNITS_MAX)))
    if (waiting.length > 0) {
      setImmediate(run, opened)
    } else {
      isRunning = false
      if (isStopping) end()
    }
  }

  function end(): void {
    worker?.close()
    port?.close()
  }

  port.on('message', (text: string) => {
    if (text === STOP) {
      isStopping = true
      if (!isRunning) end()
      return
    }
    const calls = JSON.parse(text) as Call[]
    // The first call opens the database and comes alone: its caller waits for it.
    if (worker === undefined) return open(calls[0]!)
    waiting.push(...calls)
    if (isRunning) return
    isRunning = true
    // Not at once: messages that are here already shall go into the same group.
    setImmediate(run, worker)
  })
}
