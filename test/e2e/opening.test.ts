import t from 'tap'
import { contract, silent } from './harness/contract.ts'
import { openReader, startReader } from './harness/reader.ts'
import { readWhole } from './harness/request.ts'
import { protocols, startServer } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const ours = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform, no-store',
  'x-accel-buffering': 'no'
}

for (const protocol of protocols) {
  t.test(`${protocol}: the first bytes are head and hello, to the letter`, async (t) => {
    const connectionHeaders: unknown[] = []
    const server = await startServer(t, {
      protocol,
      setup: (app) => {
        app.addHook('onSend', async (_request, reply) => { connectionHeaders.push(reply.getHeader('connection')) })
        app.addHook('onResponse', async (_request, reply) => { connectionHeaders.push(reply.raw.getHeader('connection')) })
        app.tether.stateful('/live', { contract, on: silent })
        app.tether.stateful('/own', {
          contract,
          on: silent,
          maxBatch: 5,
          maxEventBytes: 100,
          upgrade: app.tether.sse.upgrade({ retryMs: 250, heartbeatMs: 7_000 })
        })
        app.tether.stateful('/no-retry', { contract, on: silent, upgrade: app.tether.sse.upgrade({ retryMs: 0, heartbeatMs: 0 }) })
      }
    })

    const hello = (id: string, heartbeatMs: number, maxBatch: number, maxEventBytes: number) =>
      `id: ${id}.0\nevent: tether\ndata: {"type":"hello","session":"${id}","verdict":"new","seq":0,"heartbeatMs":${heartbeatMs},"maxBatch":${maxBatch},"maxEventBytes":${maxEventBytes}}\n\n`
    const expected: Array<[string, (id: string) => string]> = [
      ['/live', (id) => `retry: 1000\n${hello(id, 20_000, 32, 65_536)}`],
      ['/own', (id) => `retry: 250\n${hello(id, 7_000, 5, 100)}`],
      ['/no-retry', (id) => hello(id, 0, 32, 65_536)]
    ]
    for (const [path, text] of expected) {
      for (const session of [undefined, 'new']) {
        const reader = await openReader(server, path, { headers: { 'x-tether-session': session } })
        await until(() => reader.controls.length > 0, 'the hello frame')
        t.equal(reader.status, 200)
        t.match(reader.headers, ours)
        t.match(reader.session, /^[A-Za-z0-9_-]{24}$/)
        // Only who counts is told which updates are text.
        const whole = text(reader.session)
        t.equal(reader.text, session === undefined ? whole : whole.replace('}\n\n', ',"text":["row"]}\n\n'), `${path}, X-Tether-Session: ${session}`)
        t.equal(reader.chunks.length, 1, 'in one piece')
        reader.destroy()
      }
    }
    await until(() => server.app.tether.stats().streams === 0, 'the end of all streams')
    t.same(connectionHeaders.filter((header) => header !== undefined), [], 'no Connection header is ours')
    if (protocol !== 'http/1.1') t.equal((await readWhole(server, '/live', { accept: 'image/png' })).headers.connection, undefined)
    t.same(server.errors(), [])
  })

  t.test(`${protocol}: nothing is sent before initialState is done, and everything at once after it`, async (t) => {
    let asked = false
    let proceed = () => {}
    const gate = new Promise<void>((resolve) => { proceed = resolve })
    const server = await startServer(t, {
      protocol,
      setup: (app) => {
        app.tether.stateful('/live', {
          contract,
          on: silent,
          initialState: async () => {
            asked = true
            await gate
            return { ready: true }
          },
          onConnect: (session) => { session.send('note', { text: JSON.stringify(session.state) }) }
        })
      }
    })
    const reader = startReader(server)
    await until(() => asked, 'initialState to be called')
    // Another request makes the whole way while this one waits.
    await readWhole(server, '/live', { accept: 'image/png' })
    t.equal(reader.status, 0)
    t.equal(server.app.tether.stats().sessions, 0)
    proceed()
    await until(() => reader.updates.length > 0, 'the first update')
    t.same(reader.controls.map((control) => control.type), ['hello'])
    t.equal(reader.updates[0]?.data, '{"text":"{\\"ready\\":true}"}')
  })

  t.test(`${protocol}: HEAD has the headers of GET, and makes no session`, async (t) => {
    let states = 0
    const server = await startServer(t, {
      protocol,
      setup: (app) => {
        app.addHook('onSend', async (_request, reply) => { reply.header('x-hook', 'ran') })
        app.tether.stateful('/live', { contract, on: silent, initialState: () => { states++ } })
        const upgrade = app.tether.sse.upgrade()
        app.get('/plain', { exposeHeadRoute: true }, async (request, reply) => {
          const transport = await upgrade(request, reply)
          t.equal(await transport.send({ data: 'unseen' }), false)
          t.equal(await transport.closed, 'closed')
          await transport.close()
        })
      }
    })
    for (const path of ['/live', '/plain']) {
      const answer = await readWhole(server, path, {}, 'HEAD')
      t.equal(answer.status, 200, path)
      t.match(answer.headers, { ...ours, 'x-hook': 'ran' })
      t.equal(answer.text, '')
    }
    const { sessions, streams } = server.app.tether.stats()
    t.same({ sessions, streams, states }, { sessions: 0, streams: 0, states: 0 })
    t.same(server.errors(), [])
  })

  t.test(`${protocol}: Accept decides`, async (t) => {
    let states = 0
    const server = await startServer(t, {
      protocol,
      setup: (app) => { app.tether.stateful('/live', { contract, on: silent, initialState: () => { states++ } }) }
    })
    const accepting = ['text/event-stream', '*/*', undefined, 'text/*', 'text/html, text/event-stream;q=0.1', 'TEXT/Event-Stream', 'application/json, */*;q=0.1', 'text/event-stream;charset=utf-8', 'text/event-stream; charset="UTF-8"', '']
    for (const accept of accepting) {
      const reader = await openReader(server, '/live', { headers: { accept } })
      await until(() => reader.controls.length > 0, 'the hello frame')
      t.equal(reader.status, 200, `Accept: ${accept}`)
      t.match(reader.headers, ours)
      reader.destroy()
    }
    t.equal(states, accepting.length)
    for (const accept of ['application/json', 'text/event-stream;q=0', 'text/event-stream;charset=utf-16', 'text/event-stream;charset=utf-8;q=0', 'text/html', '*/*, text/event-stream;q=0', 'text/*;q=0, application/*']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await readWhole(server, '/live', { accept }, method)
        t.equal(answer.status, 406, `${method}, Accept: ${accept}`)
        if (method === 'GET') t.equal(answer.json.code, 'FST_ERR_TETHER_NOT_ACCEPTABLE')
      }
    }
    t.equal(states, accepting.length, 'no session was begun for a refused request')
    await until(() => server.app.tether.stats().streams === 0, 'the end of all streams')
  })
}

t.test('a stream of a plain route has its first bytes at once, with and without a retry line', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      for (const retryMs of [0, 500]) {
        const upgrade = app.tether.sse.upgrade({ retryMs, heartbeatMs: 0 })
        app.get(`/${retryMs}`, async (request, reply) => { await upgrade(request, reply) })
      }
    }
  })
  const with500 = await openReader(server, '/500')
  await until(() => with500.text !== '', 'the first bytes')
  t.equal(with500.text, 'retry: 500\n\n')
  const with0 = await openReader(server, '/0')
  t.equal(with0.status, 200)
  await until(() => with0.text !== '', 'the first bytes')
  t.equal(with0.text, '\n', 'nothing that a parser would dispatch')
  await turns()
  t.equal(server.app.tether.stats().streams, 2)
})
