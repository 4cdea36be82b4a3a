import Fastify, { type FastifyInstance } from 'fastify'
import { type MftplusEvent, VerifyError, verify } from '../verify.ts'

/**
 * A receiver with fastify. `keep` stores an event unless its id is there already, in one write, and throws where it cannot;
 * the work is done later, from what is stored.
 */
export function createReceiver(secret: string, keep: (id: string, event: MftplusEvent) => Promise<void>): FastifyInstance {
  if (!secret) throw new Error('the secret of the webhook is missing')
  const app = Fastify({ bodyLimit: 1024 * 1024 })
  // In a scope of its own, so that other routes keep their JSON parser: here the body stays as it arrived.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    scope.post<{ Body: Buffer }>('/webhooks', async (request, reply) => {
      let event: MftplusEvent
      try {
        event = verify(request.headers, request.body, secret, { dialect: 'mftplus' })
      } catch (error) {
        if (!(error instanceof VerifyError)) throw error
        console.warn(`delivery refused: ${error.message}`)
        return reply.code(401).send()
      }
      // Where this throws, fastify answers 500 and the delivery comes again.
      await keep(event.id, event)
      return reply.code(204).send()
    })
  })
  return app
}
