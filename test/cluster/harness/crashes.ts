import type { Test } from 'tap'
import { connect, type Connection } from '../../../client/index.ts'
import { memory } from '../../../plugin/entries/memory.ts'
import { unpackRecord, type SessionRecord } from '../../../plugin/cluster/session-record.ts'
import type { Engine, EngineSource, PutOptions } from '../../../plugin/cluster/engine.ts'
import type { MemoryHub } from '../../../plugin/cluster/memory/memory-hub.ts'
import { refOf } from '../../../plugin/sessions/session-id.ts'
import type { contract } from '../../e2e/harness/contract.ts'
import type { LiveConfig } from '../../e2e/harness/live.ts'
import { until } from '../../e2e/harness/until.ts'
import { startNode, type Node } from './nodes.ts'
import { keeping, stateOf } from './tabs.ts'

/** What the engine has of a session. */
interface Kept {
  record: () => Promise<SessionRecord | null>
  journal: () => Promise<string[]>
}

interface Rig {
  hub: MemoryHub
  nodes: Node[]
  /** Texts of `onRestore`, `onClose` and events of all nodes: which node, and what. */
  told: string[]
  /** Writes of records: how many so far, and most at a time for one session. */
  puts: { count: number, most: number }
  /** Ends a node as a crash does: the engine and the clients see no more of it, and nothing of it reaches them. Waits until the others know. */
  crash: (node: Node) => Promise<void>
  keptOf: (id: string) => Kept
}

/** Nodes over memory whose sessions survive a crash. */
export async function startCrashing (t: Test, count: number, live: LiveConfig, { wrap = (engine) => engine, heartbeatMs, leaseMs = 800 }: { wrap?: (engine: Engine) => Engine, heartbeatMs?: number, leaseMs?: number } = {}): Promise<Rig> {
  const hub = memory({ deadlineMs: 200 })
  const told: string[] = []
  const puts = { count: 0, most: 0 }
  const nodes: Node[] = []
  for (let index = 0; index < count; index++) {
    const name = ['one', 'two', 'three'][index]!
    const engine: EngineSource = { engineFor: (application) => wrap(counting(hub.engineFor(application), puts)) }
    nodes.push(await startNode(t, engine, {
      cluster: { leaseMs, handoverMs: 300, forwardMs: 300 },
      // A `fetch` that was aborted while it connected leaves a socket, for which a server waits.
      fastify: { forceCloseConnections: true },
      ...heartbeatMs === undefined ? {} : { upgrade: { heartbeatMs } },
      live: {
        ...keeping,
        on: {
          say: (session, { text }, { redelivered }) => {
            told.push(`${name} says ${text}${redelivered === true ? ' again' : ''}`)
            stateOf(session).said.push(text)
          }
        },
        onRestore: (_session, { from }) => { told.push(`${name} restores ${from}`) },
        onClose: (_session, reason) => { told.push(`${name} closes ${reason}`) },
        ...live
      }
    }))
  }
  for (const { cluster } of nodes) await until(() => cluster.nodes().length === count && cluster.status === 'ready', 'all nodes know each other')
  const eye = hub.engineFor({ name: 'tether', logMs: 1_000 })
  await eye.open('eye', { entry () {}, message () {}, up () {}, down () {}, forgot () {} })
  t.teardown(() => eye.close())
  return {
    hub,
    nodes,
    told,
    puts,
    crash: async (node) => {
      hub.cut(node.cluster.node)
      node.app.server.closeAllConnections()
      const others = nodes.filter((other) => other !== node)
      nodes.splice(nodes.indexOf(node), 1)
      for (const { cluster } of others) await until(() => cluster.nodes().every(({ name }) => name !== node.cluster.node), 'the others know')
    },
    keptOf: (id) => ({
      record: async () => {
        const found = await eye.get(refOf(id))
        return found === null ? null : unpackRecord(found.value)
      },
      journal: async () => (await eye.journalOf(refOf(id))).map(String)
    })
  }
}

/** The library's client. Its requests go to one server, which can change. */
export function connectTo (t: Test, target: { origin: string }): Connection<typeof contract> {
  const client = connect<typeof contract>('http://anywhere/live', {
    retryMs: 20,
    retryMaxMs: 100,
    fetch: (url, init) => fetch(`${target.origin}${new URL(String(url)).pathname}`, init)
  })
  t.teardown(() => client.close())
  return client
}

function counting (engine: Engine, puts: Rig['puts']): Engine {
  const running = new Map<string, number>()
  return new Proxy(engine, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'put') return value.bind(target) as unknown
      return async (key: string, bytes: Buffer, revision: string | null, options: PutOptions) => {
        const now = (running.get(key) ?? 0) + 1
        running.set(key, now)
        puts.count++
        puts.most = Math.max(puts.most, now)
        try {
          return await target.put(key, bytes, revision, options)
        } finally {
          running.set(key, running.get(key)! - 1)
        }
      }
    }
  })
}
