import { Readable } from 'node:stream'
import fastify, {
  type FastifyError,
  type FastifyHttpOptions,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  type RawServerDefault,
} from 'fastify'
import { AppError } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import { BODY_BYTES_MAX, type Refusal, refusalOf } from './errors.ts'
import type { Api } from './needs.ts'
import { validatorCompiler } from './validate.ts'

/** Longest part of a path that stands for an id. */
const PARAM_CHARS_MAX = 100

/**
 * Handed over as the server is made, since Fastify otherwise loads a checker and a compiler of serialisers first, which are 120 modules. Answers
 * are built member by member and checked against their schemas in the tests; compiled serialisers would cost 22 MB and 0.6 s of every
 * start (measured). Its types know no checker but Ajv.
 */
const COMPILERS = {
  compilersFactory: { buildValidator: () => validatorCompiler, buildSerializer: () => () => JSON.stringify },
} as unknown as NonNullable<FastifyServerOptions['schemaController']>

/**
 * A server without routes on which all of ours stand: strict JSON in and out, refusals answered at one place, a line in the log for what is
 * the server's own doing. `inStyle` tells a refusal as the callers of its path know them.
 */
export function createGround(
  log: Log,
  inStyle: (request: FastifyRequest, refusal: Refusal) => object,
  options: FastifyHttpOptions<RawServerDefault>,
): Api {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    schemaController: COMPILERS,
    frameworkErrors: (error, request, reply) => refuse(error, request as FastifyRequest, reply as unknown as FastifyReply),
    ...options,
  }) as unknown as Api

  /** The one place where a refused request is answered, and logged when it is the server's own doing. */
  function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const refusal = refusalOf(error, request.routeOptions?.bodyLimit)
    if (refusal.status >= 500) {
      const { stack, cause } = error as Error
      const fields = {
        method: request.method,
        route: request.routeOptions?.url,
        code: refusal.code,
        stack,
        cause: String(cause ?? ''),
      }
      log.error(fields, 'request failed')
    }
    if (refusal.retryAfterSeconds !== undefined) reply.header('retry-after', refusal.retryAfterSeconds)
    reply.code(refusal.status).type('application/json; charset=utf-8').send(inStyle(request, refusal))
  }

  app.setErrorHandler((error: FastifyError, request, reply) => refuse(error, request, reply))
  app.setNotFoundHandler((request, reply) =>
    refuse(new AppError('not_found', `nothing answers ${request.method} at this path`), request, reply),
  )
  takeOnlyJson(app)
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    const fields = {
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    }
    log.debug(fields, 'request')
  })
  return app
}

/** A body is a JSON object or absent; members that would reach a prototype are refused. */
function takeOnlyJson(app: Api): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') return done(null, undefined)
    parse(request, text as string, (error, value) => {
      if (error) done(new AppError('invalid', 'the body is not JSON', { cause: error }), undefined)
      else done(null, value)
    })
  })
  app.addHook('preValidation', async ({ body, routeOptions, is404 }) => {
    // The bytes of a file come as a stream, where a route takes them.
    if (is404 || routeOptions.schema?.body !== undefined || body instanceof Readable || Object.keys(body ?? {}).length === 0)
      return
    throw new AppError('invalid', `the body must be empty here; ${Object.keys(body as object)[0]} is not known`)
  })
}
