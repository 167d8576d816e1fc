import t from 'tap'
import { ClientError, type ConnectOptions } from '../../client/index.ts'
import type { contract } from '../e2e/harness/contract.ts'
import { startLive } from '../e2e/harness/live.ts'
import { isSettled, turns, until } from '../e2e/harness/until.ts'
import { connectLive, connectTo } from './harness.ts'

type Options = ConnectOptions<typeof contract>
const numbers = (many: number) => Array.from({ length: many }, (_, index) => index)

/** A promise that a test settles when it likes. */
function gate () {
  let open = () => {}
  let fail = (_error: Error) => {}
  const promise = new Promise<void>((resolve, reject) => { open = resolve; fail = reject })
  return { promise, open, fail }
}

/** A client whose handlers tell what ran, and in which session. */
async function start (t: Parameters<typeof connectLive>[0], options: Options, live: Parameters<typeof connectLive>[1] = {}) {
  const ran: string[] = []
  const rig = await connectLive(t, {
    ...live,
    live: {
      ...live.live,
      on: {
        say: (_session, { text }) => { ran.push(text) },
        count: (_session, { to }) => { ran.push(String(to)) }
      }
    }
  }, options)
  return { ...rig, ran }
}

t.test('setup runs first in a new session, and what is emitted elsewhere waits', async (t) => {
  const { promise, open } = gate()
  const order: string[] = []
  const { client, ran, became, sent } = await start(t, {
    setup: async (emit, { verdict }) => {
      order.push(`setup ${verdict} ${client.state}`)
      await emit('say', { text: 'joined' })
      await promise
      await emit('say', { text: 'loaded' })
    }
  })
  client.onState((state) => order.push(state))
  const early = client.emit('say', { text: 'early' })
  t.equal((await became('open')).verdict, 'new')
  const late = client.emit('say', { text: 'late' })
  await until(() => ran.length === 1, 'the first event of setup')
  await turns()
  t.notOk(await isSettled(Promise.race([early, late])))
  open()
  await Promise.all([early, late])
  await until(() => ran.length === 4, 'all of them')
  t.strictSame(ran, ['joined', 'loaded', 'early', 'late'])
  t.strictSame(order, ['connecting', 'open', 'setup new open'])
  t.strictSame(sent.filter(({ method }) => method === 'POST').flatMap(({ body }) => body).map(({ seq }) => seq), [1, 2, 3, 4])
})

t.test('updates come while setup runs', async (t) => {
  const { session, client } = await start(t, { setup: async () => { await client.once('note') } })
  const emitted = client.emit('ping')
  const live = await session()
  t.notOk(await isSettled(emitted))
  live.send('note', { text: 'now' })
  await emitted
})

t.test('setup runs again after expired, as often as that is, and not after resumed', async (t) => {
  const verdicts: string[] = []
  const { client, ran, became, session, network } = await start(t, {
    setup: async (emit, { verdict }) => {
      verdicts.push(verdict)
      await turns()
      await emit('say', { text: `join ${verdict}` })
    }
  })
  await became('open')
  await client.emit('say', { text: 'a' })
  network.cut()
  t.equal((await became('open', 2)).verdict, 'resumed')
  await client.emit('say', { text: 'b' })
  for (const round of [3, 4]) {
    const live = await session()
    await live.close('moved', { reconnect: true })
    // Queued while there is no session, or none that knows the page.
    const queued = client.emit('say', { text: `queued ${round}` })
    t.equal((await became('open', round)).verdict, 'expired')
    await queued
  }
  await until(() => ran.length === 7, 'all handlers')
  t.strictSame(ran, ['join new', 'a', 'b', 'join expired', 'queued 3', 'join expired', 'queued 4'])
  t.strictSame(verdicts, ['new', 'expired', 'expired'])
})

t.test('a session that is gone while setup runs is set up anew', async (t) => {
  const verdicts: string[] = []
  const { promise } = gate()
  const { client, ran, became, session } = await start(t, {
    setup: async (emit, { verdict }) => {
      verdicts.push(verdict)
      await emit('say', { text: verdict })
      if (verdict === 'new') await promise
    }
  })
  const queued = client.emit('say', { text: 'queued' })
  await until(() => ran.length === 1, 'the first event')
  const live = await session()
  await live.close('moved', { reconnect: true })
  t.equal((await became('waiting')).reason, 'setup')
  await queued
  await until(() => ran.length === 3, 'all handlers')
  t.strictSame(ran, ['new', 'expired', 'queued'])
  t.strictSame(verdicts, ['new', 'expired'])
})

t.test('setup that rejects, or throws, has not run, and runs again', async (t) => {
  const fault = new Error('no')
  for (const isSync of [true, false]) {
    const verdicts: string[] = []
    const { client, ran, became, session } = await start(t, {
      setup: (emit, { verdict }): unknown => {
        verdicts.push(verdict)
        const number = verdicts.length
        const emitted = emit('count', { to: number })
        if (number === 3) return emitted
        if (isSync) throw fault
        return emitted.then(() => { throw fault })
      }
    })
    const queued = client.emit('count', { to: 9 })
    t.match(await became('waiting'), { reason: 'setup', cause: fault })
    t.equal((await became('open', 2)).verdict, 'resumed')
    t.match(await became('waiting', 2), { reason: 'setup', cause: fault })
    await queued
    await until(() => ran.at(-1) === '9', 'the queued event')
    t.strictSame(ran, isSync ? ['3', '9'] : ['1', '2', '3', '9'])
    t.strictSame(verdicts, ['new', 'new', 'new'], 'why it runs')
    t.equal((await session()).stats.eventsAccepted, ran.length)
  }
})

t.test('where the stream breaks first, setup runs again, though the session is resumed; a promise tells what became of each event', async (t) => {
  const outcomes: string[] = []
  let runs = 0
  let lose = false
  const { client, ran, became, network, session, sent } = await start(t, {
    setup: async (emit) => {
      const run = ++runs
      const tell = (event: string) => [() => outcomes.push(`${event} accepted`), ({ code }: ClientError) => outcomes.push(`${event} ${code}`)] as const
      await emit('count', { to: run * 10 }).then(...tell(`${run}a`))
      lose = run === 1
      await emit('count', { to: run * 10 + 1 }).then(...tell(`${run}b`))
      await emit('count', { to: run * 10 + 2 }).then(...tell(`${run}c`))
    },
    fetch: async (url, init) => {
      const response = await fetch(url, init)
      if (init?.method !== 'POST' || !lose) return response
      lose = false
      network.cut()
      throw new TypeError('the answer was lost')
    }
  })
  const queued = client.emit('count', { to: 99 })
  t.equal((await became('waiting')).reason, 'setup')
  t.equal((await became('open', 2)).verdict, 'resumed')
  await queued
  await until(() => ran.at(-1) === '99', 'the queued event')
  t.strictSame(ran, ['10', '11', '20', '21', '22', '99'], 'what was accepted ran, once')
  t.strictSame(outcomes, ['1a accepted', '1b TETHER_IN_DOUBT', '1c TETHER_CLOSED', '2a accepted', '2b accepted', '2c accepted'])
  t.equal((await session()).stats.eventsAccepted, 6)
  t.notOk(sent.some(({ status }) => status === 409), 'numbers went on where they were')
})

t.test('an event of setup that arrives late takes the number of no other', async (t) => {
  let held: (() => void) | undefined
  let posts = 0
  let runs = 0
  const { client, ran, became, network } = await start(t, {
    requestTimeoutMs: 400,
    setup: async (emit) => {
      const run = ++runs
      if (run === 2) {
        held!()
        await until(() => ran.length === 1, 'the late one')
      }
      await emit('count', { to: run })
    },
    fetch: async (url, init) => {
      if (init?.method !== 'POST' || ++posts > 1) return fetch(url, init)
      // Somewhere on the way, it waits; its sender has long given it up.
      held = () => { fetch(url, { ...init, signal: null }) }
      network.cut()
      throw new TypeError('no answer')
    }
  })
  const queued = client.emit('count', { to: 9 })
  await became('open', 2)
  await queued
  await until(() => ran.at(-1) === '9', 'the queued event')
  t.strictSame(ran, ['1', '2', '9'])
})

t.test('setup that never settles holds the queue, until its stream breaks', async (t) => {
  let runs = 0
  const { client, ran, became, network } = await start(t, {
    setup: () => {
      if (++runs === 1) return new Promise(() => {})
    }
  })
  const queued = client.emit('say', { text: 'queued' })
  await became('open')
  await turns(20)
  t.notOk(await isSettled(queued))
  network.cut()
  t.equal((await became('waiting')).reason, 'setup')
  await queued
  await until(() => ran.length === 1, 'the handler')
  t.equal(runs, 2)
})

t.test('setup may emit much, and need not wait for it', async (t) => {
  const { client, ran, sent } = await start(t, { setup: (emit) => { for (const to of numbers(1_000)) emit('count', { to }) } })
  await client.emit('say', { text: 'after' })
  await until(() => ran.length === 1_001, 'all of them')
  t.strictSame(ran, [...numbers(1_000).map(String), 'after'])
  t.equal(sent.filter(({ method }) => method === 'POST').length, Math.ceil(1_000 / 32) + 1, 'and the queue\'s apart')
})

t.test('what setup is refused, it is told, and may go on', async (t) => {
  const { client, ran } = await start(t, {
    setup: async (emit) => {
      await t.rejects(emit('count', { to: 1.5 }), { code: 'FST_ERR_VALIDATION', status: 400 })
      await emit('count', { to: 2 })
    }
  })
  await client.emit('count', { to: 3 })
  await until(() => ran.length === 2, 'the handlers')
  t.strictSame(ran, ['2', '3'])
})

t.test('closing while setup runs rejects all, and its emit is over', async (t) => {
  const { promise, open } = gate()
  const settled: Array<string | undefined> = []
  const { client, became, states } = await start(t, {
    setup: async (emit) => {
      await promise
      await emit('ping').catch(({ code }: ClientError) => settled.push(code))
    }
  })
  const queued = client.emit('ping')
  await became('open')
  client.close()
  open()
  await t.rejects(queued, { code: 'TETHER_CLOSED' })
  await until(() => settled.length === 1, 'the end of setup')
  await turns()
  t.strictSame(settled, ['TETHER_CLOSED'])
  t.strictSame(states.map(([state]) => state), ['connecting', 'open', 'closed'])
})

t.test('a listener that closes as it opens runs no setup', async (t) => {
  const { client, became } = await start(t, { setup: () => t.fail('it is closed') })
  client.onState((state) => { if (state === 'open') client.close() })
  await became('closed')
  await turns()
})

t.test('the emit of a setup that is over rejects', async (t) => {
  let kept: ((name: 'ping') => Promise<void>) | undefined
  const { client } = await start(t, { setup: (emit) => { kept = emit } })
  await client.emit('ping')
  await t.rejects(kept!('ping'), { code: 'TETHER_CLOSED' })
})

t.test('a prepared session is set up, behind what it took before', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, {
    live: { on: { say: (_session, { text }) => { ran.push(text) } } },
    setup: (app) => { app.get('/page', async (request) => server.live.prepare(request)) }
  })
  const claim = await (await fetch(`${server.origin}/page`)).text()
  const { id } = server.live.get(claim)!
  const post = await fetch(`${server.origin}/live`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-tether-session': id }, body: '{"event":"say","data":{"text":"before"},"seq":1}' })
  t.equal(post.status, 202)
  const { client } = connectTo(t, server, server.port, { resume: { session: claim }, setup: (emit) => emit('say', { text: 'setup' }) })
  await client.emit('say', { text: 'after' })
  await until(() => ran.length === 3, 'the handlers')
  t.strictSame(ran, ['before', 'setup', 'after'])
})

t.test('a session that is resumed from before is not set up, unless it is due', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, { live: { on: { say: (_session, { text }) => { ran.push(text) } } } })
  const first = connectTo(t, server, server.port)
  await first.client.emit('say', { text: 'one' })
  const resume = { session: first.client.session!, accepted: 1 }
  const second = connectTo(t, server, server.port, { resume, setup: () => t.fail('not due') })
  await second.client.emit('say', { text: 'two' })
  const verdicts: string[] = []
  const third = connectTo(t, server, server.port, {
    resume: { ...resume, accepted: 2, setupDue: 'expired' },
    setup: (emit, { verdict }) => {
      verdicts.push(verdict)
      return emit('say', { text: 'setup' })
    }
  })
  await third.client.emit('say', { text: 'three' })
  await until(() => ran.length === 4, 'the handlers')
  t.strictSame(ran, ['one', 'two', 'setup', 'three'])
  t.strictSame(verdicts, ['expired'])
  const fourth = connectTo(t, server, server.port, { resume: { ...resume, accepted: 4, setupDue: 'new' } })
  await fourth.client.emit('say', { text: 'four' })
  t.pass('without a setup, none is waited for')
})

t.test('while setup runs, nothing queued leaves a page that is hidden', async (t) => {
  const listeners: Array<(event: { type: string }) => void> = []
  const page = globalThis as { document?: { hidden: boolean }, addEventListener?: unknown }
  page.document = { hidden: false }
  page.addEventListener = (type: string, listener: (event: { type: string }) => void) => { if (type === 'visibilitychange') listeners.push(listener) }
  t.teardown(() => {
    delete page.document
    delete page.addEventListener
  })
  const hide = (hidden: boolean) => {
    page.document!.hidden = hidden
    for (const listener of listeners) listener({ type: 'visibilitychange' })
  }
  const { promise, open } = gate()
  let runs = 0
  const { client, ran, network, became } = await start(t, {
    setup: async (emit) => {
      await emit('say', { text: `setup ${++runs}` })
      await promise
    }
  }, {})
  const queued = client.emit('say', { text: 'queued' })
  await until(() => ran.length === 1, 'the event of setup')
  hide(true)
  client.emit('say', { text: 'hidden' })
  await turns(20)
  network.cut()
  await became('waiting')
  // The session that was is still there, and takes what leaves with the page.
  hide(false)
  hide(true)
  await until(() => ran.length === 2, 'setup again')
  await turns(20)
  t.notOk(await isSettled(queued))
  open()
  await queued
  await until(() => ran.length === 4, 'all of them')
  t.strictSame(ran, ['setup 1', 'setup 2', 'queued', 'hidden'])
})
