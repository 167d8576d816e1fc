// One node of the dashboard: a process that server.ts starts, with the name of the cluster.
import type { AddressInfo } from 'node:net'
import { local } from 'fastify-tether/local'
import { redis } from 'fastify-tether/redis'
import { Redis } from 'ioredis'
import { buildDashboard } from '../dashboard/dashboard.ts'

const [name = 'dashboard'] = process.argv.slice(2)
const { REDIS_URL } = process.env

const app = await buildDashboard({
  cluster: {
    name,
    // The engine takes the settings of the client, which never connects itself.
    engine: REDIS_URL === undefined ? local() : redis(new Redis(REDIS_URL, { lazyConnect: true })),
    // Half of the default, so that those who watch do not wait long for the others to take a killed node for dead.
    leaseMs: 5000,
    // A killed node answers nobody: pages try again sooner.
    handoverMs: 1000
  },
  replace: () => { process.send?.('replace') }
})

let leaving = false
async function leave () {
  if (leaving) return
  leaving = true
  await app.tether.drain({ timeoutMs: 3000, retryMs: 100, spreadMs: 400 })
  await app.close()
  process.exit()
}
process.on('message', leave)
// Ctrl+C reaches all processes of the terminal. The parent tells this one when to leave.
process.on('SIGINT', () => {})
process.on('SIGTERM', leave)
// Without its parent nothing sends it requests.
process.on('disconnect', leave)

await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: (app.server.address() as AddressInfo).port })
