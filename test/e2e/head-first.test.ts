import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { readWhole } from './harness/request.ts'
import { startServer, type Protocol } from './harness/server.ts'
import { until } from './harness/until.ts'

// More than one write may hold, so that the first pieces follow each other within one turn of the event loop.
const large = Array.from({ length: 70 }, (_, number) => `${number} ${String.fromCharCode(97 + number % 26).repeat(3_900)} ä`)

for (const protocol of ['http/1.1', 'https', 'h2c'] as Protocol[]) {
  for (const encoding of ['identity', 'gzip']) {
    t.test(`${protocol}, ${encoding}: whoever resumes with much to replay gets the head first, then each update once`, async (t) => {
      const server = await startLive(t, { protocol, live: { replayBytes: 1_000_000 } })
      for (const claim of [exactly, counting]) {
        const headers = { 'accept-encoding': encoding }
        const first = await server.connect({ headers: { ...headers, ...claim === counting ? counting('new') : {} } })
        const { session } = first
        for (const row of large) session.send('row', row)
        await until(() => first.reader.updates.length === large.length, 'the updates')
        t.same(first.reader.updates.map(({ data }) => data), large)
        first.reader.destroy()
        await until(() => !session.connected, 'the disconnect')
        for (let round = 1; round <= 3; round++) {
          const { reader } = await server.connect({ headers: { ...headers, ...claim(session.id, 0) } })
          // The reader fails by itself where something stands before the head.
          t.equal(reader.status, 200)
          t.equal(reader.headers['content-encoding'], encoding === 'gzip' ? 'gzip' : undefined)
          await until(() => reader.updates.length >= large.length, 'the replay')
          t.same(reader.updates.map(({ data }) => data), large, `${claim.name}, round ${round}`)
          const last = `after round ${round}`
          session.send('row', last)
          await until(() => reader.updates.at(-1)?.data === last, 'what follows')
          t.equal(reader.updates.length, large.length + 1)
          reader.destroy()
          await until(() => !session.connected, 'the disconnect')
          // What was sent behind the replay is not to be replayed in the next round.
          large.push(last)
        }
        large.splice(-3)
      }
      t.same(server.errors(), [])
    })

    t.test(`${protocol}, ${encoding}: a stream that ends at once is whole`, async (t) => {
      const server = await startServer(t, {
        protocol,
        setup: (app) => {
          const upgrade = app.tether.sse.upgrade()
          app.get('/empty', async (request, reply) => { await (await upgrade(request, reply)).close() })
          app.get('/short', async (request, reply) => {
            const transport = await upgrade(request, reply)
            for (const data of large) transport.send({ data })
            await transport.close()
          })
        }
      })
      for (const [path, expected] of [['/empty', []], ['/short', large]] as const) {
        const reader = await openReader(server, path, { headers: { 'accept-encoding': encoding } })
        await until(() => reader.closed || reader.ended, 'the end')
        t.ok(reader.ended, 'its end is proper')
        t.match(reader.text, /^retry: 1000\n/)
        t.same(reader.updates.map(({ data }) => data), expected, path)
      }
      t.match(await readWhole(server, '/empty', {}, 'HEAD'), { status: 200, text: '' })
    })
  }
}
