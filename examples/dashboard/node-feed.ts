import type { Cluster, ClusterMember } from 'fastify-tether'

const lookEveryMs = 200

/** Publishes the nodes whenever something about them changes, until the signal aborts. */
export function feedNodes (cluster: Cluster, publish: (update: 'list', nodes: ClusterMember[]) => unknown, signal: AbortSignal): void {
  let last = ''
  const look = () => {
    const nodes = cluster.nodes().toSorted((left, right) => left.startedAt - right.startedAt)
    const now = JSON.stringify(nodes)
    if (now === last) return
    last = now
    publish('list', nodes)
  }
  look()
  const timer = setInterval(look, lookEveryMs)
  signal.addEventListener('abort', () => clearInterval(timer))
}
