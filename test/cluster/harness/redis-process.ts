import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from '../../e2e/harness/until.ts'
import { freePort } from '../../harness/free-port.ts'
import type { Scope } from './relay.ts'
import { stopProcess } from './stopped-process.ts'

export const program = process.env.REDIS_SERVER_PATH ?? '/usr/bin/redis-server'

const running = new Set<ChildProcess>()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

export interface RedisProcess {
  readonly port: number
  /** Of a server of a cluster: the port that the servers use among themselves. */
  readonly busPort: number
  /** A client of the test's own, to look and to set up. */
  readonly admin: Redis
  /** Stops it, with all connections open, until `thaw`. */
  freeze: () => Promise<void>
  thaw: () => void
  /** Ends it as a crash does. */
  kill: () => Promise<void>
  /** Starts it again, at the same port and with what is on its disk. */
  start: () => Promise<void>
}

export interface RedisSettings {
  /** Whether every write is on the disk before its answer. */
  readonly isDurable?: boolean
  readonly isCluster?: boolean
  readonly password?: string
  /** A file of settings, in place of those of the tests. */
  readonly conf?: string
  /** Further arguments of redis-server. */
  readonly args?: readonly string[]
}

/** Starts a server on the loopback; it ends with the test, and with the process. */
export async function startRedis (scope: Scope, { isDurable = false, isCluster = false, password, conf, args = [] }: RedisSettings = {}): Promise<RedisProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'tether-redis-'))
  const [port, busPort] = [await freePort(), await freePort()]
  const admin = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => 20, maxRetriesPerRequest: null, ...password === undefined ? {} : { password } })
  // It reconnects by itself.
  admin.on('error', () => {})
  let child: ChildProcess | undefined
  const kill = async () => {
    const ending = child
    child = undefined
    if (ending === undefined) return
    const closed = once(ending, 'exit')
    ending.kill('SIGKILL')
    await closed
    running.delete(ending)
  }
  const start = async () => {
    // The kernel ends it when this process dies, however that happens.
    child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...conf === undefined ? [] : [conf],
      '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no', '--repl-diskless-sync-delay', '0',
      ...conf === undefined ? ['--save', '', '--appendonly', isDurable ? 'yes' : 'no', '--appendfsync', 'always'] : [],
      ...isCluster ? ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '1000', '--cluster-replica-validity-factor', '0'] : [],
      ...password === undefined ? [] : ['--requirepass', password],
      ...args
    ], { stdio: ['ignore', 'pipe', 'inherit'] })
    running.add(child)
    let output = ''
    let failure: unknown
    child.stdout!.setEncoding('utf8').on('data', (text: string) => { output += text })
    child.on('error', (error) => { failure = error })
    const starting = child
    await until(() => {
      if (failure !== undefined || starting.exitCode !== null) throw new Error(`${program} does not start: ${String(failure)}\n${output}`)
      return output.includes('Ready to accept connections')
    }, 'redis-server')
    await admin.ping()
  }
  scope.after(async () => {
    admin.disconnect()
    await kill()
    rmSync(folder, { recursive: true, force: true })
  })
  await start()
  return { port, busPort, admin, freeze: () => stopProcess(child!.pid!), thaw: () => { child!.kill('SIGCONT') }, kill, start }
}

/** Starts a cluster of three masters. */
export async function startCluster (scope: Scope, settings: RedisSettings = {}): Promise<readonly RedisProcess[]> {
  const servers = await Promise.all([1, 2, 3].map(() => startRedis(scope, { ...settings, isCluster: true })))
  const [first] = servers as [RedisProcess, RedisProcess, RedisProcess]
  const share = Math.ceil(16_384 / servers.length)
  await Promise.all(servers.map(async ({ admin }, index) => {
    await admin.cluster('SET-CONFIG-EPOCH', index + 1)
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', index * share, Math.min((index + 1) * share, 16_384) - 1)
  }))
  for (const { port, busPort } of servers.slice(1)) await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort)
  await isWhole(servers)
  return servers
}

/** Resolves when every server of a cluster knows all others and every slot. */
export async function isWhole (servers: readonly RedisProcess[]): Promise<void> {
  for (const { admin } of servers) {
    let info = ''
    const asking = new AbortController()
    const ask = async () => {
      while (!asking.signal.aborted) {
        info = String(await admin.call('CLUSTER', 'INFO'))
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const asked = ask()
    await until(() => info.includes('cluster_state:ok') && info.includes('cluster_size:3'), 'the cluster').finally(() => { asking.abort() })
    await asked
  }
}
