import fc from 'fast-check'
import { deepStrictEqual } from 'node:assert/strict'
import t from 'tap'
import { createEventQueue } from '../../client/event-queue.ts'
import type { ConnectOptions } from '../../client/index.ts'
import type { Answer } from '../../client/answer.ts'
import { startLive, type LiveServer } from '../e2e/harness/live.ts'
import { request } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { connectTo } from './harness.ts'

async function start (t: Parameters<typeof startLive>[0], live: Parameters<typeof startLive>[1] = {}) {
  const ran: number[] = []
  const server = await startLive(t, { ...live, live: { ...live?.live, on: { count: (_session, { to }) => { ran.push(to) } } } })
  return { server, ran }
}

const beside = (server: LiveServer, session: string, to: number, seq: number) =>
  request(server, '/live', { method: 'POST', headers: { 'x-tether-session': session }, body: { event: 'count', data: { to }, seq } })

t.test('a page that has lost its numbers goes on from those of the server', async (t) => {
  const { server, ran } = await start(t)
  const first = connectTo(t, server, server.port)
  for (const to of [1, 2, 3]) await first.client.emit('count', { to })
  for (const lost of [{}, { accepted: 0 }, { accepted: 1 }] as Array<Partial<ConnectOptions['resume']>>) {
    const before = ran.length
    const { client } = connectTo(t, server, server.port, { resume: { session: first.client.session!, ...lost } })
    await Promise.all([client.emit('count', { to: 4 }), client.emit('count', { to: 5 })])
    await until(() => ran.length === before + 2, 'both handlers')
    t.strictSame(ran.slice(before), [4, 5])
    client.close()
    await until(() => server.live.get(first.client.session!)?.connected === false, 'its end')
  }
})

t.test('numbers that another party takes beside the client swallow nothing', async (t) => {
  const { server, ran } = await start(t)
  const { client, became, sent } = connectTo(t, server, server.port)
  await became('open')
  const session = client.session!
  t.same((await beside(server, session, 100, 1)).json, { seq: 1 })
  await client.emit('count', { to: 1 })
  await client.emit('count', { to: 2 })
  for (const seq of [4, 5]) await beside(server, session, 100 + seq, seq)
  const batch = [3, 4, 5].map((to) => client.emit('count', { to }))
  await Promise.all(batch)
  await until(() => ran.length === 8, 'all handlers')
  t.strictSame([...ran].sort((a, b) => a - b), [1, 2, 3, 4, 5, 100, 104, 105], 'each once')
  t.strictSame(ran.filter((to) => to < 3), [1, 2])
  t.equal(sent.filter(({ method }) => method === 'GET').length, 1, 'on one stream')
  t.notOk(sent.some(({ status }) => status === 409))
})

t.test('a POST that the browser or a proxy sends twice takes its numbers once, whoever else takes some', async (t) => {
  const { server, ran } = await start(t)
  let twice = 0
  const { client, became, sent } = connectTo(t, server, server.port, {
    fetch: async (url, init) => {
      // Bounded, for a client that took each for new would never come to an end.
      if (init?.method === 'POST' && twice < 20) {
        twice++
        t.equal((await fetch(url, init)).status, 202)
      }
      return fetch(url, init)
    }
  })
  await became('open')
  await client.emit('count', { to: 1 })
  await Promise.all([2, 3, 4].map((to) => client.emit('count', { to })))
  for (const seq of [5, 6]) await beside(server, client.session!, 100 + seq, seq)
  await Promise.all([5, 6, 7].map((to) => client.emit('count', { to })))
  await client.emit('count', { to: 8 })
  await until(() => ran.length >= 10, 'all handlers')
  // Behind the one of its request whose number was free.
  t.strictSame(ran, [1, 2, 3, 4, 105, 106, 7, 5, 6, 8])
  t.equal(twice, 5, 'one more than there would be alone')
  t.notOk(sent.some(({ status }) => status === 409))
})

t.test('a refusal by something between may come after the events were accepted', async (t) => {
  for (const status of [400, 405, 406, 422]) {
    const { server, ran } = await start(t)
    let refusals = 0
    const { client, states } = connectTo(t, server, server.port, {
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        return init?.method === 'POST' && refusals > 0 && refusals-- ? new Response('no', { status }) : response
      }
    })
    await client.emit('count', { to: 1 })
    refusals = 1
    await Promise.all([2, 3].map((to) => client.emit('count', { to })))
    await client.emit('count', { to: 4 })
    t.equal(states.filter(([, { reason }]) => reason === 'unanswered').length, 1)
    refusals = 2
    t.equal(await client.emit('count', { to: 5 }).catch((error) => error.status), status)
    await client.emit('count', { to: 6 })
    await until(() => ran.length >= 6, 'the handlers')
    t.strictSame(ran, [1, 2, 3, 4, 5, 6], `${status}`)
    client.close()
  }
})

t.test('what such a refusal has left in doubt goes into no other session', async (t) => {
  const { server, ran } = await start(t)
  let isRefusing = true
  const { client, became } = connectTo(t, server, server.port, {
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method !== 'POST' || !isRefusing) return response
      isRefusing = false
      await server.live.get(client.session!)!.close('closed', { reconnect: true })
      return new Response('no', { status: 400 })
    }
  })
  const doubtful = client.emit('count', { to: 1 })
  await t.rejects(doubtful, { code: 'TETHER_IN_DOUBT' })
  t.equal((await became('open', 2)).verdict, 'expired')
  await client.emit('count', { to: 2 })
  await until(() => ran.length >= 2, 'the handlers')
  t.strictSame(ran, [1, 2])
})

t.test('what was sent before and is known was accepted then', async (t) => {
  const { server, ran } = await start(t)
  let lose = true
  const { client } = connectTo(t, server, server.port, {
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method !== 'POST' || !lose) return response
      lose = false
      throw new TypeError('the answer was lost')
    }
  })
  await client.emit('count', { to: 1 })
  await client.emit('count', { to: 2 })
  await until(() => ran.length === 2, 'the handlers')
  t.strictSame(ran, [1, 2])
})

t.test('a session that is another\'s since a login is left for a new one, once for each refusal', async (t) => {
  const ran: string[] = []
  let user: string | undefined
  const server = await startLive(t, {
    live: {
      bind: (request) => request.headers['x-user'] as string | undefined,
      on: { say: (session, { text }) => { ran.push(`${session.id} ${text}`) } }
    }
  })
  const { client, became, states, sent } = connectTo(t, server, server.port, {
    headers: (): Record<string, string> => user === undefined ? {} : { 'x-user': user },
    setup: (emit) => emit('say', { text: 'setup' })
  })
  await client.emit('say', { text: 'one' })
  const before = client.session!
  user = 'u1'
  await Promise.all([client.emit('say', { text: 'two' }), client.emit('say', { text: 'three' })])
  const after = client.session!
  t.not(after, before)
  await until(() => ran.length === 5, 'the handlers')
  t.strictSame(ran, [`${before} setup`, `${before} one`, `${after} setup`, `${after} two`, `${after} three`])
  t.match(states.filter(([state]) => state === 'waiting'), [['waiting', { reason: 'binding' }]])
  t.equal((await became('open', 2)).verdict, 'expired')
  t.equal(sent.filter(({ status }) => status === 403).length, 1)
  // And again at the next login.
  user = 'u2'
  await client.emit('say', { text: 'four' })
  t.not(client.session, after)
})

t.test('where the stream\'s user and the events\' never agree, each event is refused, without an end of streams', async (t) => {
  const server = await startLive(t, { live: { bind: (request) => request.method } })
  const { client, sent } = connectTo(t, server, server.port)
  for (let event = 1; event <= 3; event++) {
    await t.rejects(client.emit('ping'), { code: 'FST_ERR_TETHER_BINDING', status: 403 })
    t.equal(sent.filter(({ method }) => method === 'POST').length, 2 * event)
  }
  t.equal(sent.filter(({ method }) => method === 'GET').length, 4)
})

/** What becomes of one request. */
type Fate =
  | 'arrives'
  /** It does not arrive, and nobody knows. */
  | 'lost'
  /** It arrives, and nobody knows. */
  | 'unanswered'
  /** It arrives when the next has been answered; until then nobody knows. */
  | 'late'
  /** It arrives twice, and the second time is answered. */
  | 'twice'
  /** It arrives, and what is between says that it is a bad request. */
  | 'denied'
  /** There is no room. */
  | 'busy'

t.test('each event runs once, whatever becomes of requests and whoever else takes numbers', async (t) => {
  const fate = fc.constantFrom<Fate>('arrives', 'arrives', 'arrives', 'lost', 'unanswered', 'late', 'twice', 'denied', 'busy')
  let fetched = 0
  await fc.assert(fc.asyncProperty(
    fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), fc.array(fc.record({ fate, beside: fc.integer({ min: 0, max: 2 }) }), { maxLength: 25 }), fc.boolean(),
    async (many, maxBatch, fates, resumes) => {
      let accepted = resumes ? 3 : 0
      const ran: number[] = []
      /** Numbers that the queue's own requests took. */
      const own = new Set<number>()
      const take = (body: string): Answer => {
        const envelopes = [JSON.parse(body)].flat() as Array<{ data: { to: number }, seq: number }>
        let skipped = 0
        let known = 0
        let expected = accepted + 1
        for (const { seq } of envelopes) {
          if (seq > expected) return { status: 409, code: 'FST_ERR_TETHER_SEQUENCE', expected: accepted + 1 }
          if (seq === expected) expected++
          else {
            skipped++
            if (!own.has(seq)) known = skipped
          }
        }
        for (const { data, seq } of envelopes) {
          if (seq <= accepted) continue
          accepted = seq
          own.add(seq)
          ran.push(data.to)
        }
        return { status: 202, seq: accepted, ...known > 0 && { known } }
      }
      const hello = () => ({ session: 's', verdict: 'resumed' as const, seq: 0, heartbeatMs: 0, maxBatch, maxEventBytes: 65_536, ...accepted > 0 && { accepted } })
      let current: ReturnType<typeof hello> | undefined
      const late: string[] = []
      let next = 0
      let isAhead = false
      let wasDenied = false
      const [emit, begin] = createEventQueue(resumes ? { session: 's' } : {}, { maxQueued: 100 } as never, () => current, async (body) => {
        fetched++
        let { fate, beside } = fates[next++] ?? { fate: 'arrives' as const, beside: 0 }
        // An answer that is lost tells nobody that the number was another's: that much is not promised.
        if (isAhead && fate !== 'busy') fate = 'arrives'
        // They go up one at a time: what was late has been given up, and arrives before the next or never.
        for (const one of late.splice(0)) take(one)
        if (fate === 'busy') return { status: 429, code: 'FST_ERR_TETHER_BUSY', retryAfterMs: 0.01 }
        if (fate === 'late') late.push(body)
        if (fate === 'lost' || fate === 'late') return { status: 0 }
        if (fate === 'twice') take(body)
        const answer = take(body)
        if (fate === 'unanswered') return { status: 0 }
        if (fate === 'denied' && answer.status === 202 && !wasDenied) {
          // A second time in a row it is taken for a refusal.
          wasDenied = true
          return { status: 400 }
        }
        wasDenied = false
        // Another party, which always knows what is due.
        accepted += beside
        isAhead = beside > 0
        return answer
      }, () => {
        current = undefined
        queueMicrotask(() => {
          current = hello()
          begin('resumed')
        })
      })
      const emitted = Array.from({ length: many }, (_, to) => emit('count', { to }))
      current = hello()
      begin('resumed')
      await Promise.all(emitted)
      deepStrictEqual([...ran].sort((a, b) => a - b), Array.from({ length: many }, (_, to) => to))
    }), { numRuns: 400 })
  t.ok(fetched > 1_000, `${fetched} requests`)
})
