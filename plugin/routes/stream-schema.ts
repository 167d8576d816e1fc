import type { TSchema } from '@sinclair/typebox'

type Json = Record<string, unknown>

/**
 * The response of a stream, for the API document: `itemSchema` of OpenAPI 3.2 says what one message is. Earlier versions of
 * OpenAPI do not know it.
 *
 * @param updates the JSON Schema of each update's data; null for text
 * @param replies the JSON Schema of the reply to each request
 * @param unnamed the update that is written without its name
 * @see https://spec.openapis.org/oas/v3.2.0.html#sequential-media-types
 */
export function streamSchema (updates: Record<string, TSchema | null>, replies: Record<string, TSchema>, unnamed: string | undefined): object {
  const messages = [
    ...Object.entries(updates).map(([name, data]) => message(name, name === unnamed ? null : name, data)),
    ...Object.keys(replies).length === 0 ? [] : [message('tether.reply', 'tether.reply', replySchema(Object.values(replies)))],
    message('tether', 'tether', { type: 'object', required: ['type'], properties: { type: { type: 'string' } }, description: 'A control frame' })
  ]
  const itemSchema = {
    type: 'object',
    properties: {
      event: { type: 'string' },
      data: { type: 'string' },
      id: { type: 'string' },
      retry: { type: 'integer', minimum: 0 }
    },
    oneOf: messages
  }
  return {
    description: 'The updates of the session, as server-sent events',
    // @fastify/swagger looks for schemas with an `$id` here, where it must find them first, and not in `content`. It leaves this part out.
    $defs: { messages: { properties: { ...Object.fromEntries(Object.entries(updates).filter(([, data]) => data !== null)), ...replies } } },
    // It needs a `schema` beside `itemSchema`, and so does Fastify.
    content: { 'text/event-stream': { schema: {}, itemSchema } }
  }
}

/** @param event null for a message without a name */
function message (title: string, event: string | null, data: Json | null): Json {
  const content = data === null ? { type: 'string' } : { type: 'string', contentMediaType: 'application/json', contentSchema: data }
  return event === null
    ? { title, required: ['data'], not: { required: ['event'] }, properties: { data: content } }
    : { title, required: ['event', 'data'], properties: { event: { const: event }, data: content } }
}

function replySchema (replies: readonly TSchema[]): Json {
  const seq = { type: 'integer', minimum: 1 }
  return {
    description: 'The reply to the request with this number',
    oneOf: [
      { type: 'object', required: ['seq', 'data'], properties: { seq, data: replies.length === 1 ? replies[0] : { anyOf: replies } } },
      { type: 'object', required: ['seq', 'code', 'message'], properties: { seq, code: { type: 'string' }, message: { type: 'string' }, data: {} } }
    ]
  }
}
