import { resolveQuickly } from '../base/resolve.ts'

/** Entry of the threads of the embedded store: the only place where the store and the plan of deliveries meet. */
resolveQuickly()
const [{ serveStoreThread }, { plan }] = await Promise.all([import('../store/sqlite/thread.ts'), import('../webhooks/plan.ts')])
serveStoreThread(plan)
