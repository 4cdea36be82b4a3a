/** A page by offset. `limit` is bounded by the caller's edge. */
export interface PageRequest {
  limit: number
  offset: number
}

export interface Page<Row> {
  rows: Row[]
  /** Number of rows in all, over every page; long lists are counted up to 100,000 only. */
  total: number
}
