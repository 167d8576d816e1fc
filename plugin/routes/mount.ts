import formbody from '@fastify/formbody'
import { Type, type TSchema } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { acceptedSchema, envelopeSchema, refusalSchema, rejectionSchema } from '../../schemas/envelope.ts'
import { longestTimerMs } from '../../schemas/timer.ts'
import { subscribeEvent, unsubscribeEvent } from '../../schemas/topic-events.ts'
import { DocumentNames } from '../contract/schema-document.ts'
import { Acceptance, leaveEvent } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { MountedTransport } from '../sessions/session-transport.ts'
import { postEnvelopes, postEvent } from './event-route.ts'
import { refuseUpgrade, RouteOptions } from './route-options.ts'
import type { RouteConfig } from './stateful-config.ts'
import { streamSchema } from './stream-schema.ts'
import type { ChosenTransports } from './transport-choice.ts'

// For Fastify, 0 means the timeout of the instance. So the longest possible time means no timeout.
const noHandlerTimeout = longestTimerMs

const formType = 'application/x-www-form-urlencoded'
const consumes = ['application/json', formType]
const refusals = { '4xx': refusalSchema, '5xx': refusalSchema }
const headers = Type.Object({ 'x-tether-session': Type.Optional(Type.String({ description: 'The session, as the hello frame names it' })) })

const waitHeaders = Type.Object({ ...headers.properties, prefer: Type.String({ description: '`wait=<seconds>`: how long to wait for the reply' }) })
const topicBody = Type.Object({
  topic: Type.String({ description: 'Name of the topic; in a form, parameters may follow, as in host?id=a' }),
  params: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), { description: 'Its parameters; in a form, the other fields are the parameters' }))
})

/** What the routes of one endpoint have in common. */
interface Parts {
  readonly url: string
  readonly endpoint: Endpoint
  readonly acceptance: Acceptance
  readonly options: RouteOptions
  /** The JSON Schema of each event's data. */
  readonly documents: Record<string, TSchema>
  /** The JSON Schema of the reply to each request. */
  readonly replies: Record<string, TSchema>
  /** The JSON Schema of each update's data; null for text. */
  readonly updates: Record<string, TSchema | null>
}

/** Names in the API document of each application. */
const documentNames = new WeakMap<object, DocumentNames>()

/**
 * Mounts the routes of an endpoint, with the instance's own hooks, decorators and prefix around them.
 *
 * @param route the application's options for all of them
 */
export function mountRoutes (instance: FastifyInstance, url: string, endpoint: Endpoint, transports: ChosenTransports, route?: RouteConfig): void {
  const names = documentNames.get(endpoint.runtime) ?? new DocumentNames()
  documentNames.set(endpoint.runtime, names)
  const { contract } = endpoint
  const parts: Parts = {
    url,
    endpoint,
    acceptance: new Acceptance(endpoint),
    options: new RouteOptions(endpoint, route),
    documents: contract.eventDocuments(names),
    replies: contract.replyDocuments(names),
    updates: contract.updateDocuments(names)
  }
  instance.register(async function tetherRoutes (routes) {
    // Fastify's own parser accepts plain text, but no event arrives as plain text.
    if (routes.hasContentTypeParser('text/plain')) routes.removeContentTypeParser('text/plain')
    await mountStream(routes, parts, transports)
    mountEnvelopes(routes, parts)
    routes.register(async function tetherEvents (forms) {
      if (!forms.hasContentTypeParser(formType)) await forms.register(formbody)
      mountEvents(forms, parts)
    })
  })
}

/** `GET url`: the first transport that accepts a request serves it. */
async function mountStream (routes: FastifyInstance, { url, endpoint, acceptance, options, replies, updates }: Parts, { mode, mount }: ChosenTransports): Promise<void> {
  const transports: MountedTransport[] = []
  for (const mountOne of mount) transports.push(await mountOne(routes, { endpoint, acceptance }))
  const takesUpgrades = transports.some((transport) => transport.takesUpgrades)
  routes.get(url, {
    ...options.for({ summary: 'Open the stream of a session', response: { ...mode === 'websocket' ? {} : { 200: streamSchema(updates, replies, endpoint.contract.unnamed) }, ...refusals } }, {
      before: [function noteTetherRequest (request, _reply, done) {
        for (const transport of transports) transport.onRequest(request)
        done()
      }],
      after: takesUpgrades ? [] : [refuseUpgrade]
    }),
    exposeHeadRoute: true,
    ...hasHandlerTimeout(routes) ? { handlerTimeout: noHandlerTimeout } : {},
    ...Object.assign({}, ...transports.map(({ routeOptions }) => routeOptions)) as object
  }, function openTetherSession (request, reply) {
    for (const transport of transports) if (transport.serve(request, reply)) return
  })
}

/** `POST url`: events in envelopes. */
function mountEnvelopes (routes: FastifyInstance, { url, endpoint, acceptance, options, documents, replies }: Parts): void {
  const hasEvents = Object.keys(documents).length > 0
  routes.post(url, options.for({
    summary: 'Send events to a session',
    headers: Type.Object({ ...headers.properties, 'x-tether-sender': Type.Optional(Type.String({ description: 'Who numbers the events' })) }),
    ...hasEvents ? { body: envelopeSchema(documents, endpoint.limits.maxBatch, Object.keys(replies)) } : {},
    response: { 202: acceptedSchema, ...refusals }
  }), function postTetherEnvelopes (request, reply) { postEnvelopes(acceptance, request, reply) })
}

/** `POST url/:event`: the data of one event, also as a form. */
function mountEvents (forms: FastifyInstance, { url, endpoint, acceptance, options, documents, replies }: Parts): void {
  const base = url.endsWith('/') ? url.slice(0, -1) : url
  const response = { 202: acceptedSchema, 204: Type.Null({ description: 'The same, for a form' }), ...refusals }
  for (const [name, body] of Object.entries(documents)) {
    const reply = replies[name]
    const schema = reply === undefined
      ? { summary: `Send the event "${name}" to a session`, consumes, headers, body, response }
      : { summary: `Send the request "${name}" to a session, and wait for the reply`, consumes, headers: waitHeaders, body, response: { 200: describedReply(reply), 202: acceptedSchema, 422: rejectionSchema, ...refusals } }
    const runtime = reply === undefined ? null : endpoint.runtime
    forms.post(`${base}/${name}`, options.for(schema),
      function postTetherEvent (request, reply) { postEvent(acceptance, name, request, reply, runtime) })
  }
  forms.post(`${base}/${leaveEvent}`, options.for({ summary: 'End a session, unless its page comes back', consumes, headers, response }),
    function leaveTetherSession (request, reply) { postEvent(acceptance, leaveEvent, request, reply) })
  if (endpoint.contract.subscriptions !== null) {
    for (const [name, summary] of [[subscribeEvent, 'Subscribe a session to a topic'], [unsubscribeEvent, 'End a subscription of a session']] as const) {
      forms.post(`${base}/${name}`, options.for({ summary, consumes, headers, body: topicBody, response }),
        function postTetherSubscription (request, reply) { postEvent(acceptance, name, request, reply) })
    }
  }
  // Any other name is an unknown event, and the answer says so.
  forms.post(`${base}/:event`, options.for({ hide: true, response: refusals }),
    function refuseTetherEvent (request, reply) { postEvent(acceptance, (request.params as { event: string }).event, request, reply) })
}

/** A response of the API document needs a description. */
function describedReply (reply: TSchema): object {
  return { description: 'The reply', content: { 'application/json': { schema: reply } } }
}

/** Whether Fastify cuts a reply that takes longer than its `handlerTimeout`; a stream does. */
function hasHandlerTimeout (instance: FastifyInstance): boolean {
  return (instance.initialConfig as { handlerTimeout?: number }).handlerTimeout !== 0
}
