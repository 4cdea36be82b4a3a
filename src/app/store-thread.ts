import { serveStoreThread } from '../store/sqlite/thread.ts'
import { plan } from '../webhooks/plan.ts'

/** Entry of the threads of the embedded store: the only place where the store and the plan of deliveries meet. */
serveStoreThread(plan)
