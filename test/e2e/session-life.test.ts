import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive, type LiveSession } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole, request } from './harness/request.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }

class Teapot extends Error {
  readonly statusCode = 418
  readonly code = 'APP_TEAPOT'
}

t.test('initialState', async (t) => {
  for (const [what, initialState, expected] of [
    ['a value', (request: { url: string }) => ({ url: request.url }), { url: '/live?a=1' }],
    ['a promise', async (request: { url: string }) => ({ url: request.url }), { url: '/live?a=1' }],
    ['nothing', undefined, undefined]
  ] as const) {
    t.test(`gives ${what}`, async (t) => {
      const server = await startLive(t, { live: initialState === undefined ? {} : { initialState } })
      const reader = await openReader(server, '/live?a=1')
      await until(() => reader.controls.length, 'hello')
      const session = server.live.get(reader.session)!
      t.same(session.state, expected)
      session.state = { mine: true }
      t.same(server.live.get(reader.session)!.state, { mine: true }, 'the state is the application\'s to replace')
    })
  }

  for (const [what, fail] of [['throws', () => { throw new Teapot('no') }], ['rejects', async () => { throw new Teapot('no') }]] as const) {
    t.test(what, async (t) => {
      let failing = true
      const ran: string[] = []
      const server = await startLive(t, {
        tether: { maxSessions: 1 },
        live: { initialState: () => failing ? fail() : 'fine', onConnect: () => { ran.push('onConnect') }, onClose: () => { ran.push('onClose') } }
      })
      for (const headers of [accept, { ...accept, 'x-tether-session': 'new' }]) {
        refused(t, await readWhole(server, '/live', headers), 418, 'APP_TEAPOT', 'the request gets that error')
        t.match(server.app.tether.stats(), { sessions: 0, streams: 0, detached: 0, pending: 0 }, 'no session is left')
        t.same([...server.live.sessions], [])
      }
      failing = false
      const { session } = await server.connect()
      t.equal(session.state, 'fine', 'nor is its place taken')
      await until(() => ran.length, 'onConnect')
      t.same(ran, ['onConnect'], 'no hook ran for what was no session')
    })
  }
})

t.test('a handler that sends for as long as it may ends with its session, though its reader has left', async (t) => {
  const closes: string[] = []
  const server = await startLive(t, {
    live: {
      on: { ping: async (session) => { while (await session.send('row', 'x')) { /* there is more */ } } },
      onClose: (_session, reason) => { closes.push(reason) }
    }
  })
  const { reader, session } = await server.connect()
  await post(server, session.id, { event: 'ping', data: {} })
  await until(() => reader.updates.length, 'the first update')
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const { dropped } = session.stats
  await until(() => session.stats.dropped > dropped, 'it to go on meanwhile, for a reader that may come back')
  await within(session.close('enough'), 'close')
  t.same(closes, ['enough'])
  t.equal(session.stats.handlerErrors, 0, 'and not since its time was up')
})

t.test('hooks run in order, once for each thing that happens, events in between', async (t) => {
  const ran: unknown[] = []
  const server = await startLive(t, {
    live: {
      initialState: () => { ran.push('initialState') },
      onConnect: async (session, { verdict, request, live }) => {
        ran.push(['onConnect', verdict, request.method, live === server.live])
        await turns()
        ran.push('onConnect done')
      },
      onDisconnect: async (session, reason, { live }) => {
        ran.push(['onDisconnect', reason, session.connected, live === server.live])
        await turns()
        ran.push('onDisconnect done')
      },
      onClose: (session, reason, { live }) => { ran.push(['onClose', reason, session.connected, live === server.live]) },
      on: { say: (session, { text }, { live }) => { ran.push([text, live === server.live]) } }
    }
  })
  const { reader, session } = await server.connect()
  await post(server, session.id, { event: 'say', data: { text: 'one' } })
  await until(() => ran.length === 4, 'the event')
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  await post(server, session.id, { event: 'say', data: { text: 'two' } })
  await until(() => ran.length === 7, 'the event of a session without a stream')
  const again = await openReader(server, '/live', { headers: exactly(session.id, 0) })
  await until(() => ran.length === 9, 'the second onConnect')
  await post(server, session.id, { event: 'say', data: { text: 'three' } })
  await within(session.close('done'), 'close')
  t.same(ran, [
    'initialState',
    ['onConnect', 'new', 'GET', true],
    'onConnect done',
    ['one', true],
    ['onDisconnect', 'client', false, true],
    'onDisconnect done',
    ['two', true],
    ['onConnect', 'resumed', 'GET', true],
    'onConnect done',
    ['three', true],
    ['onDisconnect', 'closed', false, true],
    'onDisconnect done',
    ['onClose', 'done', false, true]
  ])
  await until(() => again.ended, 'the end of the stream')
})

t.test('update', async (t) => {
  let release!: () => void
  const gate = new Promise<void>((resolve) => { release = resolve })
  const ran: unknown[] = []
  const reported: unknown[] = []
  const server = await startLive(t, {
    live: {
      commandBuffer: 4,
      on: {
        ping: async () => {
          ran.push('ping')
          await gate
          ran.push('ping done')
        },
        say: (session, { text }) => { ran.push(text) }
      },
      onError: (session, error, { command }) => { reported.push([command, (error as Error).message]) }
    }
  })
  const { session } = await server.connect()

  t.test('runs in turn with events, and gives what the function returns', async (t) => {
    await post(server, session.id, { event: 'ping', data: {} })
    await until(() => ran.length === 1, 'ping')
    const one = session.update((same) => {
      ran.push('one')
      return same === session
    })
    await post(server, session.id, { event: 'say', data: { text: 'two' } })
    const three = session.update(async () => {
      await turns()
      ran.push('three')
      return 3
    })
    const four = session.update(() => { ran.push('four') })
    await turns()
    t.same(ran, ['ping'], 'nothing runs before its turn')
    await t.rejects(session.update(() => { ran.push('never') }), { code: 'FST_ERR_TETHER_BUSY' }, 'a full channel')
    release()
    t.equal(await one, true)
    t.equal(await three, 3)
    t.equal(await four, undefined)
    t.same(ran, ['ping', 'ping done', 'one', 'two', 'three', 'four'])
  })

  t.test('rejects with what the function throws, which is reported', async (t) => {
    await t.rejects(session.update(() => { throw new Error('thrown') }), { message: 'thrown' })
    await t.rejects(session.update(async () => { throw new Error('rejected') }), { message: 'rejected' })
    t.same(reported, [['update', 'thrown'], ['update', 'rejected']])
    t.equal(await session.update(() => 'on'), 'on', 'and the session goes on')
    t.throws(() => session.update('x' as never), { code: 'FST_ERR_TETHER_ARGUMENT' })
  })

  t.test('nobody need listen to it', async (t) => {
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown) => { unhandled.push(reason) }
    process.on('unhandledRejection', onUnhandled)
    t.teardown(() => process.off('unhandledRejection', onUnhandled))
    session.update(() => { throw new Error('unheard') })
    for (let count = 0; count < 10; count++) session.update(() => {})
    await session.update(() => {}).catch(() => {})
    await turns()
    t.same(unhandled, [])
  })

  t.test('within a handler of its own', async (t) => {
    const order: unknown[] = []
    const outer = session.update(async () => {
      order.push('outer')
      order.push(await session.update(async () => {
        order.push('inner')
        await turns()
        order.push(await session.update(() => 'innermost'))
        return 'inner done'
      }))
      await turns()
      order.push(await session.update(() => 'after an await'))
      await t.rejects(session.update(() => { throw new Error('within') }), { message: 'within' })
      return 'outer done'
    })
    const next = session.update(() => { order.push('next') })
    t.equal(await within(outer, 'an awaited update within a handler must not deadlock'), 'outer done')
    await next
    t.same(order, ['outer', 'inner', 'innermost', 'inner done', 'after an await', 'next'])
  })

  t.test('from a handler of another session, in that session\'s turn', async (t) => {
    const { session: other } = await server.connect()
    const order: string[] = []
    const busy = other.update(async () => {
      await turns()
      order.push('other was busy')
    })
    await within(session.update(() => other.update(() => { order.push('for the other') })), 'an update of another session')
    await busy
    t.same(order, ['other was busy', 'for the other'])
  })

  t.test('of a closed session', async (t) => {
    const closing = session.close()
    await t.rejects(session.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' }, 'as soon as it is being closed')
    await closing
    await t.rejects(session.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  })
})

t.test('close', async (t) => {
  const closes: unknown[] = []
  let inHandler: (session: LiveSession) => unknown = () => {}
  const server = await startLive(t, {
    live: {
      on: { ping: (session) => inHandler(session as LiveSession), say: (session, { text }) => { session.send('note', { text }) } },
      onClose: (session, reason) => { closes.push(reason) }
    }
  })

  t.test('from outside', async (t) => {
    closes.length = 0
    const { reader, session } = await server.connect()
    let release!: () => void
    session.update(() => new Promise<void>((resolve) => { release = resolve }))
    await until(() => release !== undefined, 'the handler that runs')
    t.equal((await post(server, session.id, { event: 'say', data: { text: 'accepted before' } })).status, 202)
    sendRows(session, 1, 3)
    const closing = session.close('finished')
    t.equal(session.close('otherwise', { reconnect: true }) instanceof Promise, true)
    refused(t, await post(server, session.id, { event: 'ping', data: {} }), 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'a POST while it closes')
    t.equal(server.live.get(session.id), undefined)
    t.same([...server.live.sessions], [])
    t.same(closes, [], 'what was accepted comes first')
    release()
    await within(closing, 'close')
    t.same(closes, ['finished'], 'onClose ran once, with the first reason')
    await until(() => reader.ended, 'the end of the stream')
    t.same(reader.updates.map(({ event, data }) => [event, data]), [['row', '1'], ['row', '2'], ['row', '3'], ['note', '{"text":"accepted before"}']], 'accepted events have run, what waited was written')
    t.same(reader.controls.at(-1), { type: 'goodbye', reason: 'finished', reconnect: false })
    t.equal(reader.blocks.at(-1)!.id, undefined)
    t.equal(session.connected, false)
    t.equal(await session.send('row', 'late'), false)
    t.equal(await within(session.close('again'), 'another close'), undefined)
    t.same(closes, ['finished'])

    refused(t, await post(server, session.id, { event: 'ping', data: {} }), 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'a POST to the closed one')
    refused(t, await request(server, '/live/ping', { headers: { 'x-tether-session': session.id }, body: {} }), 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'POST url/ping')
    for (const headers of [exactly(session.id, 4), counting(session.id, 4), counting(session.id)]) {
      const answer = await readWhole(server, '/live', { ...accept, ...headers })
      t.equal(answer.status, 204, 'a browser that comes back is told to stop')
      t.equal(answer.text, '')
    }
  })

  t.test('with reconnect, the client comes back for a new one', async (t) => {
    const { reader, session } = await server.connect()
    await within(session.close('moved', { reconnect: true }), 'close')
    await until(() => reader.ended, 'the end of the stream')
    t.same(reader.controls.at(-1), { type: 'goodbye', reason: 'moved', reconnect: true })
    refused(t, await post(server, session.id, { event: 'ping', data: {} }), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST')
    const again = await server.connect({ headers: exactly(session.id, 0) })
    t.equal(again.reader.controls[0]!.verdict, 'expired')
    t.not(again.session.id, session.id)
  })

  t.test('awaited within a handler', async (t) => {
    closes.length = 0
    const after: string[] = []
    inHandler = async (session) => {
      await session.close('by itself')
      after.push(session.connected ? 'still connected' : 'gone')
      session.send('note', { text: 'last words' })
    }
    const { reader, session } = await server.connect()
    const accepted = await post(server, session.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: 'behind it' } }])
    t.equal(accepted.status, 202)
    await until(() => reader.ended, 'the end of the stream')
    t.same(after, ['still connected'], 'the handler goes on, and the session ends after it')
    t.same(reader.updates.map(({ data }) => data), ['{"text":"last words"}', '{"text":"behind it"}'])
    t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'by itself' })
    await until(() => closes.length === 1, 'onClose')
  })

  t.test('twice at once, awaited by many', async (t) => {
    closes.length = 0
    const { session } = await server.connect()
    await within(Promise.all([session.close(), session.close('second'), session.close('third')]), 'three closes')
    t.same(closes, ['closed'], 'the default reason')
  })

  t.test('without a stream', async (t) => {
    closes.length = 0
    const { reader, session } = await server.connect()
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
    await within(session.close('empty'), 'close')
    t.same(closes, ['empty'])
    t.equal((await readWhole(server, '/live', { ...accept, ...exactly(session.id, 0) })).status, 204)
  })

  t.test('within onConnect', async (t) => {
    const refusing = await startLive(t, { live: { onConnect: async (session) => { await session.close('not today') } } })
    const reader = await openReader(refusing)
    await until(() => reader.ended, 'the end of the stream')
    t.same(reader.controls.map(({ type, reason }) => [type, reason]), [['hello', undefined], ['goodbye', 'not today']])
    await until(() => refusing.app.tether.stats().sessions === 0, 'the end of the session')
  })
})

t.test('signal', async (t) => {
  const atClose: unknown[] = []
  const server = await startLive(t, { live: { onClose: (session) => { atClose.push(session.signal.aborted, session.signal.reason) } } })
  const { reader, session } = await server.connect()
  const { signal } = session
  let aborted = 0
  signal.addEventListener('abort', () => { aborted++ })
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  t.equal(signal.aborted, false, 'a session that may come back is not over')
  const closing = session.close('over')
  t.equal(signal.aborted, true, 'aborted as soon as it is being closed')
  t.equal(signal.reason, 'over')
  await closing
  t.same(atClose, [true, 'over'])
  t.equal(aborted, 1)
  t.equal(session.signal, signal)

  const { session: other } = await server.connect()
  await other.close('before anybody asked')
  t.equal(other.signal.aborted, true)
  t.equal(other.signal.reason, 'before anybody asked')
})

t.test('stats', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect()
  await post(server, session.id, [{ event: 'ping', data: {} }, { event: 'ping', data: {} }])
  sendRows(session, 1, 3)
  t.match(session.stats, { queuedFrames: 3, queuedCommands: 0, eventsAccepted: 2, stalled: false, handlerErrors: 0 })
  await until(() => rows(reader).length === 3, 'the rows')
  t.match(session.stats, { queuedFrames: 0, queuedBytes: 0, heldFrames: 3, framesWritten: 3, queueHighWater: 3, stalls: 0, stalledMs: 0, dropped: 0, conflated: 0 })
  t.same(rows(reader), range(1, 3))
  t.equal(session.stats.bytesWritten, Buffer.byteLength(reader.text), 'every byte is counted')
  t.match(server.live.stats, { sessions: 1, connected: 1, groups: 0 })
  t.match(server.app.tether.stats(), { sessions: 1, detached: 0, pending: 0, streams: 1, framesWritten: 3, eventsAccepted: 2, bufferedBytes: session.stats.heldBytes })
  reader.destroy()
  await until(() => server.app.tether.stats().detached === 1, 'the disconnect')
  t.match(server.live.stats, { sessions: 1, connected: 0 })
  t.match(server.app.tether.stats(), { sessions: 1, streams: 0 })
  session.send('sample', { series: 'a', value: 1 })
  session.send('sample', { series: 'a', value: 2 })
  t.match(session.stats, { queuedFrames: 1, heldFrames: 4, conflated: 1 })
  await session.close()
  t.match(server.app.tether.stats(), { sessions: 0, detached: 0, bufferedBytes: 0 })
})
