import t from 'tap'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post, readWhole } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { isSettled, turns, until, within } from './harness/until.ts'

const goodbye = (retryMs: number) => `retry: ${retryMs}\nevent: tether\ndata: {"type":"goodbye","reason":"draining","reconnect":true}`

for (const protocol of protocols) {
  t.test(`${protocol}: drain() tells everybody, and resolves when they are gone`, async (t) => {
    const reasons: string[] = []
    const server = await startLive(t, { protocol, live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    const exact = await server.connect()
    const counted = await server.connect({ headers: { 'x-tether-session': 'new' } })
    for (const { session } of [exact, counted]) session.send('note', { text: 'before' })
    const { signal } = exact.session
    const startedAt = performance.now()
    const draining = server.app.tether.drain({ retryMs: 5_000, spreadMs: 0, timeoutMs: 60_000 })
    t.ok(signal.aborted)
    t.equal(signal.reason, 'draining')
    await within(draining, 'drain()')
    t.ok(performance.now() - startedAt < 30_000, 'as soon as all are gone, not when time is up')
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
    t.same(reasons, ['draining', 'draining'])
    for (const { reader } of [exact, counted]) {
      await until(() => reader.closed, 'the end')
      t.ok(reader.ended, 'a proper end')
      t.same(reader.blocks.slice(-2).map((block) => block.event), ['note', 'tether'], 'what waited, then the goodbye')
      t.equal(reader.blocks.at(-1)?.raw, goodbye(5_000))
    }
    await within(server.app.tether.drain(), 'another drain()')
    await within(server.app.close(), 'close()')
  })

  t.test(`${protocol}: the retry is spread, so that they do not come back all at once`, async (t) => {
    const server = await startLive(t, { protocol })
    const connected = await Promise.all(Array.from({ length: 12 }, () => server.connect()))
    await within(server.app.tether.drain(), 'drain()')
    await until(() => connected.every(({ reader }) => reader.closed), 'the ends')
    const retries = connected.map(({ reader }) => Number(reader.blocks.at(-1)?.retry))
    t.ok(retries.every((retryMs) => retryMs >= 1_000 && retryMs <= 11_000), String(retries))
    t.ok(new Set(retries).size > 6, String(retries))
  })

  t.test(`${protocol}: while it drains, newcomers are turned away in the way that they understand`, async (t) => {
    let states = 0
    const outcomes: unknown[] = []
    const server = await startLive(t, {
      protocol,
      live: { initialState: () => { states++ } },
      setup: (app) => {
        for (const [path, upgrade] of [['/plain', app.tether.sse.upgrade()], ['/goodbye', app.tether.sse.upgrade({ goodbye: true })]] as const) {
          app.get(path, async (request, reply) => {
            const transport = await upgrade(request, reply)
            outcomes.push(await transport.send({ data: 'too late' }), await transport.closed)
          })
        }
        app.get('/page', async (request) => ({ prepared: await server.live.prepare(request) }))
      }
    })
    const { session } = await server.connect()
    await server.app.tether.drain()
    for (const headers of [{}, { 'last-event-id': `${session.id}.0` }, { 'last-event-id': 'nonsense' }]) {
      const answer = await readWhole(server, '/live', headers)
      t.equal(answer.status, 200)
      t.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8')
      const retryMs = Number(/^retry: (\d+)\n/.exec(answer.text)?.[1])
      t.ok(retryMs >= 1_000, `retry ${retryMs}`)
      t.equal(answer.text, `${goodbye(retryMs)}\n\n`, 'no id, nothing else')
    }
    for (const headers of [{ 'x-tether-session': 'new' }, { 'x-tether-session': session.id }]) {
      const answer = await readWhole(server, '/live', headers)
      t.equal(answer.status, 503)
      t.equal(answer.json.code, 'FST_ERR_TETHER_DRAINING')
      t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
    }
    t.equal((await readWhole(server, '/live', { accept: 'text/html' })).status, 406)
    const plain = await readWhole(server, '/plain')
    t.match(plain.text, /^retry: 1000\n\nretry: \d+\n\n$/, 'without a session nobody need know the protocol')
    const polite = await readWhole(server, '/goodbye')
    t.match(polite.text, /^retry: 1000\n\nretry: \d+\nevent: tether\ndata: {"type":"goodbye","reason":"draining","reconnect":true}\n\n$/)
    await until(() => outcomes.length === 4, 'the outcomes')
    t.same(outcomes, [false, 'closed', false, 'closed'], 'a stream that is told to leave at once takes nothing')
    t.same((await readWhole(server, '/page', { accept: '*/*' })).json, { prepared: null })
    t.equal(states, 1, 'no state was made for any of them')
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0, pending: 0 })
    t.same(server.errors().filter((record) => record.err?.code !== 'FST_ERR_TETHER_DRAINING'), [])
  })

  t.test(`${protocol}: a stream without a session ends with a retry alone, unless it asks for the goodbye`, async (t) => {
    const server = await startLive(t, {
      protocol,
      setup: (app) => {
        for (const [path, upgrade] of [['/plain', app.tether.sse.upgrade()], ['/silent', app.tether.sse.upgrade({ goodbye: false })], ['/goodbye', app.tether.sse.upgrade({ goodbye: true })]] as const) {
          app.get(path, async (request, reply) => { (await upgrade(request, reply)).send({ data: 'x' }) })
        }
      }
    })
    const readers = await Promise.all(['/plain', '/silent', '/goodbye'].map((path) => openReader(server, path)))
    const { reader: ofSession } = await server.connect()
    await until(() => readers.every(({ updates }) => updates.length === 1), 'the first frames')
    await within(server.app.tether.drain({ retryMs: 5_000, spreadMs: 0 }), 'drain()')
    await until(() => [...readers, ofSession].every(({ ended }) => ended), 'the ends')
    for (const [index, last] of ['retry: 5000', 'retry: 5000', goodbye(5_000)].entries()) t.equal(readers[index]!.text, `retry: 1000\n\ndata: x\n\n${last}\n\n`)
    t.equal(ofSession.blocks.at(-1)?.raw, goodbye(5_000), 'a session has it in any case')
  })

  t.test(`${protocol}: what was accepted still runs and is written; what comes later is refused`, async (t) => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => { release = resolve })
    const server = await startLive(t, {
      protocol,
      live: {
        on: {
          say: async (session, { text }) => {
            if (text === 'slow') await gate
            session.send('note', { text })
          }
        }
      }
    })
    const { reader, session } = await server.connect()
    t.equal((await post(server, session.id, ['slow', 'a', 'b'].map((text) => ({ event: 'say', data: { text } })))).status, 202)
    const draining = server.app.tether.drain({ timeoutMs: 60_000 })
    const refused = await post(server, session.id, { event: 'say', data: { text: 'late' } })
    t.equal(refused.status, 503)
    t.equal(refused.json.code, 'FST_ERR_TETHER_DRAINING')
    t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
    await t.rejects(session.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
    await turns()
    t.notOk(await isSettled(draining))
    t.equal(reader.updates.length, 0)
    release()
    await within(draining, 'drain()')
    await until(() => reader.closed, 'the end')
    t.same(reader.updates.map((update) => update.data), ['slow', 'a', 'b'].map((text) => `{"text":"${text}"}`))
    t.equal(reader.controls.at(-1)?.type, 'goodbye')
    t.equal((await post(server, session.id, { event: 'ping', data: {} })).status, 404)
  })

  t.test(`${protocol}: who does not read, or runs on, is cut when time is up`, async (t) => {
    for (const timeoutMs of [0, 300]) {
      const seen: string[] = []
      const server = await startLive(t, {
        protocol,
        live: {
          on: { ping: () => new Promise(() => {}) },
          onDisconnect: (_session, reason) => { seen.push(reason) },
          onClose: (_session, reason) => { seen.push(reason) }
        }
      })
      const frozen = await server.connect({ frozen: true })
      const { blocked } = await fill(frozen.session)
      const stuck = await server.connect()
      await post(server, stuck.session.id, { event: 'ping', data: {} })
      const startedAt = performance.now()
      await within(server.app.tether.drain({ timeoutMs }), 'drain()')
      const elapsedMs = performance.now() - startedAt
      t.ok(elapsedMs >= timeoutMs, `took ${elapsedMs} ms`)
      t.ok(elapsedMs < timeoutMs + 10_000, `took ${elapsedMs} ms`)
      t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
      t.same(seen.sort(), ['closed', 'closed', 'draining', 'draining'])
      t.equal(typeof await within(blocked, 'the blocked send'), 'boolean')
    }
  })

  t.test(`${protocol}: app.close() while it drains cuts it short`, async (t) => {
    const server = await startLive(t, { protocol })
    const { session } = await server.connect({ frozen: true })
    await fill(session)
    const draining = server.app.tether.drain({ timeoutMs: 60_000 })
    await turns()
    const startedAt = performance.now()
    await within(server.app.close(), 'close()')
    const elapsedMs = performance.now() - startedAt
    t.ok(elapsedMs < 10_000, `took ${elapsedMs} ms`)
    await within(draining, 'drain()')
  })
}

t.test('drain() checks its options at once', async (t) => {
  const server = await startLive(t)
  for (const options of [{ timeoutMs: -1 }, { retryMs: 1.5 }, { spreadMs: '5' }, { timeout: 5 }]) {
    await t.rejects(server.app.tether.drain(options as never), { code: 'FST_ERR_TETHER_OPTION' })
  }
  await openReader(server)
  t.equal(server.app.tether.stats().streams, 1, 'and drains nothing then')
})
