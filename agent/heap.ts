import { setFlagsFromString } from 'node:v8'

/**
 * For a process that is an agent and nothing else; called before its code is loaded. The bytes that pass lie outside V8's heap, and after every few MiB of them it begins
 * to mark the heap step by step: 350 times a GiB, a third of the time. Told not to, it clears them away with what is young; a whole collection of a heap as small as an
 * agent's then stops it for some 10 ms, a dozen times a GiB. What is young stays in the 1 MiB that it begins with: of larger ones it lets that much more garbage lie outside
 * the heap too, 50 MB after some thousand files (measured).
 */
export function collectAsStreamsPass(): void {
  setFlagsFromString('--no-incremental-marking')
  setFlagsFromString('--semi-space-growth-factor=1')
}
