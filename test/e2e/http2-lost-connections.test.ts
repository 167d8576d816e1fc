import { connect, type ClientHttp2Session } from 'node:http2'
import t from 'tap'
import { startHttp2Server, type Http2Report, type Http2ServerProcess } from './harness/http2-server-process.ts'
import { startLink, type Link } from './harness/link.ts'
import { patienceMs, turns } from './harness/until.ts'

const rounds = 3
const mostMemory = 400_000_000
const largestWindow = 2 ** 31 - 1

t.jobs = 3

function open (server: Http2ServerProcess, port: number): ClientHttp2Session {
  const over = connect(`${server.protocol === 'h2' ? 'https' : 'http'}://127.0.0.1:${port}`, { ca: server.cert, settings: { initialWindowSize: largestWindow } })
  over.on('error', () => {})
  // Nothing holds the server back but the connection itself.
  over.on('connect', () => { over.setLocalWindowSize(largestWindow) })
  return over
}

function request (over: ClientHttp2Session, headers: Record<string, string>) {
  const stream = over.request({ ':path': '/live', ...headers })
  stream.on('error', () => {})
  stream.resume()
  return stream
}

async function reports (server: Http2ServerProcess, is: (report: Http2Report) => boolean): Promise<Http2Report> {
  const startedAt = performance.now()
  for (;;) {
    const report = await server.report()
    if (is(report) || performance.now() - startedAt > patienceMs) return report
    await turns(4)
  }
}

/** Each leaves a stream with data that Node has not sent, beside an event that has not come whole. */
const losses: Record<string, (over: ClientHttp2Session, link: Link, get: ReturnType<typeof request>) => void> = {
  'the connection is reset': (_over, link) => { link.cut() },
  'the client goes': (over) => { over.destroy() },
  'the client gives the stream up, and the connection is reset': (_over, link, get) => {
    get.close(8)
    get.once('close', () => { link.cut() })
  }
}

for (const protocol of ['h2c', 'h2'] as const) {
  for (const [loss, lose] of Object.entries(losses)) {
    t.test(`${protocol}, ${loss}: the server goes on, and its memory stays`, { buffered: true }, async (t) => {
      const server = await startHttp2Server(t, protocol)
      for (let round = 1; round <= rounds; round++) {
        const link = await startLink(t, server as never)
        const over = open(server, link.port)
        const get = request(over, { 'x-tether-session': 'new' })
        request(over, { ':method': 'POST', 'content-type': 'application/json', 'x-tether-session': 'x'.repeat(24) })
        const { streams, connects } = await reports(server, ({ streams }) => streams === 1)
        t.match({ streams, connects }, { streams: 1, connects: round })
        link.freeze()
        t.match(await reports(server, ({ stalled }) => stalled === 1), { stalled: 1 }, 'updates wait')
        lose(over, link, get)
        const after = await reports(server, ({ sessions, disconnects }) => sessions === 0 && disconnects === round)
        t.match(after, { sessions: 0, streams: 0, connects: round, disconnects: round }, `lost connection ${round}`)
        t.ok(after.memory < mostMemory, `${after.memory} bytes`)
        over.destroy()
      }
      const over = open(server, server.port)
      t.equal(await new Promise((resolve) => {
        request(over, {}).on('response', (head) => { resolve(head[':status']) }).on('close', () => { resolve(0) })
      }), 200, 'and it still answers')
      over.destroy()
    })
  }
}
