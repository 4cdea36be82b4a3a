/** ISO 8601 with a zone, as ms since 1970 UTC; undefined where it is no such writing, or a time that no calendar has. */
export function parseInstant(text: string): number | undefined {
  const [, written] = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,3})?(?:Z|[+-]\d{2}:\d{2})$/.exec(text) ?? []
  if (written === undefined || !isInCalendar(written)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

/** Date.parse makes March 2 of February 30; what is there is said again with the same digits. */
function isInCalendar(written: string): boolean {
  const at = Date.parse(`${written}Z`)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(written)
}
