import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { serveAs } from '../support/serve.ts'
import { createBalancer } from './balancer.ts'
import { Nodes } from './nodes.ts'

const count = 3

let nodes: Nodes | undefined
const balancer = createBalancer(() => nodes?.ports ?? [])

await serveAs('The dashboard of three nodes', 'npm run start:cluster', {
  async listen (address) {
    balancer.listen(address)
    await once(balancer, 'listening')
    const { address: host, port, family } = balancer.address() as AddressInfo
    // With the port in its name: several that run at once have nothing to do with each other.
    nodes = new Nodes(`dashboard-${port}`)
    await Promise.all(Array.from({ length: count }, () => nodes!.start()))
    return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
  },
  async leave () {
    await nodes?.leave()
    balancer.close()
    balancer.closeAllConnections()
  }
})
