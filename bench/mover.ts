/** The process of (j), begun as `landfall agent run` is: what governs its memory first, then its code. */
import { collectAsStreamsPass } from '../agent/heap.ts'

collectAsStreamsPass()
await import('./moving.ts')
