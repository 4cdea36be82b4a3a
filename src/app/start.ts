import type { Settings } from '../config/settings.ts'
import type { App, AppHooks } from './app.ts'
import { prepareStore } from './open-store.ts'

/**
 * Starts the server. The threads of the store come first, and load their code while this thread loads the rest: with two cores that is
 * 0.3 s less until it is ready. Nothing is opened before the data folder is locked.
 * @throws AppError what the step that failed says: `setting_invalid`, `data_folder_locked`, `store_newer`, …
 */
export async function startApp(settings: Settings, hooks: AppHooks = {}): Promise<App> {
  const store = prepareStore(settings.database)
  try {
    const { runApp } = await import('./app.ts')
    return await runApp(settings, store, hooks)
  } catch (error) {
    await store.abandon()
    throw error
  }
}
