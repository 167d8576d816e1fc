import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { Watch } from '../../plugin/metrics/watch.ts'
import { CommandWatch } from '../../plugin/sessions/command-watch.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post, readWhole } from './harness/request.ts'
import { rows, sendRows } from './harness/rows.ts'
import { turns, until } from './harness/until.ts'
import { openSocket } from './harness/web-socket.ts'

type Message = Record<string, any>

/** What a channel tells, as copies at the time of each message. */
function listen (t: Test, ...names: string[]): Array<{ name: string, message: Message }> {
  const heard: Array<{ name: string, message: Message }> = []
  for (const name of names) {
    const note = (message: unknown) => {
      // Plain JSON comes through JSON as it was.
      const copy = JSON.parse(JSON.stringify(message)) as Message
      heard.push({ name: isDeepStrictEqual(copy, message) ? name : `${name}, which is no plain JSON`, message: copy })
    }
    subscribe(name, note)
    t.teardown(() => unsubscribe(name, note))
  }
  return heard
}

/** What code throws that is no error. */
const noError = 'text' as unknown as Error

const lives = ['tether:session.open', 'tether:session.close', 'tether:stream.open', 'tether:stream.close']
const commands = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => `tracing:tether:command:${name}`)

t.test('while nobody listens, no message is made', async (t) => {
  let made = 0
  const count = <Name extends string>(prototype: Record<Name, (...given: any[]) => unknown>, ...names: Name[]) => {
    for (const name of names) {
      const method = prototype[name]
      prototype[name] = function (this: unknown, ...given) {
        made++
        return method.apply(this, given)
      }
      t.teardown(() => { prototype[name] = method })
    }
  }
  count(Watch.prototype, 'sessionOpened', 'sessionClosed', 'streamOpened', 'streamClosed')
  count(CommandWatch.prototype, 'trace')
  const work = async () => {
    const server = await startLive(t, { live: { onConnect: () => {} } })
    const { session } = await server.connect()
    await post(server, session.id, { event: 'ping', data: {} })
    await session.close()
  }
  await work()
  t.equal(made, 0)
  listen(t, ...lives, ...commands)
  await work()
  t.equal(made, 6, 'the four of session and stream, onConnect and the event')
})

for (const protocol of ['http/1.1', 'h2c'] as const) {
  t.test(`sessions and streams: each open has its close, ${protocol}`, async (t) => {
    const heard = listen(t, ...lives)
    const server = await startLive(t, { protocol })
    const { reader, session } = await server.connect()
    sendRows(session, 1, 3)
    await until(() => rows(reader).length === 3, 'the rows')
    await post(server, session.id, { event: 'ping', data: {} })
    await session.close('enough')
    await until(() => heard.length === 4, 'the messages')
    const short = `${session.id.slice(0, 6)}…`
    const name = protocol === 'h2c' ? 'http/2' : 'http/1.1'
    t.match(heard, [
      { name: 'tether:session.open', message: { session: short, url: '/live', prepared: false } },
      { name: 'tether:stream.open', message: { session: short, url: '/live', protocol: name, verdict: 'new' } },
      { name: 'tether:stream.close', message: { session: short, url: '/live', protocol: name, reason: 'closed', updates: 3 } },
      { name: 'tether:session.close', message: { session: short, url: '/live', reason: 'enough', updates: 3, events: 1, errors: 0, dropped: 0, conflated: 0, stalledMs: 0 } }
    ])
    for (const { message } of heard.slice(2)) t.ok(message.ms > 0 && message.bytes > 100, JSON.stringify(message))
    t.notOk(JSON.stringify(heard).includes(session.id), 'no message has the whole id')
    reader.destroy()
  })
}

t.test('a stream that resumes, and a WebSocket', async (t) => {
  const heard = listen(t, 'tether:stream.open', 'tether:stream.close')
  const server = await startLive(t, { live: { mode: 'both' } })
  const first = await server.connect()
  first.reader.destroy()
  await until(() => heard.length === 2, 'the end')
  await server.connect({ headers: { 'x-tether-session': first.session.id, 'last-event-id': `${first.session.id}.0` } })
  const socket = await openSocket(server, '/live', { session: 'new' })
  await until(() => heard.length === 4, 'the others')
  socket.destroy()
  await until(() => heard.length === 5, 'the end of the socket')
  t.match(heard.map(({ message }) => message), [
    { verdict: 'new', protocol: 'http/1.1' },
    { reason: 'client', protocol: 'http/1.1' },
    { verdict: 'resumed', protocol: 'http/1.1' },
    { verdict: 'new', protocol: 'websocket' },
    { reason: 'client', protocol: 'websocket' }
  ])
})

t.test('a plain route, by its pattern, used or not', async (t) => {
  const heard = listen(t, ...lives)
  const server = await startLive(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/plain/:id', async (request, reply) => {
        const stream = await upgrade(request, reply)
        if ((request.params as { id: string }).id === 'used') await stream.send({ data: 'one' })
      })
    }
  })
  for (const id of ['used', 'unused']) {
    const reader = await openReader(server, `/plain/${id}`)
    await until(() => heard.length === 1, 'the open')
    reader.destroy()
    await until(() => heard.length === 2, 'the close')
    t.match(heard.splice(0), [
      { name: 'tether:stream.open', message: { session: null, url: '/plain/:id', protocol: 'http/1.1', verdict: null } },
      { name: 'tether:stream.close', message: { session: null, url: '/plain/:id', reason: 'client', updates: id === 'used' ? 1 : 0 } }
    ])
  }
})

t.test('a client that is turned away has neither', async (t) => {
  const heard = listen(t, ...lives)
  const server = await startLive(t, { live: { mode: 'both' }, tether: { maxSessions: 1 } })
  const { session } = await server.connect()
  await readWhole(server)
  const socket = await openSocket(server, '/live', { session: 'new' })
  await until(() => socket.closed, 'the end of the socket')
  await session.close()
  await until(() => heard.length >= 4, 'the session')
  await turns()
  t.strictSame(heard.map(({ name }) => name), ['tether:session.open', 'tether:stream.open', 'tether:stream.close', 'tether:session.close'])
})

t.test('commands: of each kind, in each way to end', async (t) => {
  const heard = listen(t, ...commands)
  const server = await startLive(t, {
    live: {
      handlerTimeoutMs: 50,
      onConnect: () => {},
      on: {
        ping: () => {},
        say: async (_session, { text }) => { if (text === 'wrong') throw Object.assign(new RangeError('no'), { code: 'E_NO' }) },
        count: (_session, { to }) => to === 0 ? Promise.reject(noError) : new Promise(() => {})
      }
    }
  })
  const { session } = await server.connect()
  await until(() => heard.length === 2, 'onConnect')
  const told = async (what: () => unknown, count: number) => {
    heard.splice(0)
    await what()
    await until(() => heard.length >= count, 'the messages')
    await turns()
    return heard.splice(0)
  }
  const order = (messages: typeof heard) => messages.map(({ name }) => name.slice('tracing:tether:command:'.length)).join(' ')
  const short = `${session.id.slice(0, 6)}…`

  const ping = await told(() => post(server, session.id, { event: 'ping', data: {}, seq: 1 }), 2)
  t.equal(order(ping), 'start end')
  t.strictSame(Object.keys(ping[0]!.message), ['session', 'url', 'command', 'kind', 'seq', 'waitedMs'])
  t.match(ping[1]!.message, { session: short, url: '/live', command: 'ping', kind: 'event', seq: 1, outcome: 'ok' })
  t.ok(ping[1]!.message.ms >= 0 && ping[1]!.message.waitedMs >= 0)

  const said = await told(() => post(server, session.id, { event: 'say', data: { text: 'hello' } }), 4)
  t.equal(order(said), 'start end asyncStart asyncEnd')
  t.equal(said[1]!.message.outcome, undefined, 'not known at the end of the synchronous part')
  t.match(said[3]!.message, { command: 'say', seq: null, outcome: 'ok' })

  const wrong = await told(() => post(server, session.id, { event: 'say', data: { text: 'wrong' } }), 5)
  t.equal(order(wrong), 'start end error asyncStart asyncEnd')
  t.match(wrong[2]!.message, { outcome: 'error', error: { name: 'RangeError', message: 'no', code: 'E_NO', stack: /RangeError: no/ } })

  const text = await told(() => post(server, session.id, { event: 'count', data: { to: 0 } }), 5)
  t.match(text[2]!.message, { command: 'count', outcome: 'error', error: { name: 'Error', message: 'text' } })

  const thrown = await told(() => session.update(() => { throw new SyntaxError('at once') }).catch(() => {}), 3)
  t.equal(order(thrown), 'start error end')
  t.match(thrown[2]!.message, { command: 'update', outcome: 'error', error: { name: 'SyntaxError', message: 'at once' } })

  const late = await told(() => post(server, session.id, { event: 'count', data: { to: 1 } }), 5)
  t.equal(order(late), 'start end error asyncStart asyncEnd')
  t.match(late[4]!.message, { outcome: 'timeout', error: { code: 'FST_ERR_TETHER_HANDLER_TIMEOUT' } })

  const updated = await told(async () => { t.equal(await session.update(() => 7), 7, 'the result is as it was') }, 2)
  t.match(updated[1]!.message, { command: 'update', kind: 'update', outcome: 'ok' })

  const closed = await told(() => session.close(), 0)
  t.same(closed, [], 'hooks that are not there, and the library\'s own work, are no commands')
})

t.test('a store bound to the channel is the handler\'s, and the messages have the request\'s', async (t) => {
  const start = channel('tracing:tether:command:start')
  const [store, requests] = [new AsyncLocalStorage<Message>(), new AsyncLocalStorage<string>()]
  start.bindStore(store, (message) => message)
  t.teardown(() => { start.unbindStore(store) })
  const seen: unknown[] = []
  const note = () => { seen.push(requests.getStore()) }
  subscribe(start.name, note)
  t.teardown(() => unsubscribe(start.name, note))
  let gate!: () => void
  const opened = new Promise<void>((resolve) => { gate = resolve })
  const server = await startLive(t, {
    live: {
      on: {
        say: async () => {
          seen.push(store.getStore()?.command)
          await opened
          seen.push(store.getStore()?.command)
        },
        ping: () => { seen.push(store.getStore()?.command) }
      }
    },
    setup: (app) => { app.addHook('onRequest', (request, _reply, done) => { requests.run(request.id, done) }) }
  })
  const { session } = await server.connect()
  await post(server, session.id, { event: 'say', data: { text: '' } })
  await post(server, session.id, { event: 'ping', data: {} })
  gate()
  await until(() => seen.length === 5, 'both')
  t.strictSame(seen.filter((one) => one === 'say' || one === 'ping'), ['say', 'say', 'ping'])
  const ids = seen.filter((one) => one !== 'say' && one !== 'ping')
  t.ok(ids.length === 2 && ids[0] !== ids[1] && ids.every((id) => typeof id === 'string'), String(ids))
})

t.test('a subscriber that throws harms nobody; Node.js tells of it afterwards', async (t) => {
  const names = [...lives, ...commands.slice(0, 2)]
  const uncaught: string[] = []
  const others = process.rawListeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const note = (error: Error) => { uncaught.push(error.message) }
  process.on('uncaughtException', note)
  t.teardown(() => {
    process.off('uncaughtException', note)
    for (const other of others) process.on('uncaughtException', other as () => void)
  })
  const fail = (_message: unknown, name: string | symbol) => { throw new Error(String(name)) }
  for (const name of names) {
    subscribe(name, fail)
    t.teardown(() => unsubscribe(name, fail))
  }
  const heard = listen(t, ...names)
  const server = await startLive(t, { live: { on: { say: (session, { text }) => { session.send('note', { text }) } } } })
  const { reader, session } = await server.connect()
  t.equal((await post(server, session.id, { event: 'say', data: { text: 'hello' } })).status, 202)
  await until(() => reader.updates.length === 1, 'the answer of the handler')
  await session.close()
  await until(() => reader.ended && uncaught.length === names.length, 'all errors')
  t.strictSame(uncaught.sort(), [...names].sort(), 'each told once')
  t.strictSame(heard.map(({ name }) => name).sort(), [...names].sort(), 'the others heard it all')
  t.same(server.errors(), [])
})
