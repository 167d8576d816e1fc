// A process with one node of an application on the local hub, and `/live` on a port of its own.
import Fastify from 'fastify'
import { local } from '../../../plugin/entries/local.ts'
import tether from '../../../plugin/index.ts'
import { mountLive } from '../../../plugin/entries/contract-tests/live.ts'

const [directory] = process.argv.slice(2) as [string]
const app = Fastify()
await app.register(tether, { cluster: { engine: local({ directory, deadlineMs: 500 }), leaseMs: 1_000 } })
const live = mountLive(app, {}, {})
const tell = (message: object) => { process.send?.(message) }

process.on('message', async ({ id, call, args }: { id: number, call: string, args: [string, number] }) => {
  tell({ id, result: await run(call, args) })
})
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })

async function run (call: string, [prefix, count]: [string, number]): Promise<unknown> {
  switch (call) {
    case 'status': return app.tether.cluster!.status
    case 'nodes': return app.tether.cluster!.nodes().length
    case 'stats': return app.tether.cluster!.stats()
    case 'load':
      for (let index = 0; index < count; index++) {
        live.broadcast('note', { text: `${prefix}:${index}` })
        if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await live.synced()
      return
    case 'close': return app.close()
  }
}

await app.listen({ host: '127.0.0.1', port: 0 })
tell({ port: (app.server.address() as { port: number }).port })
