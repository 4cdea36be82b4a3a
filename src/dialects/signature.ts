import { createHmac } from 'node:crypto'

/** `sha256=` and the HMAC-SHA256 in lower-case hex. The key is the UTF-8 of the secret as configured, never decoded. */
export function signatureOf(secret: string, ...parts: readonly (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', secret)
  for (const part of parts) hmac.update(part)
  return `sha256=${hmac.digest('hex')}`
}

/** Unix time in whole seconds, as both contracts write the time of an attempt. */
export function unixSeconds(ms: number): string {
  return String(Math.floor(ms / 1000))
}
