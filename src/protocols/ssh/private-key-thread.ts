/** The thread behind `private-key.ts`: answers whether a private key opens with its passphrase. */
import { parentPort, workerData } from 'node:worker_threads'
import { type PrivateKey, parsed } from './private-key.ts'

const { text, passphrase } = workerData as PrivateKey
parentPort?.postMessage(!(parsed(text, passphrase) instanceof Error))
