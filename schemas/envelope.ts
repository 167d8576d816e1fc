import { Type, type TSchema } from '@sinclair/typebox'

/** Answer to accepted events: the last `seq` that the session has accepted. */
export const acceptedSchema = Type.Object({ seq: Type.Integer(), durable: Type.Optional(Type.Integer({ description: 'The last event that survives a crash of the session\'s node, where that is not `seq`' })) }, { description: 'Queued on the session\'s command channel' })

/** Answer to a refused request, for the API document. An application's own error handler may answer differently. */
export const refusalSchema = Type.Object({
  statusCode: Type.Optional(Type.Integer()),
  code: Type.Optional(Type.String()),
  error: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  expected: Type.Optional(Type.Integer()),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() })))
}, { additionalProperties: true, description: 'Refused; nothing of the body was applied' })

/** Answer to a request whose handler threw an `EventError`, for the API document. */
export const rejectionSchema = Type.Object({
  statusCode: Type.Optional(Type.Integer()),
  error: Type.Optional(Type.String()),
  code: Type.String(),
  message: Type.String(),
  data: Type.Optional(Type.Unknown())
}, { description: 'The request was rejected by its handler' })

/**
 * The body of `POST url`, for the API document: one envelope per event, or an array of them.
 *
 * @param requests names of the events that need a number
 */
export function envelopeSchema (events: Record<string, TSchema>, maxBatch: number, requests: readonly string[] = []): TSchema {
  const envelopes = Object.entries(events).map(([name, data]) => Type.Object({
    event: Type.Literal(name),
    data,
    seq: requests.includes(name) ? Type.Integer({ minimum: 1 }) : Type.Optional(Type.Integer({ minimum: 1 }))
  }, { title: name, additionalProperties: false }))
  const envelope = envelopes.length === 1 ? envelopes[0]! : Type.Union(envelopes)
  return Type.Union([envelope, Type.Array(envelope, { minItems: 1, maxItems: maxBatch })])
}
