import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineSource } from '../../../plugin/entries/contract-tests.ts'

export const engineKinds = ['local', 'redis', 'nats'] as const

export type EngineKind = typeof engineKinds[number]

/** Where the nodes of a run meet: a directory, or a server's port. It goes from process to process. */
export interface Meeting {
  readonly engine: EngineKind
  readonly directory: string
  readonly port: number
}

const deadlineMs = 2_000
export const application = { name: 'chaos', logMs: 60_000 }

/** Starts the engine's server, if it has one. */
export async function startMeeting (engine: EngineKind, directory: string, after: (end: () => unknown) => void): Promise<Meeting> {
  if (engine === 'redis') {
    const { startRedis } = await import('../../cluster/harness/redis-process.ts')
    return { engine, directory, port: (await startRedis({ after })).port }
  }
  if (engine === 'nats') {
    const { NatsServer } = await import('../../cluster/harness/nats.ts')
    return { engine, directory, port: (await NatsServer.start(after)).port }
  }
  const hub = join(directory, 'hub')
  mkdirSync(hub, { mode: 0o700 })
  return { engine, directory: hub, port: 0 }
}

/** The engine of one process. It loads only what it needs, since many processes start. */
export async function engineAt ({ engine, directory, port }: Meeting): Promise<EngineSource> {
  if (engine === 'redis') {
    const [{ Redis }, { redis }] = await Promise.all([import('ioredis'), import('../../../plugin/entries/redis.ts')])
    return redis(new Redis({ port, host: '127.0.0.1', lazyConnect: true }), { deadlineMs })
  }
  if (engine === 'nats') {
    const [{ connect }, { nats }] = await Promise.all([import('@nats-io/transport-node'), import('../../../plugin/entries/nats.ts')])
    return nats(() => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 }), { deadlineMs })
  }
  const { local } = await import('../../../plugin/entries/local.ts')
  return local({ directory, deadlineMs })
}
