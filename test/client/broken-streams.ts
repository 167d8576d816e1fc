// Opens streams that break in the middle, one after the other, and prints by how many bytes each has made the heap grow.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { connect } from '../../client/index.ts'
import { hello } from './stream-server.ts'

const warmUp = 100
const measured = 400

let opened = 0
let reached: [count: number, tell: () => void] = [warmUp, () => {}]
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(`${hello({ verdict: 'resumed' })}event: note\ndata: ${'x'.repeat(20_000)}`)
  if (++opened === reached[0]) reached[1]()
  else setTimeout(2).then(() => response.destroy())
})
const until = (count: number) => new Promise<void>((resolve) => { reached = [count, resolve] })
const heap = async () => {
  for (let round = 0; round < 5; round++) {
    globalThis.gc!()
    // What is collected is told in turns of their own.
    await setTimeout(20)
  }
  return process.memoryUsage().heapUsed
}

await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`
const options = { retryMs: 0, retryMaxMs: 0 }
let arrived = until(warmUp)
const first = connect(url, options)
await arrived
first.close()
const before = await heap()
opened = 0
arrived = until(measured)
const second = connect(url, options)
await arrived
const after = await heap()
console.log(Math.round((after - before) / measured))
second.close()
process.exit(0)
