import formbody from '@fastify/formbody'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import { acceptedSchema, envelopeSchema, refusalSchema } from '../../schemas/envelope.ts'
import { OriginError, UpgradeRefusedError, UpgradeRequiredError } from '../../schemas/errors.ts'
import { Acceptance, leaveEvent } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { answerWithStream, noteArrival } from '../sse/stream-route.ts'
import { wantsWebSocket } from '../websocket/handshake.ts'
import { maxMessageBytes } from '../websocket/websocket-receiver.ts'
import { acceptHandshake, enableWebSockets, type SocketHandler } from '../websocket/websocket-registration.ts'
import { acceptSocket, jsonParser } from '../websocket/websocket-route.ts'
import { writeAnswer } from './answer.ts'
import { postEnvelopes, postEvent } from './event-route.ts'
import { originAllowed } from './origin.ts'
import type { Transports } from './transport-choice.ts'

// A timer cannot be longer; Fastify takes 0 for the instance's own timeout, so this stands for none.
const noHandlerTimeout = 2_147_483_647

/** Mounts the routes of a endpoint, with the instance's own hooks, decorators and prefix around them. */
export function mountRoutes (instance: FastifyInstance, url: string, endpoint: Endpoint, { mode, eventStream, webSocket }: Transports): void {
  const { limits, contract } = endpoint
  const acceptance = new Acceptance(endpoint)
  const { maxBatch } = limits
  const { events } = contract.contract
  const base = url.endsWith('/') ? url.slice(0, -1) : url
  const responses = { '4xx': refusalSchema, '5xx': refusalSchema }
  const headers = Type.Object({ 'x-tether-session': Type.Optional(Type.String({ description: 'The session, as the hello frame names it' })) })

  const options = (schema: object, rest: object = {}): RouteShorthandOptions => ({
    bodyLimit: limits.maxEventBytes,
    // The schemas are for the API document; what a body must hold depends on more than its route,
    // and an application's own error handler may answer in any form.
    validatorCompiler: () => undefined as never,
    serializerCompiler: () => writeAnswer,
    onRequest: checkOrigin,
    onSend: keepOut,
    ...rest,
    schema
  })

  function checkOrigin (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    if (eventStream !== null && request.method === 'GET') noteArrival(request)
    done(originAllowed(request, endpoint.trustedOrigins) ? undefined : new OriginError())
  }

  // A cache between may keep a 204 or a 404 for as long as it likes. Hooks of the application's come before this one.
  function keepOut (_request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: () => void): void {
    if (!reply.hasHeader('cache-control') && !reply.raw.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    done()
  }

  // Where an application has `@fastify/websocket` of its own, an upgrade would be accepted for this route too, and closed without a word.
  function refuseUpgrade (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    done(wantsWebSocket(request.headers) ? new UpgradeRefusedError() : undefined)
  }

  function openStream (request: FastifyRequest, reply: FastifyReply): void {
    // A proxy that drops the upgrade leaves the rest of the handshake. Its sender cannot read a stream, which would leave a session behind.
    if (eventStream !== null && (webSocket === null || request.headers['sec-websocket-version'] === undefined)) return answerWithStream(endpoint, eventStream, request, reply)
    // On HTTP/2 such a header is an error.
    if (request.raw.httpVersionMajor === 1) reply.header('upgrade', 'websocket')
    throw new UpgradeRequiredError()
  }

  function socketHandler (routes: FastifyInstance, upgrade: NonNullable<Transports['webSocket']>): SocketHandler {
    const parse = jsonParser(routes)
    return (peer, request) => { acceptSocket(endpoint, acceptance, upgrade, parse, peer, request) }
  }

  instance.register(async function tetherRoutes (routes) {
    // Fastify's own parser gives text as a string, which no event is made of.
    if (routes.hasContentTypeParser('text/plain')) routes.removeContentTypeParser('text/plain')

    const wsHandler = webSocket === null ? null : socketHandler(routes, webSocket)
    if (wsHandler !== null) await enableWebSockets(routes, mode, maxMessageBytes(limits.maxEventBytes))
    routes.get(url, options(
      { summary: 'Open the stream of a session', response: responses },
      {
        exposeHeadRoute: true,
        ...hasHandlerTimeout(routes) ? { handlerTimeout: noHandlerTimeout } : {},
        ...wsHandler === null ? { onRequest: [checkOrigin, refuseUpgrade] } : { wsHandler }
      }
    ), function openTetherSession (request, reply) {
      if (wsHandler === null || !acceptHandshake(request, reply, wsHandler)) openStream(request, reply)
    })

    const hasEvents = Object.keys(events).length > 0
    routes.post(url, options({
      summary: 'Send events to a session',
      headers,
      ...hasEvents ? { body: envelopeSchema(events, maxBatch) } : {},
      response: { 202: acceptedSchema, ...responses }
    }), function postTetherEnvelopes (request, reply) { postEnvelopes(acceptance, request, reply) })

    routes.register(async function tetherEvents (forms) {
      const formType = 'application/x-www-form-urlencoded'
      if (!forms.hasContentTypeParser(formType)) await forms.register(formbody)

      const responsesOfEvent = { 202: acceptedSchema, 204: Type.Null({ description: 'The same, for a form' }), ...responses }
      for (const [name, body] of Object.entries(events)) {
        forms.post(`${base}/${name}`, options({
          summary: `Send the event "${name}" to a session`, consumes: ['application/json', formType], headers, body, response: responsesOfEvent
        }), function postTetherEvent (request, reply) { postEvent(acceptance, name, request, reply) })
      }
      forms.post(`${base}/${leaveEvent}`, options({
        summary: 'End a session, unless its page comes back', consumes: ['application/json', formType], headers, response: responsesOfEvent
      }), function leaveTetherSession (request, reply) { postEvent(acceptance, leaveEvent, request, reply) })
      // Whatever else is posted here names an event that there is not, and is told so.
      forms.post(`${base}/:event`, options({ hide: true, response: responses }),
        function refuseTetherEvent (request, reply) { postEvent(acceptance, (request.params as { event: string }).event, request, reply) })
    })
  })
}

/** Whether Fastify cuts a reply that takes longer than its `handlerTimeout`; a stream does. */
function hasHandlerTimeout (instance: FastifyInstance): boolean {
  return (instance.initialConfig as { handlerTimeout?: number }).handlerTimeout !== 0
}
