import t from 'tap'
import { ClientError } from '../../client/index.ts'
import { startLive } from '../e2e/harness/live.ts'
import { until, within } from '../e2e/harness/until.ts'
import { connectLive, connectTo } from './harness.ts'

const numbers = (many: number) => Array.from({ length: many }, (_, index) => index)

t.test('a thousand events go up in pieces, and run once each, in order', async (t) => {
  const ran: number[] = []
  const { client, sent } = await connectLive(t, { live: { on: { count: (_session, { to }) => { ran.push(to) } } } })
  const emitted: Array<Promise<void>> = []
  for (const to of numbers(1_000)) emitted.push(client.emit('count', { to }))
  await within(Promise.all(emitted), 'all of them')
  await until(() => ran.length >= 1_000, 'the handlers')
  t.strictSame(ran, numbers(1_000))
  const posts = sent.filter(({ method, status }) => method === 'POST' && status === 202)
  t.equal(posts.length, Math.ceil(1_000 / 32))
  t.ok(posts.every(({ body }) => body.length <= 32))
})

t.test('pieces stay within the bytes that the server takes', async (t) => {
  const ran: string[] = []
  const { client, sent } = await connectLive(t, { live: { maxEventBytes: 1_000, on: { say: (_session, { text }) => { ran.push(text) } } } })
  const texts = numbers(20).map((index) => `${index}${'é'.repeat(100)}`)
  await Promise.all(texts.map((text) => client.emit('say', { text })))
  await until(() => ran.length === 20, 'the handlers')
  t.strictSame(ran, texts)
  t.ok(sent.every(({ status }) => status < 300))
})

t.test('an event that is too large is refused alone, and not even sent', async (t) => {
  const { client, sent } = await connectLive(t, { live: { maxEventBytes: 1_000 } })
  const before = client.emit('say', { text: 'before' })
  const large = client.emit('say', { text: 'x'.repeat(1_000) })
  const after = client.emit('say', { text: 'after' })
  await before
  t.equal(await large.catch(({ status }) => status), 413)
  await after
  t.notOk(sent.some(({ status }) => status === 413))
})

t.test('of a batch only what is faulty is refused, with its faults', async (t) => {
  const ran: number[] = []
  const { client } = await connectLive(t, { live: { on: { count: (_session, { to }) => { ran.push(to) } } } })
  const results = numbers(40).map((to) => client.emit('count', { to: to % 10 === 7 ? to + 0.5 : to }))
  const outcomes = await Promise.allSettled(results)
  await until(() => ran.length === 36, 'the handlers')
  t.strictSame(ran, numbers(40).filter((to) => to % 10 !== 7))
  for (const [index, outcome] of outcomes.entries()) {
    if (index % 10 !== 7) t.equal(outcome.status, 'fulfilled', `event ${index}`)
    else {
      const { reason } = outcome as PromiseRejectedResult
      t.ok(reason instanceof ClientError)
      t.match(reason, { code: 'FST_ERR_VALIDATION', status: 400, errors: [{ path: '/data/to', message: 'must be integer' }] })
    }
  }
})

t.test('a full channel is waited for', async (t) => {
  const ran: number[] = []
  let open = () => {}
  const gate = new Promise<void>((resolve) => { open = resolve })
  const { client, sent } = await connectLive(t, { live: { commandBuffer: 2, on: { count: async (_session, { to }) => { await gate; ran.push(to) } } } })
  const all = Promise.all(numbers(8).map((to) => client.emit('count', { to })))
  await until(() => sent.some(({ status }) => status === 429), 'a 429')
  open()
  await within(all, 'all of them')
  await until(() => ran.length === 8, 'the handlers')
  t.strictSame(ran, numbers(8))
})

t.test('what was emitted without a stream waits for one', async (t) => {
  const ran: string[] = []
  const { client, network, became } = await connectLive(t, { live: { on: { say: (_session, { text }) => { ran.push(text) } } } })
  const data = { text: 'early' }
  const early = client.emit('say', data)
  data.text = 'changed afterwards'
  await early
  network.cut()
  await became('waiting')
  await client.emit('say', { text: 'offline' })
  await until(() => ran.length === 2, 'the handlers')
  t.strictSame(ran, ['early', 'offline'])
})

t.test('answers that are lost are asked for again, and nothing runs twice', async (t) => {
  const ran: number[] = []
  let lose = 0
  const { client } = await connectLive(t, { live: { on: { count: (_session, { to }) => { ran.push(to) } } } }, {
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method === 'POST' && ++lose % 2 === 1) throw new TypeError('the answer was lost')
      return response
    }
  })
  for (const to of numbers(6)) await client.emit('count', { to })
  await until(() => ran.length >= 6, 'the handlers')
  t.strictSame(ran, numbers(6))
  t.equal(lose, 12)
})

t.test('when the session is gone, what may have run is in doubt, and the rest goes to the next session', async (t) => {
  const ran: Array<[string, number]> = []
  const server = await startLive(t, { live: { on: { count: (live, { to }) => { ran.push([live.id, to]) } } } })
  let lost: string | undefined
  const { client, became } = connectTo(t, server, server.port, {
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method !== 'POST' || lost !== undefined) return response
      lost = client.session!
      await server.live.get(lost)!.close('restarted', { reconnect: true })
      throw new TypeError('the answer was lost, and the session with it')
    }
  })
  await became('open')
  const doubtful = client.emit('count', { to: 1 })
  await until(() => lost !== undefined, 'the first request')
  const unsent = client.emit('count', { to: 2 })
  await t.rejects(doubtful, { code: 'TETHER_IN_DOUBT' })
  await unsent
  await until(() => ran.length === 2, 'both handlers')
  t.strictSame(ran, [[lost, 1], [client.session, 2]])
  t.equal((await became('open', 2)).verdict, 'expired')
})

t.test('what a session that is gone has refused is sure, and goes to the next', async (t) => {
  const ran: number[] = []
  const server = await startLive(t, { live: { on: { count: (_session, { to }) => { ran.push(to) } } } })
  let isGone = false
  const { client, became } = connectTo(t, server, server.port, {
    fetch: async (url, init) => {
      if (init?.method === 'POST' && !isGone) {
        isGone = true
        await server.live.get(client.session!)!.close('restarted', { reconnect: true })
      }
      return fetch(url, init)
    }
  })
  await became('open')
  await client.emit('count', { to: 1 })
  await until(() => ran.length === 1, 'the handler')
  t.strictSame(ran, [1])
})

t.test('numbers that the server does not expect are put right', async (t) => {
  const ran: number[] = []
  const server = await startLive(t, { live: { on: { count: (_session, { to }) => { ran.push(to) } } } })
  const { client: first, became } = connectTo(t, server, server.port)
  await became('open')
  await first.emit('count', { to: 1 })
  const { client } = connectTo(t, server, server.port, { resume: { session: first.session!, accepted: 5 } })
  await client.emit('count', { to: 2 })
  await until(() => ran.length === 2, 'both')
  t.strictSame(ran, [1, 2])
})

t.test('a queue that is full refuses', async (t) => {
  const server = await startLive(t)
  const { client } = connectTo(t, server, server.port, { maxQueued: 2 })
  const first = client.emit('ping')
  const second = client.emit('ping')
  await t.rejects(client.emit('ping'), { code: 'TETHER_QUEUE_FULL' })
  await Promise.all([first, second])
  await client.emit('ping')
})

t.test('a queue of none refuses all, and a closed one says that it is closed', async (t) => {
  const server = await startLive(t)
  const { client, became, sent } = connectTo(t, server, server.port, { maxQueued: 0 })
  await became('open')
  await t.rejects(client.emit('ping'), { code: 'TETHER_QUEUE_FULL' })
  t.strictSame(sent.filter(({ method }) => method === 'POST'), [])
  client.close()
  await t.rejects(client.emit('ping'), { code: 'TETHER_CLOSED' })
})

t.test('a full channel that tells a date is waited for until then', async (t) => {
  const at: number[] = []
  const { client, sent } = await connectLive(t, {
    setup: (app) => {
      app.addHook('preHandler', async (request, reply) => {
        if (request.method === 'POST' && at.push(performance.now()) === 1) {
          return reply.code(429).header('date', 'Sat, 01 Jan 2000 00:00:00 GMT').header('retry-after', 'Sat, 01 Jan 2000 00:00:01 GMT').send({ code: 'LATER' })
        }
      })
    }
  })
  await client.emit('ping')
  t.ok(at[1]! - at[0]! > 990, `${at[1]! - at[0]!} ms`)
  t.equal(sent.filter(({ method }) => method === 'GET').length, 1, 'on the same stream')
})

t.test('data that is no JSON rejects, and holds up nothing', async (t) => {
  const { client } = await connectLive(t)
  const circle: Record<string, unknown> = {}
  circle.circle = circle
  await t.rejects(client.emit('ping', circle as {}), TypeError)
  await client.emit('ping')
})

t.test('closing rejects what waits', async (t) => {
  const server = await startLive(t)
  const { client } = connectTo(t, server, server.port)
  const waiting = client.emit('ping')
  client.close()
  await t.rejects(waiting, { code: 'TETHER_CLOSED' })
})

t.test('what the client has seen is acknowledged', async (t) => {
  const { client, session, sent } = await connectLive(t)
  const note = client.once('note')
  const live = await session()
  live.send('note', { text: '' })
  await note
  await client.emit('ping')
  t.equal(sent.at(-1)?.headers['last-event-id'], `${live.id}.1`)
  t.equal(live.stats.heldFrames, 0)
})
