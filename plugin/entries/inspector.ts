import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { InspectorRefusedError } from '../../schemas/errors.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { optionGroups } from '../../schemas/options.ts'
import { observedOf } from '../app/observed.ts'
import { OptionValidator } from '../app/option-validator.ts'
import { TetherCore } from '../app/tether.ts'
import { readAssets, type AssetName } from '../eyes/inspector/assets.ts'
import { Inspector } from '../eyes/inspector/inspector.ts'

/** Options of `app.register(inspector, options)`. */
export interface InspectorOptions extends OptionsOf<typeof optionTable.inspector> {
  /**
   * Tells of each request for the page, its files, its stream and its events whether it may; may return a promise. A value
   * that is false, null, undefined, 0 or an empty text refuses with 403, and so does a throw. Needed: there is no default.
   */
  authorize: (request: FastifyRequest<any, any, any, any, any, any, any>) => unknown
  /**
   * What a page may do by hand to a session: `close` it for good, or `slow` it, so that its updates leave at a pace. Default:
   * neither.
   */
  allow?: { close?: boolean, slow?: boolean }
}

const validator = new OptionValidator(optionGroups.inspector)

/** Nothing but the page's own files, whatever the application allows its other pages. */
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const defaultPrefix = '/inspector'

const inspectorPlugin: FastifyPluginAsync<InspectorOptions> = async (fastify, options) => {
  // Fastify passes its own options of `register` together with ours.
  const { prefix, logLevel, logSerializers, ...own } = (options ?? {}) as InspectorOptions & Record<string, unknown>
  validator.check(own)
  const subject = observedOf(fastify, 'inspector')
  const { authorize, allow = {} } = own
  const { everyMs, maxPages, maxCommands } = { ...defaults.inspector, ...own }
  const inspector = new Inspector(subject, { allow: { close: allow.close === true, slow: allow.slow === true }, everyMs, maxCommands }, fastify.log)

  // A plugin of its own: its sessions take no place of the application's, are in none of its figures, and outlive a drain.
  const core = new TetherCore({ maxSessions: maxPages, maxSessionsPerOwner: 0, maxSessionsPerConnection: 0, maxDetached: maxPages })
  const mount = async (scope: FastifyInstance): Promise<void> => {
    scope.addHook('onRequest', async function authorizeInspector (request) {
      if (!await mayInspect(authorize, request)) throw new InspectorRefusedError()
    })
    serveAssets(scope)
    core.on(scope).stateful('/live', inspector.config)
  }
  if (prefix === undefined) await fastify.register(mount, { prefix: defaultPrefix })
  else await mount(fastify)
  fastify.addHook('preClose', function endInspectorStreams () { return core.shutdown() })
  fastify.addHook('onClose', async function stopInspector () { inspector.stop() })
}

async function mayInspect (authorize: InspectorOptions['authorize'], request: FastifyRequest): Promise<boolean> {
  try {
    return Boolean(await authorize(request))
  } catch (error) {
    // Strangers can cause this at will.
    request.log.debug({ err: error }, 'authorize of the inspector threw')
    return false
  }
}

function serveAssets (fastify: FastifyInstance): void {
  const assets = readAssets()
  const serve = (name: AssetName, request: FastifyRequest, reply: FastifyReply) => {
    const { type, body, etag } = assets[name]
    reply.headers({ 'content-security-policy': policy, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cache-control': 'private, no-cache', etag })
    if (request.headers['if-none-match'] === etag) return reply.code(304).send()
    return reply.type(type).send(body)
  }
  const schema = { hide: true } as object
  fastify.get('/', { schema }, async function openInspector (request, reply) {
    const [path = '', query] = request.url.split('?', 2)
    // The page's files have addresses below its own.
    if (!path.endsWith('/')) return reply.redirect(`${path.slice(path.lastIndexOf('/') + 1)}/${query === undefined ? '' : `?${query}`}`)
    return serve('page.html', request, reply)
  })
  for (const name of ['page.js', 'page.css'] as const) {
    fastify.get(`/${name}`, { schema }, async function getInspectorFile (request, reply) { return serve(name, request, reply) })
  }
}

/**
 * A page that shows the sessions of an application: `await app.register(inspector, { authorize, prefix: '/inspector' })`, after
 * `app.register(tether)`. The prefix of Fastify says where it is; default `/inspector`. It finds all URLs of `stateful`, later ones too. While nobody looks, it does nothing.
 *
 * Registration fails with `FST_ERR_TETHER_OPTION` without `authorize` and for an option that is not allowed, and with
 * `FST_ERR_TETHER_ARGUMENT` where `fastify-tether` is not registered.
 *
 * @see docs/inspector.md
 */
export const inspector = inspectorPlugin

export default inspector
