// A process with one node on the local hub, and a topic that one node produces for all.
import Fastify from 'fastify'
import { local } from '../../../plugin/entries/local.ts'
import tether from '../../../plugin/index.ts'
import { contract } from '../../e2e/harness/topics.ts'

const [directory, name, leaseMs] = process.argv.slice(2) as [string, string, string]
const app = Fastify()
await app.register(tether, { cluster: { engine: local({ directory, deadlineMs: 500 }), leaseMs: Number(leaseMs) } })
const tell = (message: object) => { process.send?.(message) }
let count = 0
app.tether.stateful('/live', {
  contract,
  on: { say: () => {} },
  topics: {
    host: {
      run: 'cluster',
      start: (_params, { publish, signal }) => {
        tell({ started: true })
        const timer = setInterval(() => { publish('log', `${name} ${count++}`) }, 5)
        signal.addEventListener('abort', () => {
          clearInterval(timer)
          tell({ ended: true })
        })
      }
    }
  }
})
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })
await app.listen({ host: '127.0.0.1', port: 0 })
tell({ port: (app.server.address() as { port: number }).port })
