import { OptionError } from '../../../schemas/errors.ts'

/** A part of a command, as it goes to the server. */
export type Argument = string | Buffer

/** A connection that the engine shares with nobody. It ends once and never comes back. */
export interface RedisConnection {
  /** Resolves when it carries commands; rejects with the reason if it never will. */
  readonly ready: Promise<unknown>
  /** Sends a command. `key` is its first key, by which a cluster finds the server. */
  send: (key: string, command: readonly Argument[]) => Promise<unknown>
  /** Sends several commands in one write. Null where the library does so by itself, or where their keys may be on several servers. */
  readonly sendAll: ((commands: ReadonlyArray<readonly Argument[]>) => Array<Promise<unknown>>) | null
  /** Ends it at once. What waits is dropped. */
  destroy: () => void
}

/** The server or the cluster that a given client talks to, whatever the client's library. */
export interface RedisServer {
  /** What the given client puts before each key. */
  readonly prefix: string
  readonly isCluster: boolean
  /** Opens a further connection with the settings of the given client. `onLost` is called once at most. */
  connect: (connectMs: number, onLost: (reason: Error) => void) => RedisConnection
}

interface Emitter { on: (event: string, listener: (reason?: unknown) => void) => unknown }

/** ioredis and iovalkey. */
interface CallbackClient extends Emitter {
  readonly options: { readonly keyPrefix?: string | null }
  /** The socket. Its closing waits for the other side, which may be silent. */
  readonly stream?: { destroy: () => unknown } | null
  duplicate: (options: object) => CallbackClient
  connect: () => Promise<unknown>
  disconnect: () => unknown
  callBuffer: (command: string, ...rest: readonly Argument[]) => Promise<unknown>
  pipeline: () => CallbackPipeline
}

interface CallbackPipeline {
  callBuffer: (command: string, ...rest: readonly Argument[]) => unknown
  /** Null if the commands were dropped with the connection. */
  exec: () => Promise<ReadonlyArray<readonly [Error | null, unknown?]> | null>
}

interface CallbackCluster extends Omit<CallbackClient, 'duplicate' | 'pipeline'> {
  readonly options: { readonly keyPrefix?: string | null, readonly redisOptions?: { readonly keyPrefix?: string | null } }
  duplicate: (startupNodes: [], options: object) => CallbackCluster
  nodes: () => readonly CallbackClient[]
}

/** The package `redis`, from version 4. */
interface NodeClient extends Emitter {
  readonly isOpen: boolean
  readonly options?: { readonly socket?: object, readonly url?: string, readonly keyPrefix?: string }
  duplicate: (options?: object) => NodeClient
  connect: () => Promise<unknown>
  disconnect: () => Promise<unknown>
  destroy?: () => unknown
  sendCommand: (command: readonly Argument[], options: object) => Promise<unknown>
}

interface NodeCluster extends Omit<NodeClient, 'duplicate' | 'sendCommand' | 'options'> {
  readonly _keyPrefix?: string
  duplicate: (options?: object) => NodeCluster
  sendCommand: (firstKey: string, isReadonly: boolean, command: readonly Argument[], options: object) => Promise<unknown>
}

/**
 * Finds out which library a client belongs to. None of them is imported.
 *
 * @throws `FST_ERR_TETHER_OPTION` for anything else
 */
export function serverOf (client: unknown): RedisServer {
  const has = (name: string) => typeof (client as Record<string, unknown>)[name] === 'function'
  if (typeof client === 'object' && client !== null && has('duplicate') && has('on')) {
    if (has('callBuffer') && has('disconnect')) return has('nodes') ? callbackCluster(client as CallbackCluster) : callbackClient(client as CallbackClient)
    if (has('sendCommand') && has('connect') && 'isOpen' in client && !has('getSentinelNode')) return has('nodeClient') ? nodeCluster(client as NodeCluster) : nodeClient(client as NodeClient)
  }
  throw new OptionError(`redis() takes a client: new Redis() or new Cluster() of ioredis 5 or later or of iovalkey, app.redis of @fastify/redis, or createClient() or createCluster() of the package redis 4 or later; got ${describe(client)}`)
}

function describe (client: unknown): string {
  if (client === undefined) return 'undefined: install and make one, or register @fastify/redis first'
  if (client === null || typeof client !== 'object') return typeof client === 'string' ? 'a string' : String(client)
  const name: unknown = client.constructor?.name
  if (name === 'Promise') return 'a promise: await it first'
  // @fastify/redis decorates with an object of clients where namespaces are used.
  const inner = Object.entries(client).find(([, value]) => typeof value?.duplicate === 'function')
  if (inner !== undefined) return `an object with the client "${inner[0]}": give that one`
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object'
}

/** A connection tells its reason better than the library's error about its end. */
function lastError (client: Emitter): () => Error | undefined {
  let last: Error | undefined
  client.on('error', (error) => { if (error instanceof Error) last = error })
  return () => last
}

// The engine replaces a connection that broke. A library that reconnects sends again what was under way: the order breaks.
const callbackSettings = (connectMs: number) => ({
  lazyConnect: true,
  connectTimeout: connectMs,
  retryStrategy: null,
  reconnectOnError: null,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableReadyCheck: false,
  enableAutoPipelining: false,
  maxRetriesPerRequest: null,
  sentinelRetryStrategy: () => null,
  role: 'master',
  readOnly: false,
  replyMapping: 'legacy',
  // The engine's own deadlines know which command blocks.
  commandTimeout: undefined,
  blockingTimeout: undefined,
  socketTimeout: undefined,
  // The engine puts the prefix itself.
  keyPrefix: ''
})

/** @param pipeline of a single server; null for a cluster */
function callbackConnection (client: CallbackClient | CallbackCluster, pipeline: (() => CallbackPipeline) | null, onLost: (reason: Error) => void, destroy: () => void): RedisConnection {
  const last = lastError(client)
  const judge = (error: unknown): unknown => error instanceof Error && error.name === 'ReplyError' ? error : last() ?? error
  client.on('end', () => { onLost(last() ?? new Error('Connection is closed')) })
  return {
    ready: client.connect().catch((error: unknown) => { throw last() ?? error }),
    send: (_key, [name, ...rest]) => client.callBuffer((name as string).toLowerCase(), ...rest).catch((error: unknown) => { throw judge(error) }),
    sendAll: pipeline === null
      ? null
      : (commands) => {
          const batch = pipeline()
          for (const [name, ...rest] of commands) batch.callBuffer((name as string).toLowerCase(), ...rest)
          const executed = batch.exec()
          return commands.map(async (_command, index) => {
            const [error, value] = (await executed)?.[index] ?? [new Error('Connection is closed')]
            if (error !== null) throw judge(error)
            return value
          })
        },
    destroy
  }
}

function end (client: CallbackClient): void {
  client.disconnect()
  client.stream?.destroy()
}

function callbackClient (given: CallbackClient): RedisServer {
  return {
    prefix: given.options.keyPrefix ?? '',
    isCluster: false,
    connect (connectMs, onLost) {
      const client = given.duplicate({ ...callbackSettings(connectMs), enableOfflineQueue: false })
      return callbackConnection(client, () => client.pipeline(), onLost, () => { end(client) })
    }
  }
}

function callbackCluster (given: CallbackCluster): RedisServer {
  return {
    prefix: given.options.keyPrefix ?? given.options.redisOptions?.keyPrefix ?? '',
    isCluster: true,
    connect (connectMs, onLost) {
      const cluster = given.duplicate([], {
        lazyConnect: true,
        clusterRetryStrategy: () => null,
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 0,
        slotsRefreshTimeout: connectMs,
        scaleReads: 'master',
        enableAutoPipelining: false,
        // Commands wait here while a server of the cluster is being connected.
        enableOfflineQueue: true,
        keyPrefix: '',
        redisOptions: callbackSettings(connectMs)
      })
      return callbackConnection(cluster, null, onLost, () => {
        const nodes = cluster.nodes()
        cluster.disconnect()
        for (const node of nodes) end(node)
      })
    }
  }
}

// Versions 4 and later name this differently: the types of replies by their first byte, `$`, `=` and `%`.
const asBuffers = { returnBuffers: true, typeMapping: { 36: Buffer, 61: Buffer, 37: Array } }

function nodeConnection (client: NodeClient | NodeCluster, send: RedisConnection['send']): RedisConnection {
  const last = lastError(client)
  return {
    ready: client.connect().catch((error: unknown) => { throw error instanceof Error ? error : last() ?? error }),
    send,
    sendAll: null,
    destroy () {
      // Version 4 has no `destroy`; `disconnect` drops what waits as well.
      try {
        if (client.destroy !== undefined) client.destroy()
        else client.disconnect().catch(() => {})
      } catch {
        // It was closed already.
      }
    }
  }
}

function nodeClient (given: NodeClient): RedisServer {
  return {
    prefix: given.options?.keyPrefix ?? '',
    isCluster: false,
    connect (connectMs, onLost) {
      const client = given.duplicate({
        socket: { ...given.options?.socket, connectTimeout: connectMs, reconnectStrategy: false },
        disableOfflineQueue: true,
        legacyMode: false,
        readonly: false,
        pingInterval: undefined,
        clientSideCache: undefined,
        commandOptions: {},
        commandsQueueMaxLength: undefined
      })
      client.on('error', (error) => { onLost(error as Error) })
      client.on('end', () => { onLost(new Error('Connection is closed')) })
      return nodeConnection(client, (_key, command) => client.sendCommand(command, asBuffers))
    }
  }
}

function nodeCluster (given: NodeCluster): RedisServer {
  return {
    prefix: given._keyPrefix ?? '',
    isCluster: true,
    // The settings of its connections cannot be read here. They may reconnect, but send nothing again.
    connect () {
      const cluster = given.duplicate()
      return nodeConnection(cluster, (key, command) => cluster.sendCommand(key, false, command, asBuffers))
    }
  }
}
