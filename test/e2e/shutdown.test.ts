import t from 'tap'
import { fill } from './harness/fill.ts'
import { connectSession } from './harness/http2-connection.ts'
import { startLink } from './harness/link.ts'
import { startLive } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { post } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

const goodbye = /^retry: (\d+)\nevent: tether\ndata: {"type":"goodbye","reason":"shutdown","reconnect":true}$/

for (const protocol of protocols) {
  t.test(`${protocol}: app.close() ends 200 streams, 20 of which do not read, and waits for none`, async (t) => {
    const reasons: string[] = []
    const server = await startLive(t, {
      protocol,
      live: {
        on: { ping: () => new Promise(() => {}) },
        onClose: (_session, reason) => { reasons.push(reason) }
      }
    })
    const { app } = server
    const stuck = 3
    const link = await startLink(t, server)
    // On HTTP/2 as browsers do, many over one connection; those that do not read have one each.
    const connections = protocol === 'http/1.1' ? [] : Array.from({ length: 12 }, () => connectSession(server))
    const reading = await Promise.all(Array.from({ length: 180 }, async (_, index) => {
      const over = connections[index % connections.length]
      return server.connect(over === undefined ? {} : { over })
    }))
    const frozen = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
      const isLinked = index >= 15
      const connected = await server.connect({ frozen: true, ...isLinked ? { port: link.port } : {} })
      return connected
    }))
    link.freeze()
    // The kernel takes megabytes for a socket; HTTP/2's window takes less than it would.
    const ahead = protocol === 'http/1.1' ? 12_000_000 : 0
    const blocked: Array<Promise<boolean>> = []
    await Promise.all(frozen.map(async ({ session }) => { blocked.push((await fill(session, ahead)).blocked) }))
    // A handler that never settles must not hold it up either.
    for (const { session } of reading.slice(0, stuck)) await post(server, session.id, { event: 'ping', data: {} })
    const sent = Promise.all(reading.map(({ session }) => session.send('note', { text: 'last words' })))
    t.equal(app.tether.stats().streams, 200)
    t.ok(frozen.every(({ session }) => session.stats.stalled))

    const startedAt = performance.now()
    const closing = app.close()
    const closingAgain = app.close()
    await closing
    const elapsedMs = performance.now() - startedAt
    t.ok(elapsedMs < 10_000, `took ${Math.round(elapsedMs)} ms`)
    await within(closingAgain, 'the second close()')
    await within(app.close(), 'the third close()')

    t.same(await within(sent, 'the sends'), reading.map(() => true))
    t.same(await within(Promise.all(blocked), 'the blocked sends'), frozen.map(() => false), 'nobody will ever read them')
    t.match(app.tether.stats(), { sessions: 0, streams: 0, bufferedBytes: 0 })
    t.equal(reasons.length, 200, 'onClose ran for each')
    t.same([...new Set(reasons)], ['shutdown'])
    await until(() => reading.every(({ reader }) => reader.closed), 'all readers to see the end')
    await until(() => connections.every((connection) => connection.destroyed), 'the connections to be closed')
    const settled = reading.slice(stuck)
    t.ok(settled.every(({ reader }) => reader.ended), 'a proper end')
    for (const { reader } of settled) {
      if (reader.updates.at(-1)?.data !== '{"text":"last words"}') t.fail('what waited was not written')
      const retryMs = Number(goodbye.exec(reader.blocks.at(-1)?.raw ?? '')?.[1])
      if (!(retryMs >= 1_000 && retryMs <= 11_000)) t.fail(`no goodbye: ${reader.blocks.at(-1)?.raw}`)
    }
    const retries = new Set(settled.map(({ reader }) => reader.blocks.at(-1)?.retry))
    t.ok(retries.size > 100, 'they do not come back all at once')
    for (const { session } of [...reading, ...frozen]) {
      if (await session.send('row', 'late')) t.fail('a send after the end was granted')
    }
    t.same(server.errors().filter((record) => record.err?.code !== 'FST_ERR_TETHER_HANDLER_TIMEOUT'), [])
  })

  t.test(`${protocol}: app.close() ends plain streams as well`, async (t) => {
    const reasons: string[] = []
    const server = await startLive(t, {
      protocol,
      setup: (app) => {
        const upgrade = app.tether.sse.upgrade()
        app.get('/plain', async (request, reply) => {
          const transport = await upgrade(request, reply)
          transport.closed.then((reason) => { reasons.push(reason) })
          if (request.headers['x-flood'] !== undefined) transport.send({ data: 'x'.repeat(16_000_000) })
        })
      }
    })
    const reading = await Promise.all([1, 2, 3].map(() => openReader(server, '/plain')))
    const frozen = await openReader(server, '/plain', { frozen: true, headers: { 'x-flood': '1' } })
    await until(() => server.app.tether.stats().streams === 4, 'all streams')
    await turns()
    const startedAt = performance.now()
    await server.app.close()
    const elapsedMs = performance.now() - startedAt
    t.ok(elapsedMs < 10_000, `took ${Math.round(elapsedMs)} ms`)
    await until(() => reading.every((reader) => reader.closed) && reasons.length === 4, 'the ends')
    t.ok(reading.every((reader) => reader.ended))
    for (const reader of reading) t.match(reader.blocks.at(-1)?.raw, /^retry: (\d+)$/, 'what any reader knows, and nothing else')
    t.same(reasons, ['closed', 'closed', 'closed', 'closed'])
    frozen.destroy()
  })

  t.test(`${protocol}: a request that is under way when the server closes does not open a stream that stays`, async (t) => {
    for (const where of ['initialState', 'onSend', 'plain'] as const) {
      let waiting = 0
      let release = () => {}
      const gate = new Promise<void>((resolve) => { release = resolve })
      const pass = async () => {
        waiting++
        await gate
      }
      const server = await startLive(t, {
        protocol,
        live: { initialState: async () => { if (where === 'initialState') await pass() } },
        setup: (app) => {
          app.addHook('onSend', async () => { if (where !== 'initialState') await pass() })
          const upgrade = app.tether.sse.upgrade()
          app.get('/plain', async (request, reply) => { await upgrade(request, reply).catch(() => {}) })
        }
      })
      const reader = startReader(server, where === 'plain' ? '/plain' : '/live')
      await until(() => waiting > 0, 'the request to be under way')
      const closing = server.app.close()
      // Long enough for what is open to have been told.
      await until(() => server.app.tether.stats().sessions === 0 || where === 'onSend', 'the shutdown')
      await turns(20)
      release()
      await within(closing, `close(), ${where}`)
      await until(() => reader.closed, 'the end')
      t.ok(reader.ended, where)
      t.match(server.app.tether.stats(), { sessions: 0, streams: 0 }, where)
      t.equal(reader.status, 200)
      if (where === 'plain') t.match(reader.blocks.at(-1)?.raw, /^retry: \d+$/, 'told when to come back')
      else t.match(reader.controls.at(-1), { type: 'goodbye', reconnect: true }, `${where}: told to come back`)
    }
  })
}
