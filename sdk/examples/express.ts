import express, { type Express } from 'express'
import { type TrueFtpEvent, VerifyError, verify } from '../verify.ts'

/**
 * A receiver with express. `keep` stores an event unless its id is there already, in one write, and throws where it cannot;
 * the work is done later, from what is stored. So an answer of 2xx means that nothing can be lost, and a delivery that comes
 * again does nothing.
 */
export function createReceiver(secret: string, keep: (id: string, event: TrueFtpEvent) => Promise<void>): Express {
  if (!secret) throw new Error('the secret of the webhook is missing')
  const app = express()
  // The raw body, whatever its content type: a parser in front of this route would change the bytes that were signed.
  app.post('/webhooks', express.raw({ type: () => true, limit: '1mb' }), async (request, response) => {
    let event: TrueFtpEvent
    try {
      event = verify(request.headers, request.body, secret, { dialect: 'trueftp' })
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error
      console.warn(`delivery refused: ${error.message}`)
      response.sendStatus(401)
      return
    }
    // Where this throws, express answers 500 and the delivery comes again.
    await keep(event.delivery_id, event)
    response.sendStatus(204)
  })
  return app
}
