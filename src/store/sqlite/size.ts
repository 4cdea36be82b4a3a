import { sql } from 'kysely'

/** Pages in use: those of deleted rows are free for new ones, though the file stays as long as it was. */
export const STORED_BYTES = sql<number>`(select (page_count - freelist_count) * page_size
  from pragma_page_count(), pragma_freelist_count(), pragma_page_size())`
