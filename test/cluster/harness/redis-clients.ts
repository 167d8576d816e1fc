import fastifyRedis from '@fastify/redis'
import fastify from 'fastify'
import { Cluster, Redis } from 'ioredis'
import * as ioredis5 from 'ioredis-5'
import * as iovalkey from 'iovalkey'
import * as redis6 from 'redis'
import * as redis4 from 'redis-4'
import * as redis5 from 'redis-5'
import type { RedisClient } from '../../../plugin/entries/redis.ts'
import type { Scope } from './relay.ts'

/** Settings of a client, as people give them. */
export interface ClientSettings {
  readonly username?: string
  readonly password?: string
  readonly prefix?: string
  /** A certificate to trust; the connection is encrypted. */
  readonly ca?: string
}

export interface ClientKind {
  readonly name: string
  /** Makes a client that has not connected. */
  readonly client: (port: number, settings?: ClientSettings) => RedisClient
  readonly cluster: (port: number, settings?: ClientSettings) => RedisClient
}

function callbackOptions ({ username, password, prefix, ca }: ClientSettings = {}) {
  return { lazyConnect: true, ...username === undefined ? {} : { username }, ...password === undefined ? {} : { password }, ...prefix === undefined ? {} : { keyPrefix: prefix }, ...ca === undefined ? {} : { tls: { ca } } }
}

function nodeOptions (port: number, { username, password, prefix, ca }: ClientSettings = {}) {
  return { socket: { host: '127.0.0.1', port, ...ca === undefined ? {} : { tls: true as const, ca } }, ...username === undefined ? {} : { username }, ...password === undefined ? {} : { password }, ...prefix === undefined ? {} : { keyPrefix: prefix } }
}

const node = (port: number) => [{ host: '127.0.0.1', port }]
const url = (port: number) => ({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })

export const clientKinds: readonly ClientKind[] = [
  {
    name: 'ioredis 6',
    client: (port, settings) => new Redis({ port, host: '127.0.0.1', ...callbackOptions(settings) }),
    cluster: (port, settings) => new Cluster(node(port), { lazyConnect: true, redisOptions: callbackOptions(settings) })
  },
  {
    name: 'ioredis 6 over RESP2',
    client: (port, settings) => new Redis({ port, host: '127.0.0.1', protocol: 2, ...callbackOptions(settings) }),
    cluster: (port, settings) => new Cluster(node(port), { lazyConnect: true, redisOptions: { protocol: 2, ...callbackOptions(settings) } })
  },
  {
    name: 'ioredis 5',
    client: (port, settings) => new ioredis5.Redis({ port, host: '127.0.0.1', ...callbackOptions(settings) }),
    cluster: (port, settings) => new ioredis5.Cluster(node(port), { lazyConnect: true, redisOptions: callbackOptions(settings) })
  },
  {
    name: 'iovalkey',
    client: (port, settings) => new iovalkey.Redis({ port, host: '127.0.0.1', ...callbackOptions(settings) }),
    cluster: (port, settings) => new iovalkey.Cluster(node(port), { lazyConnect: true, redisOptions: callbackOptions(settings) })
  },
  {
    name: 'redis 6',
    client: (port, settings) => redis6.createClient(nodeOptions(port, settings)),
    cluster: (port) => redis6.createCluster(url(port))
  },
  {
    name: 'redis 5',
    client: (port, settings) => redis5.createClient(nodeOptions(port, settings)),
    cluster: (port) => redis5.createCluster(url(port))
  },
  {
    name: 'redis 5 over RESP3',
    client: (port, settings) => redis5.createClient({ RESP: 3, ...nodeOptions(port, settings) }),
    cluster: (port) => redis5.createCluster({ RESP: 3, ...url(port) })
  },
  {
    name: 'redis 4',
    client: (port, settings) => redis4.createClient(nodeOptions(port, settings)),
    cluster: (port) => redis4.createCluster(url(port))
  }
]

export function clientKind (name: string): ClientKind {
  return clientKinds.find((kind) => kind.name === name)!
}

/** The client of an application that uses `@fastify/redis`. */
export async function clientOfFastify (scope: Scope, port: number): Promise<RedisClient> {
  const app = fastify()
  scope.after(() => app.close())
  await app.register(fastifyRedis, { host: '127.0.0.1', port })
  await app.ready()
  return app.redis
}
