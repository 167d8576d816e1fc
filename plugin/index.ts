import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AlreadyRegisteredError } from '../schemas/errors.ts'
import type { Tether, TetherOptions } from './app/api.ts'
import { TetherCore } from './app/tether.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Live sessions over server-sent events and WebSockets; see {@link Tether}. */
    tether: Tether
  }
}

const name = 'fastify-tether'

const tetherPlugin: FastifyPluginAsync<TetherOptions> = async (fastify, options) => {
  if (fastify.hasDecorator('tether')) throw new AlreadyRegisteredError()
  // Fastify passes its own options of `register` together with ours.
  const { prefix, logLevel, logSerializers, ...own } = options as TetherOptions & Record<string, unknown>
  const core = new TetherCore(own)
  // An encapsulated child inherits the decorator, but must get its own routes from it.
  const views = new WeakMap<FastifyInstance, Tether>()
  fastify.decorate('tether', {
    getter (this: FastifyInstance) {
      let view = views.get(this)
      if (view === undefined) {
        view = core.on(this)
        views.set(this, view)
      }
      return view
    }
  })
  fastify.addHook('preClose', function endTetherStreams () { return core.shutdown() })
  if (!core.isClustered) return
  fastify.addHook('onReady', function joinTetherCluster () { return core.start(fastify.log) })
  fastify.addHook('onClose', function leaveTetherCluster () { return core.leave() })
}

/**
 * The plugin: `await app.register(tether, options)` decorates the instance, and all
 * instances below it, with `app.tether`.
 *
 * Registration fails with `FST_ERR_TETHER_OPTION` for an option that is not allowed, and with
 * `FST_ERR_TETHER_ALREADY_REGISTERED` for a second registration.
 */
export const tether = fastifyPlugin(tetherPlugin, { fastify: '5.x', name })

export default tether
export { conflate, defineContract, request, text, topic } from '../schemas/contract.ts'
export { defaults } from '../schemas/defaults.ts'
export { errorTable } from '../schemas/error-table.ts'
export { EventError } from '../schemas/event-error.ts'
export type { AnyContract, ConflatedUpdate, Contract, EventData, EventDefinition, EventInput, EventSchemas, ReceivedData, ReceivedReply, ReplyData, RequestDefinition, TextUpdate, Topic, TopicDefinitions, TopicInput, TopicParams, TopicUpdates, UpdateData, UpdateDefinition, UpdateDefinitions, UpdateOutput } from '../schemas/contract.ts'
export type { Schema, TypeBox1Schema } from '../schemas/schema-data.ts'
export type { StandardSchema } from '../schemas/standard-schema.ts'
export type { Fault } from '../schemas/errors.ts'
export type { DrainOptions, Tether, TetherOptions, TetherStats, TuningOptions } from './app/api.ts'
export type { Protocol } from './carriers/carrier.ts'
export type { BusListener, BusListenerOptions, Cluster, ClusterMember, ClusterOptions, ClusterStats, ClusterStatus, ClusterValue, EventOrigin } from './cluster/api.ts'
export type { EngineSource } from './cluster/engine.ts'
export type { StreamCompression } from './carriers/stream-compression.ts'
export type { CompressionStats } from './compression/compression.ts'
export type { Figures as Counters } from './metrics/figures.ts'
export type { FrameFields } from './protocol/frame.ts'
export type { SessionRefusals } from './sessions/session-registry.ts'
export type { CloseReason, FoundSession, Group, Handler, HandlerStats, LiveTopic, Session, SessionStats, TopicStats, User } from './sessions/api.ts'
export type { RouteConfig, RouteSchema, StatefulConfig } from './routes/stateful-config.ts'
export type { AccessOptions, ConnectContext, ErrorContext, HandlerContext, RestoreContext, SessionOptions, TopicConfig, TopicLimits, TopicProducer } from './sessions/config.ts'
export type { RestoreFrom } from './sessions/snapshot.ts'
export type { FrameSource, MappedFrame, SendAllOptions } from './streams/send-all.ts'
export type { DisconnectReason } from './streams/stream.ts'
export type { CompressionOptions, Transport, Upgrade, UpgradeOptions } from './streams/transport.ts'
export type { Verdict } from '../schemas/verdict.ts'
export type { WebSocketPeer } from './carriers/websocket-carrier.ts'
export type { WebSocketUpgrade, WebSocketUpgradeOptions } from './websocket/websocket-upgrade.ts'
