/** A page by offset, or after a row. `limit` is bounded by the caller's edge. */
export interface PageRequest {
  limit: number
  offset: number
  /** Only rows that come after the one of this id, as `next` named it; in long lists, where an offset ends at LIST_OFFSET_MAX. */
  after?: string
}

export interface Page<Row> {
  rows: Row[]
  /** Number of rows in all, over every page; beyond TOTAL_COUNTED_MAX not every list goes on counting. */
  total: number
  /**
   * In long lists: the `after` of what comes next; null at the end. A filter without an index looks through a stretch of the list at a
   * time, so a page may have few rows, or none, and yet not be the last.
   */
  next?: string | null
}

/** Rows of a long list that an offset may skip: it costs as much as reading them. */
export const LIST_OFFSET_MAX = 10_000

/** Rows that a total counts at most: beyond that a list would hold up the ones behind it for as long as the table is long. */
export const TOTAL_COUNTED_MAX = 10_000
