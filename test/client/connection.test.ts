import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ClientError, connect } from '../../client/index.ts'
import { sseLink } from '../../client/sse-link.ts'
import { startLive } from '../e2e/harness/live.ts'
import { turns, until, within } from '../e2e/harness/until.ts'
import { connectLive, connectTo } from './harness.ts'

t.test('updates reach their listeners, in order, until they stop', async (t) => {
  const { client, session, server, became } = await connectLive(t, {}, {})
  const seen: unknown[] = []
  const stop = client.on('note', ({ text }) => seen.push(text))
  client.on('row', (row) => seen.push(row))
  t.equal(client.state, 'connecting')
  t.equal(client.session, undefined)
  const { verdict } = await became('open')
  t.equal(verdict, 'new')
  t.equal(client.state, 'open')
  const live = await session()
  live.send('note', { text: 'one' })
  server.live.broadcast('note', { text: 'two' })
  live.send('row', '<tr>\n<td>')
  await until(() => seen.length === 3, 'three updates')
  stop()
  stop()
  live.send('note', { text: 'unheard' })
  live.send('row', 'last')
  await until(() => seen.length === 4, 'the last one')
  t.strictSame(seen, ['one', 'two', '<tr>\n<td>', 'last'])
})

t.test('text that looks like JSON stays text', async (t) => {
  const { client, session } = await connectLive(t)
  const seen: unknown[] = []
  client.on('row', (row) => seen.push(row))
  const live = await session()
  for (const row of ['17', 'null', '{"a":1}', '', '\n']) live.send('row', row)
  await until(() => seen.length === 5, 'all of them')
  t.strictSame(seen, ['17', 'null', '{"a":1}', '', '\n'])
})

t.test('once hears one update, or promises it', async (t) => {
  const { client, session, became } = await connectLive(t)
  const seen: string[] = []
  client.once('note', ({ text }) => {
    seen.push(text)
    client.once('note', (next) => seen.push(`again ${next.text}`))
  })
  const promise = client.once('note')
  const never = client.once('row')
  client.once('note', () => t.fail('stopped before'))()
  await became('open')
  const live = await session()
  for (const text of ['one', 'two', 'three']) live.send('note', { text })
  t.strictSame(await promise, { text: 'one' })
  await until(() => seen.length === 2, 'both')
  t.strictSame(seen, ['one', 'again two'])
  client.close()
  await t.rejects(never, { code: 'TETHER_CLOSED' })
})

t.test('a listener that throws stops no other, and is reported', async (t) => {
  const errors: unknown[] = []
  const { client, session } = await connectLive(t, {}, { onError: (error) => errors.push(error) })
  const seen: string[] = []
  const fault = new Error('of the listener')
  client.on('note', () => { throw fault })
  const stop = client.on('note', () => t.fail('stopped by the one before'))
  client.on('note', () => seen.push('second'))
  stop()
  const live = await session()
  live.send('note', { text: '' })
  live.send('note', { text: '' })
  await until(() => seen.length === 2, 'both')
  t.strictSame(errors, [fault, fault])
  t.equal(client.state, 'open')
})

t.test('an iteration gives all updates, or those of one name, and ends with the connection', async (t) => {
  const { client, session } = await connectLive(t)
  const all: unknown[] = []
  const notes: string[] = []
  const everything = (async () => { for await (const update of client) all.push(update) })()
  const some = (async () => {
    for await (const { text } of client.updates('note')) {
      notes.push(text)
      if (text === 'two') break
    }
  })()
  const live = await session()
  live.send('note', { text: 'one' })
  live.send('row', 'r')
  live.send('note', { text: 'two' })
  live.send('note', { text: 'three' })
  await within(some, 'the end of the loop')
  await until(() => all.length === 4, 'all updates')
  client.close()
  await within(everything, 'the end')
  t.strictSame(notes, ['one', 'two'])
  t.strictSame(all, [{ name: 'note', data: { text: 'one' } }, { name: 'row', data: 'r' }, { name: 'note', data: { text: 'two' } }, { name: 'note', data: { text: 'three' } }])
})

t.test('an iteration that takes nothing holds up the stream, and so the server', async (t) => {
  const { client, session, became } = await connectLive(t, { upgrade: { writeBuffer: 4, stallTimeoutMs: 0 } })
  const iteration = client.updates('row')
  const first = iteration.next()
  await became('open')
  const live = await session()
  // Nothing that compression could make small enough for the buffers between.
  const row = randomBytes(15_000).toString('base64')
  let count = 0
  while (!live.stats.stalled) {
    live.send('row', row)
    if (++count % 10 === 0) await turns(2)
    if (count > 3_000) throw new Error('60 MB went into a client that takes nothing')
  }
  t.equal((await first).value, row)
  for (let taken = 1; taken < count; taken++) {
    const { value } = await within(iteration.next(), `update ${taken}`)
    if (value !== row) t.fail('another row')
  }
  t.equal(live.stats.stalled, false, 'all were taken')
  await iteration.return()
})

t.test('a cut is resumed, and nothing is lost or doubled', async (t) => {
  const { client, session, network, became, states, sent } = await connectLive(t)
  const seen: number[] = []
  client.on('note', ({ text }) => seen.push(Number(text)))
  const live = await session()
  let next = 0
  for (let round = 1; round <= 5; round++) {
    for (let many = 0; many < 20; many++) live.send('note', { text: String(next++) })
    await until(() => seen.length > next - 10, 'some of them')
    network.cut()
    for (let many = 0; many < 20; many++) live.send('note', { text: String(next++) })
    t.equal((await became('open', round + 1)).verdict, 'resumed')
  }
  await until(() => seen.length >= next, 'all of them')
  t.strictSame(seen, Array.from({ length: next }, (_, index) => index))
  t.equal(client.session, live.id)
  t.ok(states.some(([state, { retryMs }]) => state === 'waiting' && retryMs! <= 200))
  const claims = sent.filter(({ method }) => method === 'GET').map(({ headers }) => headers['x-tether-session'])
  t.strictSame(claims, ['new', ...Array(5).fill(live.id)])
})

t.test('a silent stream is given up, and resumed', async (t) => {
  const { client, session, network, became } = await connectLive(t, { upgrade: { heartbeatMs: 50 } })
  const live = await session()
  await became('open')
  network.freeze()
  live.send('note', { text: 'late' })
  const note = client.once('note')
  const { reason } = await became('waiting')
  t.equal(reason, 'silent')
  network.thaw()
  t.strictSame(await note, { text: 'late' })
})

t.test('updates that are lost are told as a gap, with the snapshot after it', async (t) => {
  const { client, session, network, became } = await connectLive(t, {
    live: {
      replayFrames: 0,
      queueFrames: 5,
      onConnect: (live, { verdict }) => { if (verdict === 'gap') live.send('note', { text: 'snapshot' }) }
    }
  }, { retryMs: 300, retryMaxMs: 300 })
  const seen: unknown[] = []
  client.on('note', ({ text }) => seen.push(text))
  client.onGap((seq) => seen.push(seq))
  const live = await session()
  await became('open')
  live.send('note', { text: '1' })
  await until(() => seen.length === 1, 'the first')
  network.cut()
  await until(() => !live.connected, 'the loss')
  for (let number = 2; number <= 10; number++) live.send('note', { text: String(number) })
  t.equal((await became('open', 2)).verdict, 'gap')
  await until(() => seen.includes('snapshot'), 'the snapshot')
  t.strictSame(seen, ['1', 5, '6', '7', '8', '9', '10', 'snapshot'])
})

t.test('an expired session is told, and another takes its place', async (t) => {
  const { client, session, network, became } = await connectLive(t, { live: { reconnectMs: 0 } })
  const live = await session()
  await became('open')
  network.cut()
  t.equal((await became('open', 2)).verdict, 'expired')
  t.not(client.session, live.id)
})

t.test('a session closed for good closes the connection', async (t) => {
  const { client, session, became, sent } = await connectLive(t)
  const live = await session()
  live.close('kicked')
  t.equal((await became('closed')).reason, 'kicked')
  t.equal(client.state, 'closed')
  await t.rejects(client.emit('ping'), { code: 'TETHER_CLOSED' })
  t.equal(sent.filter(({ path }) => path === '/live').length, 1, 'it did not come back')
})

t.test('a session closed with leave to come back gets a new one', async (t) => {
  const { client, session, became } = await connectLive(t)
  const live = await session()
  live.close('moved', { reconnect: true })
  t.equal((await became('waiting')).reason, 'moved')
  t.equal((await became('open', 2)).verdict, 'expired')
  t.not(client.session, live.id)
})

t.test('closing ends the session on the server', async (t) => {
  const { client, session, server, became } = await connectLive(t)
  await session()
  await became('open')
  client.close()
  client.close()
  t.equal((await became('closed')).reason, 'closed')
  await until(() => [...server.live.sessions].length === 0, 'the end of the session')
})

t.test('an aborted signal closes', async (t) => {
  const controller = new AbortController()
  const { client, became } = await connectLive(t, {}, { signal: controller.signal })
  await became('open')
  controller.abort()
  t.equal(client.state, 'closed')
  const late = await connectLive(t, {}, { signal: controller.signal })
  t.equal(late.client.state, 'closed')
})

t.test('a listener may close as it connects, and no timer is left', async (t) => {
  const server = await startLive(t)
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  await until(() => timers() === 0, 'the end of earlier timers')
  const client = connect(`${server.origin}/live`)
  const states: string[] = []
  client.onState((state) => {
    states.push(state)
    client.close()
  })
  while (states.length < 2) await turns(1)
  await turns()
  t.same(states, ['connecting', 'closed'])
  t.equal(timers(), 0)
})

t.test('close tells the server, whatever its URL ends in', async (t) => {
  const told: string[] = []
  const server = await startLive(t, {
    fastify: { routerOptions: { ignoreTrailingSlash: true } },
    setup: (app) => app.addHook('onResponse', async ({ method, url }, { statusCode }) => { if (method === 'POST') told.push(`${url} ${statusCode}`) })
  })
  for (const path of ['/live', '/live/', '/live?a=/b', '/live/?a=/b/#/c']) {
    const client = connect(`${server.origin}${path}`)
    t.teardown(() => client.close())
    await until(() => client.state === 'open', `the stream of ${path}`)
    client.close()
    await until(() => told.length === 1, `what ${path} tells`)
    t.equal(told.pop(), `/live/tether.close${path.slice(path.search(/[?]|$/)).replace(/#.*/, '')} 202`)
  }
  await until(() => [...server.live.sessions].length === 0, 'the end of the sessions')

  const asked: unknown[] = []
  const link = sseLink('/', { requestTimeoutMs: 1_000, fetch: async (url) => { asked.push(url); return new Response() } } as Parameters<typeof sseLink>[1])
  await link.send({ session: 'id', seq: 0 }, '', true)
  t.same(asked, ['/tether.close'], 'not another host')
})

t.test('a refusal that stands closes, one that may pass is tried again', async (t) => {
  let status = 503
  const server = await startLive(t, {
    setup: (app) => {
      app.addHook('onRequest', async (request, reply) => {
        if (status !== 200) return reply.code(status).header('retry-after', '1').send({ code: 'TEAPOT' })
      })
    }
  })
  const { became, states } = connectTo(t, server, server.port)
  const waiting = await became('waiting')
  t.match(waiting, { status: 503, code: 'TEAPOT' })
  t.ok(waiting.retryMs! >= 1000, 'not before Retry-After')
  status = 401
  t.match(await became('closed'), { status: 401, code: 'TEAPOT' })
  t.equal(states.at(-1)?.[0], 'closed')
})

t.test('Retry-After is seconds, or a date by the clock of who answered', async (t) => {
  const dates = 'Sat, 01 Jan 2000 00:00:00 GMT'
  const cases: Array<[after: string, date: string | undefined, leastMs: number]> = [
    ['2', undefined, 2_000],
    ['Sat, 01 Jan 2000 00:01:00 GMT', dates, 60_000],
    ['Saturday, 01-Jan-00 00:01:00 GMT', dates, 60_000],
    [new Date(Date.now() + 3_600_000).toUTCString(), undefined, 3_500_000],
    ['Fri, 31 Dec 1999 23:59:00 GMT', dates, 0],
    ['0', undefined, 0],
    ['-5', undefined, 0],
    ['soon', undefined, 0]
  ]
  for (const [after, date, leastMs] of cases) {
    const server = await startLive(t, {
      setup: (app) => {
        app.addHook('onRequest', async (_request, reply) => {
          if (date !== undefined) reply.header('date', date)
          return reply.code(503).header('retry-after', after).send({})
        })
      }
    })
    const { client, became } = connectTo(t, server, server.port)
    const { retryMs } = await became('waiting')
    client.close()
    t.ok(retryMs! >= leastMs && retryMs! < (leastMs || 50) * 1.1, `${after}: ${retryMs}`)
  }
})

t.test('times that no timer can count do not make the client come back at once', async (t) => {
  const requests: string[] = []
  const server = await startLive(t, {
    upgrade: { heartbeatMs: 2_000_000_000 },
    setup: (app) => {
      app.addHook('onRequest', async ({ method, headers }, reply) => {
        const request = `${headers['x-client']} ${method}`
        requests.push(request)
        if (request === 'refused GET' || request === 'held POST') return reply.code(503).header('retry-after', '2200000').send({ code: 'LATER' })
        if (request === 'other GET') return reply.code(503).send({})
      })
    }
  })
  const clientOf = (name: string) => connectTo(t, server, server.port, { headers: { 'x-client': name } })
  const refused = clientOf('refused')
  t.equal((await refused.became('waiting')).retryMs, 2_000_000_000)
  const held = clientOf('held')
  held.client.emit('ping')
  await until(() => requests.includes('held POST'), 'the event')
  const { client: other } = clientOf('other')
  await until(() => requests.filter((request) => request === 'other GET').length > 10 && other.state === 'waiting', 'tries of another client')
  // Not in the midst of a request, for the end of which the server would wait.
  other.close()
  t.strictSame(requests.filter((request) => request !== 'other GET'), ['refused GET', 'held GET', 'held POST'])
  t.strictSame(held.states.map(([state]) => state), ['connecting', 'open'])
})

t.test('headers are asked for before each request', async (t) => {
  let token = 0
  const { client, sent, became } = await connectLive(t, {}, { headers: async () => ({ authorization: String(++token) }) })
  await became('open')
  await client.emit('ping')
  t.strictSame(sent.map(({ headers }) => headers.authorization), ['1', '2'])
  const fixed = await connectLive(t, {}, { headers: { authorization: 'x' } })
  await fixed.became('open')
  t.equal(fixed.sent[0]?.headers.authorization, 'x')
})

t.test('a prepared session is claimed', async (t) => {
  const claims: Array<string | null> = []
  const server = await startLive(t, {
    setup: (app) => { app.get('/page', async (request) => { claims.push(await server.live.prepare(request)) }) }
  })
  await fetch(`${server.origin}/page`)
  const { id } = server.live.get(claims[0]!)!
  const { client, became } = connectTo(t, server, server.port, { resume: { session: claims[0]! } })
  t.equal((await became('open')).verdict, 'new')
  t.equal(client.session, id)
  t.not(id, claims[0])
  await client.emit('ping')
})

t.test('errors are of one class', async (t) => {
  t.ok(new ClientError({ code: 'TETHER_CLOSED' }) instanceof Error)
})

t.test('a count that the heartbeat does not confirm is told as a gap, and gets a snapshot', async (t) => {
  let swallow = false
  const { client, session, became } = await connectLive(t, {
    upgrade: { heartbeatMs: 50 },
    live: { onConnect: (live, { verdict }) => { if (verdict === 'gap') live.send('note', { text: 'snapshot' }) } }
  }, {
    // A middle box that loses some of what passes.
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method === 'POST') return response
      const lossy = new TransformStream<Uint8Array, Uint8Array>({
        transform: (piece, controller) => { if (!swallow || !Buffer.from(piece).includes('event: note')) controller.enqueue(piece) }
      })
      return new Response(response.body!.pipeThrough(lossy), response)
    }
  })
  const seen: unknown[] = []
  client.on('note', ({ text }) => seen.push(text))
  client.onGap((seq) => seen.push(seq))
  const live = await session()
  live.send('note', { text: 'one' })
  await until(() => seen.length === 1, 'the first')
  swallow = true
  live.send('note', { text: 'two' })
  await until(() => seen.length === 2, 'the gap')
  swallow = false
  t.equal((await became('waiting')).reason, 'gap')
  t.equal((await became('open', 2)).verdict, 'gap')
  await until(() => seen.at(-1) === 'snapshot', 'the snapshot')
  t.strictSame(seen.slice(0, 2), ['one', 2])
  t.equal(client.session, live.id)
})

t.test('of several iterations the slowest holds up the stream', async (t) => {
  const { client, session, became } = await connectLive(t, { upgrade: { writeBuffer: 4, stallTimeoutMs: 0 } })
  const slow = client.updates('row')
  const first = slow.next()
  let running = 0
  const fast = (async () => { for await (const update of client) running += Number(update.name === 'row') })()
  await became('open')
  const live = await session()
  const row = randomBytes(15_000).toString('base64')
  let count = 0
  while (!live.stats.stalled) {
    live.send('row', row)
    if (++count % 10 === 0) await turns(2)
    if (count > 3_000) throw new Error('60 MB went into an iteration that takes nothing')
  }
  t.equal((await first).value, row)
  t.ok(running < count, 'the other is held up as well')
  for (let taken = 1; taken < count; taken++) {
    const { value } = await within(slow.next(), `update ${taken}`)
    if (value !== row) t.fail('another row')
  }
  await until(() => running === count, 'the other one')
  t.equal(live.stats.stalled, false, 'all were taken')
  // One that is ended holds up nothing.
  const ended = client.updates('row')
  const waiting = ended.next()
  for (let number = 0; number < 300; number++) await live.send('row', String(number))
  await waiting
  await ended.return()
  for (let taken = 0; taken < 300; taken++) await within(slow.next(), 'the rest')
  await until(() => running === count + 300, 'all for the other')
  client.close()
  await fast
})
