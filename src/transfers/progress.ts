import type { Transfer } from './transfer.ts'

/** Percent that only an end may pass: what is moved but not verified has not arrived. */
const UNVERIFIED_MAX = 99

/** Whole percent of a file that is on its way; 0 while its size is unknown. */
export function percentOf(bytes: number, size: number | null): number {
  if (size === null || size === 0) return 0
  return Math.min(UNVERIFIED_MAX, Math.floor((bytes / size) * 100))
}

/** The transfer with what a report says of its bytes, and whether a tenth was crossed that nothing was said of yet. */
export function progressed(
  transfer: Transfer,
  moved: Pick<Transfer, 'size' | 'bytesTransferred' | 'progress' | 'speed'>,
): { readonly after: Transfer; readonly isNews: boolean } {
  const tenth = Math.floor(moved.progress / 10)
  const isNews = tenth > transfer.saidTenth
  return { after: { ...transfer, ...moved, saidTenth: isNews ? tenth : transfer.saidTenth }, isNews }
}
