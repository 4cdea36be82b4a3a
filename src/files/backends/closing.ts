/** Does `act`, and closes what it was about when it fails: node ends the process for a file handle that is forgotten open. */
export async function closedOnFailure<Answer>(part: { close(): Promise<void> }, act: () => Promise<Answer>): Promise<Answer> {
  try {
    return await act()
  } catch (cause) {
    // Why it failed matters more than that closing failed too.
    await part.close().catch(() => {})
    throw cause
  }
}
