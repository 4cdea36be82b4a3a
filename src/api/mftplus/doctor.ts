import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { idOf, iso, nullable, params, refTo, text, time } from '../schema.ts'
import { adminRoute, envelope, said } from './shapes.ts'

export const DoctorReportShape = Type.Object(
  {
    webhookId: idOf('webhook'),
    url: text('Where the probes went.'),
    checks: Type.Array(
      Type.Object({
        name: Type.Enum(['tls', 'genuine', 'bad_signature', 'changed_body', 'old_timestamp', 'duplicate', 'latency'], {
          description: 'What was tried.',
        }),
        outcome: Type.Enum(['ok', 'warning', 'problem', 'skipped']),
        says: text('What was found, in a sentence.'),
        remedy: nullable(text('What to do about it.')),
      }),
    ),
    tls: nullable(
      Type.Object(
        {
          protocol: text('Such as `TLSv1.3`.'),
          cipher: text('Its name.'),
          problem: nullable(text('Why the chain is not trusted.')),
          chain: Type.Array(
            Type.Object({
              subject: text('Whom it names.'),
              issuer: text('Who signed it.'),
              validFrom: time('From when.'),
              validTo: time('Until when.'),
            }),
            { description: "From the receiver's own certificate on." },
          ),
        },
        { description: 'Null over plain http, or where no handshake came about.' },
      ),
    ),
  },
  { $id: 'DoctorReport' },
)

export function addDoctorRoutes(api: Api, { doctor }: ApiNeeds): void {
  api.post(
    '/webhooks/:id/doctor',
    {
      schema: {
        ...adminRoute(
          'examineWebhook',
          'Webhooks',
          'Probe the receiver: TLS, forged and old requests, a duplicate, latency. It gets about ten samples',
          { 200: envelope({ report: refTo(DoctorReportShape) }) },
          [403, 404, 409],
        ),
        params: params({ id: idOf('webhook') }),
      },
    },
    async ({ params: { id }, caller }) => {
      const { tls, checks, ...report } = await doctor.examine(id, caller)
      const chain = tls?.chain.map((one) => ({ ...one, validFrom: iso(one.validFrom), validTo: iso(one.validTo) })) ?? []
      return said({ report: { ...report, checks: [...checks], tls: tls === null ? null : { ...tls, chain } } })
    },
  )
}
