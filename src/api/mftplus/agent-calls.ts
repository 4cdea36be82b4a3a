import { LABEL_CHARS_MAX } from '../../accounts/check.ts'
import { AGENT_OSES, HOSTNAME_CHARS_MAX, MEMORY_MIB_MAX, VERSION_CHARS_MAX } from '../../agents/check.ts'
import { CSR_BYTES_MAX } from '../../agents/request.ts'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { addressOf, agentOf, type Guards } from '../auth.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, params, refTo, TEXT_CHARS_MAX, text } from '../schema.ts'
import { AgentShape, agentShape } from './agents.ts'
import { agentRoute, envelope, registrationRoute, said } from './shapes.ts'

const Csr = text('Certificate request (PKCS #10, PEM) of a P-256 key; only the key is taken from it.', {
  minLength: 1,
  maxLength: CSR_BYTES_MAX,
})
const Pem = text('The certificate, PEM.')

/** What a foreign agent needs to know to make its request; ours knows it. */
const CSR_TEMPLATE = {
  format: 'PKCS #10',
  keyAlgorithm: 'EC',
  namedCurve: 'P-256',
  signatureAlgorithm: 'ECDSA with SHA-256',
} as const

/** The door for agents that are not known yet. */
export function addRegistrationRoute(api: Api, { agents }: ApiNeeds, guards: Guards): void {
  api.post(
    '/agents/register',
    {
      onRequest: guards.registering,
      preValidation: guards.admission,
      schema: {
        ...registrationRoute(
          'registerAgent',
          'Agents',
          'Register an agent with an enrolment or administrator token',
          {
            201: envelope({
              agent: refTo(AgentShape),
              apiKey: text('For `X-API-Key`; shown once.'),
              mtls: Type.Object({
                enabled: Type.Literal(true),
                csrTemplate: Type.Object({
                  format: Type.String(),
                  keyAlgorithm: Type.String(),
                  namedCurve: Type.String(),
                  signatureAlgorithm: Type.String(),
                }),
                certificate: Type.Optional(Pem),
                ca: text('The authority that the agent pins, PEM.'),
                agents: Type.Optional(text('`host:port` of the agent port; absent while it does not listen.')),
              }),
            }),
          },
          [403, 409],
        ),
        description:
          'Repeated with the same public key, it answers the same agent with another key and certificate, and uses nothing more of the token.',
        body: body({
          hostname: text('Name of its machine.', { minLength: 1, maxLength: HOSTNAME_CHARS_MAX }),
          os: Type.Enum([...AGENT_OSES]),
          name: Type.Optional(
            text('For people; defaults to the name of its machine.', { minLength: 1, maxLength: LABEL_CHARS_MAX }),
          ),
          version: Type.Optional(text('Of the agent.', { minLength: 1, maxLength: VERSION_CHARS_MAX })),
          csr: Type.Optional(Csr),
          enrollmentToken: Type.Optional(text('The token, where it is not the bearer token.', { maxLength: TEXT_CHARS_MAX })),
          customerIdentifier: Type.Optional(
            text('Taken for the sake of agents of the other product, and not used: it lets nobody in.', {
              maxLength: TEXT_CHARS_MAX,
            }),
          ),
        }),
      },
    },
    async (request, reply) => {
      const { enrollmentToken: _token, customerIdentifier: _customer, ...input } = request.body
      const { agent, apiKey, certificate } = await agents.enrolment.register(request.admission!, input, addressOf(request))
      const reachedAt = agents.reachedAt(request.hostname)
      reply.code(201)
      return said({
        agent: agentShape(agent),
        apiKey,
        mtls: {
          ...{ enabled: true as const, csrTemplate: CSR_TEMPLATE },
          ...(certificate === null ? {} : { certificate }),
          ca: agents.authorityCertificate,
          ...(reachedAt === null ? {} : { agents: reachedAt }),
        },
      })
    },
  )
}

/** What agents call, at either listener; the guard of the listener stands before them. */
export function addAgentCalls(api: Api, { agents: { presence, enrolment } }: ApiNeeds): void {
  api.post(
    '/agents/heartbeat',
    {
      config: { notesContact: true },
      schema: {
        ...agentRoute('heartbeat', 'Agents', 'Say that the agent is there, every 30 to 60 seconds', {
          200: envelope({ agent: refTo(AgentShape) }),
        }),
        body: body({
          status: Type.Optional(Type.Enum(['online', 'offline', 'busy', 'error'])),
          load: Type.Optional(Type.Number({ description: 'Share of its processors that is in use.', minimum: 0, maximum: 1 })),
          memory: Type.Optional(Type.Integer({ description: 'MB that it uses.', minimum: 0, maximum: MEMORY_MIB_MAX })),
          version: Type.Optional(text('Of the agent.', { minLength: 1, maxLength: VERSION_CHARS_MAX })),
        }),
      },
    },
    async (request) => {
      const { status, ...more } = request.body
      const agent = agentOf(request)
      const goodbye = status === 'offline'
      const seen = goodbye
        ? await presence.left(agent)
        : await presence.seen(agent, { ipAddress: addressOf(request), ...more, ...(status && { status }) })
      if (seen === undefined) throw new AppError('forbidden', 'this agent is revoked; it has to be enrolled again')
      return said({ agent: agentShape(seen) })
    },
  )

  api.post(
    '/agents/:id/certificate',
    {
      schema: {
        ...agentRoute(
          'issueCertificate',
          'Agents',
          'Get a certificate, the first one or a newer one; those before count until their end',
          { 200: envelope({ certificateId: idOf('certificate'), certificate: Pem }) },
          [403, 409],
        ),
        params: params({ id: idOf('agent') }),
        body: body({ csr: Csr }),
      },
    },
    async (request) => {
      const agent = agentOf(request)
      if (request.params.id !== agent.id) throw new AppError('forbidden', 'an agent gets certificates for itself only')
      const { certificate, facts } = await enrolment.certificate(agent, request.body.csr, addressOf(request))
      return said({ certificateId: facts.id, certificate })
    },
  )
}
