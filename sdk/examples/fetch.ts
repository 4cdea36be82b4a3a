import { type StandardEvent, VerifyError, verify } from '../verify.ts'

/**
 * A receiver as a function from Request to Response, as Next.js routes, Hono, Bun, Deno and others take one. `keep` stores
 * an event unless its id is there already, in one write, and throws where it cannot; the work is done later, from what is
 * stored.
 */
export function createReceiver(secret: string, keep: (id: string, event: StandardEvent) => Promise<void>) {
  if (!secret) throw new Error('the secret of the webhook is missing')
  return async (request: Request): Promise<Response> => {
    let event: StandardEvent
    try {
      event = verify(request.headers, await request.arrayBuffer(), secret, { dialect: 'standard' })
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error
      console.warn(`delivery refused: ${error.message}`)
      return new Response(null, { status: 401 })
    }
    try {
      await keep(event.id, event)
    } catch {
      // Not kept: the delivery comes again.
      return new Response(null, { status: 503 })
    }
    return new Response(null, { status: 204 })
  }
}
